/**
 * What an operator writes as a command, cut into words. No shell is ever asked: nothing is expanded, nothing can be
 * injected.
 */
import { drop, ok, type Result } from "../../core/result.ts";

/** Of one command; the kernel's own bound for a single argument is 128 KiB. */
const MAX_LENGTH = 4096;

export type WordsReason = "empty" | "too-long" | "open-quote" | "trailing-backslash" | "nul";

/**
 * Words are parted by blanks. 'single quotes' keep everything, "double quotes" everything but a backslash before " or
 * \, a backslash outside of quotes keeps the next character. There are no variables, globs, pipes, redirections, `&&`:
 * whoever wants a shell names it, `/bin/sh -c "…"`.
 */
export function words(text: string): Result<readonly [string, ...string[]], WordsReason> {
  if (text.length > MAX_LENGTH) return drop("too-long");
  if (text.includes("\0")) return drop("nul");
  const found: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    const next = text.charAt(i + 1);
    if (c === "\\" && (quote === undefined || (quote === '"' && (next === '"' || next === "\\")))) {
      if (next === "") return drop("trailing-backslash");
      word = (word ?? "") + next;
      i++;
    } else if (quote !== undefined) {
      if (c === quote) quote = undefined;
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      // "" is a word too.
      word ??= "";
    } else if (/\s/.test(c)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + c;
    }
  }
  if (quote !== undefined) return drop("open-quote");
  if (word !== undefined) found.push(word);
  const [first, ...rest] = found;
  return first === undefined || first === "" ? drop("empty") : ok([first, ...rest]);
}
