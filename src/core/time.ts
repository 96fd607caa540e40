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

const UNITS: Readonly<Record<string, number>> = {
  ns: 0.001,
  us: 1,
  µs: 1,
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  min: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
};

const DURATION = /^(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|min|h|d)$/;

/**
 * Reads "5us", "100ms", "1.5s", "2m", "1h" as nanoseconds.
 * The simulator's links need finer steps than a machine does; `parseDuration` is for everything else.
 * @returns undefined when the text is not a duration, or not a whole number of nanoseconds below 2^53.
 */
export function parseNanoseconds(text: string): number | undefined {
  const match = DURATION.exec(text.trim());
  if (match === null) return undefined;
  const factor = UNITS[match[2] ?? ""];
  if (factor === undefined) return undefined;
  const exact = Number(match[1]) * factor * 1_000;
  const whole = Math.round(exact);
  if (!Number.isSafeInteger(whole) || Math.abs(exact - whole) > 1e-6 * Math.max(1, whole)) return undefined;
  return whole;
}

/** Reads "100ms", "1.5s", … as microseconds; undefined when it is not a whole number of them. */
export function parseDuration(text: string): Duration | undefined {
  const ns = parseNanoseconds(text);
  return ns === undefined || ns % 1_000 !== 0 ? undefined : us(ns / 1_000);
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
