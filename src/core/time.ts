/**
 * Time is a value: integer microseconds in a plain number, exact to 2^53 µs (285 years).
 * Nothing in the engine reads a clock; `now` comes in as an argument and leaves as an alarm.
 */

declare const unit: unique symbol;

/** Microseconds since the host's epoch (start of the run, boot, or first frame of a capture); monotonic. */
export type Instant = number & { readonly [unit]: "instant" };
/** A length of time in microseconds. */
export type Duration = number & { readonly [unit]: "duration" };

/** The alarm of a machine that waits for nothing. */
export const NEVER = Number.POSITIVE_INFINITY as Instant;
export const ZERO = 0 as Duration;

/** `n` microseconds since the epoch. */
export const instant = (n: number): Instant => n as Instant;
/** `n` microseconds. */
export const us = (n: number): Duration => n as Duration;
/** `n` milliseconds; fractions are rounded to the nearest microsecond. */
export const ms = (n: number): Duration => Math.round(n * 1_000) as Duration;
/** `n` centiseconds, the unit of RFC 9568 §5.2.7. */
export const cs = (n: number): Duration => Math.round(n * 10_000) as Duration;
/** `n` seconds; fractions are rounded to the nearest microsecond. */
export const sec = (n: number): Duration => Math.round(n * 1_000_000) as Duration;

export const after = (from: Instant, wait: Duration): Instant => (from + wait) as Instant;
export const since = (from: Instant, to: Instant): Duration => (to - from) as Duration;
export const toSeconds = (time: Instant | Duration): number => time / 1_000_000;

/** In nanoseconds. */
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  min: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

const DURATION = /^(\d+)(?:\.(\d+))?\s*(ns|us|µs|ms|s|m|min|h|d)$/;

/**
 * Reads "5us", "100ms", "1.5s", "2m", "1h" as nanoseconds.
 * The simulator's links need finer steps than a machine does; `parseDuration` is for everything else.
 * @returns undefined when the text is not a duration, or not a whole number of nanoseconds below 2^53.
 */
export function parseNanoseconds(text: string): number | undefined {
  return parse(text, 1n);
}

/** Reads "100ms", "1.5s", … as microseconds; undefined when it is not a whole number of them below 2^53. */
export function parseDuration(text: string): Duration | undefined {
  return parse(text, 1_000n) as Duration | undefined;
}

/** In integers, because a tenth is no float. `step` is in nanoseconds. */
function parse(text: string, step: bigint): number | undefined {
  const match = DURATION.exec(text.trim());
  const unit = UNITS[match?.[3] ?? ""];
  if (match === null || unit === undefined) return undefined;
  const fraction = match[2] ?? "";
  const numerator = BigInt(`${match[1]}${fraction}`) * unit;
  const denominator = 10n ** BigInt(fraction.length) * step;
  const whole = Number(numerator / denominator);
  return numerator % denominator === 0n && Number.isSafeInteger(whole) ? whole : undefined;
}

/** The shortest exact text: 100ms, 1.5s, 250us. */
export function formatDuration(time: Duration): string {
  if (time === Number.POSITIVE_INFINITY) return "never";
  const size = Math.abs(time);
  if (size >= 1_000_000 || size === 0) return `${time / 1_000_000}s`;
  if (size >= 1_000) return `${time / 1_000}ms`;
  return `${time}us`;
}

/** Seconds with all six decimals, as captures show time: 12.345678. */
export function formatInstant(time: Instant): string {
  return (time / 1_000_000).toFixed(6);
}
