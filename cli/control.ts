/** The other end of a daemon's control socket, for the commands that ask and order. */
import { lstatSync, readdirSync } from "node:fs";
import { connect as open, type Socket } from "node:net";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { Failure, INVALID, interrupted, UNABLE } from "./output.ts";

/** Where daemons have their sockets unless told otherwise: NODE.sock. */
export const SOCKETS = "/run/hotpair";
/** Milliseconds that an answer is waited for; orders that take longer say how long. */
const PATIENCE = 5_000;
/** Characters of one line; a daemon with thousands of routers says a few megabytes. */
const MAX_LINE = 1 << 26;

export type Json = Readonly<Record<string, unknown>>;

/** Whether a word of the command line means a socket, and not a file or a subject. */
export function isSocket(word: string): boolean {
  return word.endsWith(".sock") || lstatSync(word, { throwIfNoEntry: false })?.isSocket() === true;
}

/** The socket that is meant: a path, a node's name, or the only one that there is. */
export function socketOf(word: string | undefined, directory = SOCKETS): string {
  if (word !== undefined) return word.includes("/") || isSocket(word) ? word : join(directory, `${word}.sock`);
  const names = namesIn(directory).filter((name) => name.endsWith(".sock"));
  const [only] = names;
  if (only === undefined) {
    throw new Failure(UNABLE, [
      `no hotpair runs here: found no socket in ${directory}; start one with hotpair run NODE.yaml, or name its socket`,
    ]);
  }
  if (names.length > 1) {
    const list = names.map((name) => join(directory, name)).join(", ");
    throw new Failure(INVALID, [`found several sockets, allowed: one of them as the first word: ${list}`]);
  }
  return join(directory, only);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw new Failure(UNABLE, [`${directory}: ${reasonOf(code)}`]);
  }
}

function reasonOf(code: string | undefined): string {
  switch (code) {
    case "ENOENT":
      return "no hotpair runs here (there is no such socket); start it with hotpair run, or name another socket";
    case "ECONNREFUSED":
      return "the hotpair that had this socket is dead; start it again";
    case "EACCES":
    case "EPERM":
      return "this user may not use it; run as the user that hotpair runs as (root, mostly)";
    default:
      return code ?? "it cannot be reached";
  }
}

/** A connection to a daemon. */
export class Link {
  private unread = "";
  private readonly decoder = new StringDecoder("utf8");
  private readonly waiting = new Map<number, (answer: Json) => void>();
  private failed: ((error: Failure) => void) | undefined;
  private ids = 0;
  private gone = false;
  /** Told of what answers nothing: entries of the log. */
  heard: (line: Json) => void = () => {};
  /** Resolves when the daemon has closed it. */
  readonly closed: Promise<void>;

  private constructor(
    readonly path: string,
    private readonly socket: Socket,
  ) {
    socket.on("data", (octets: Buffer) => this.read(this.decoder.write(octets)));
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        resolve();
        this.gone = true;
        this.failed?.(this.silence());
      });
    });
  }

  /** @throws Failure when nobody is there */
  static to(path: string): Promise<Link> {
    return new Promise((resolve, reject) => {
      const socket = open(path);
      socket.once("error", ({ code }: NodeJS.ErrnoException) => {
        reject(new Failure(UNABLE, [`${path}: ${reasonOf(code)}`]));
      });
      socket.once("connect", () => {
        // What is wrong later shows as an end without an answer.
        socket.on("error", () => socket.destroy());
        resolve(new Link(path, socket));
      });
    });
  }

  /** @param patience milliseconds  @throws Failure when no answer comes */
  ask(verb: string, fields: Json = {}, patience = PATIENCE): Promise<Json> {
    const id = ++this.ids;
    if (this.gone) return Promise.reject(this.silence());
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        reject(new Failure(UNABLE, [`${this.path}: no answer within ${patience / 1_000} s`]));
      }, patience);
      const abort = () => {
        clearTimeout(late);
        reject(interrupted.reason);
      };
      interrupted.addEventListener("abort", abort, { once: true });
      const over = () => {
        clearTimeout(late);
        interrupted.removeEventListener("abort", abort);
        this.waiting.delete(id);
      };
      this.failed = (error) => {
        over();
        reject(error);
      };
      this.waiting.set(id, (answer) => {
        over();
        this.failed = undefined;
        resolve(answer);
      });
      this.socket.write(`${JSON.stringify({ id, verb, ...fields })}\n`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private silence(): Failure {
    return new Failure(UNABLE, [`${this.path}: hotpair went away before it answered`]);
  }

  private read(text: string): void {
    this.unread += text;
    const lines = this.unread.split("\n");
    this.unread = lines.pop() ?? "";
    if (this.unread.length > MAX_LINE) this.socket.destroy();
    for (const line of lines) {
      const said = objectOf(line);
      if (said === undefined) {
        // No hotpair: whoever waits hears that no answer came.
        this.socket.destroy();
        return;
      }
      const answered = typeof said["id"] === "number" ? this.waiting.get(said["id"]) : undefined;
      if (answered === undefined) this.heard(said);
      else answered(said);
    }
  }
}

function objectOf(line: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** Asks one thing of one daemon. @throws Failure with exit code 2 when it says no */
export async function askOnce(socket: string, verb: string, fields: Json = {}, patience?: number): Promise<Json> {
  const link = await Link.to(socket);
  try {
    return accepted(await link.ask(verb, fields, patience));
  } finally {
    link.close();
  }
}

/** @throws Failure with what is wrong when the answer is no */
export function accepted(answer: Json): Json {
  if (answer["ok"] === true) return answer;
  const problems = answer["problems"];
  const lines = Array.isArray(problems) ? problems.map(String) : [];
  throw new Failure(INVALID, [...lines, String(answer["error"] ?? "refused")]);
}
