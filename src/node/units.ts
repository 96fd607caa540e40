/**
 * The values of a file that are text with a unit or a form of their own: zod schemas from that text to core types.
 * Each carries its pattern, a description and examples into JSON Schema, and says what it found and what is allowed.
 */
import * as z from "zod";
import {
  type Ip,
  type Ip4,
  type Ip6,
  type Mac,
  type Prefix,
  parseIp,
  parseIp4,
  parseIp6,
  parseMac,
  parsePrefix,
} from "../core/addr.ts";
import type { Ratio } from "../core/rng.ts";
import { type Duration, formatDuration, parseDuration, parseNanoseconds } from "../core/time.ts";

/** One end of a link or the side of one: a port of a node, written "sw1:p1". */
export interface End {
  readonly node: string;
  readonly port: string;
}

/** A value of a file as it is quoted in a message: short, on one line. */
export function quote(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "nothing (an empty value)";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

interface TextForm<T> {
  /** With its article: "a duration". */
  readonly what: string;
  readonly description: string;
  /** Of the JSON Schema: no stricter than `parse`. */
  readonly pattern: string;
  readonly examples: readonly [string, ...string[]];
  readonly parse: (text: string) => T | undefined;
}

/** A schema of one text form. `found 5, allowed: a duration such as "100ms" or "1.5s"`. */
function textForm<T>(form: TextForm<T>): z.ZodType<T, string> {
  const such = form.examples.map((example) => JSON.stringify(example)).join(" or ");
  const message = (input: unknown) => `found ${quote(input)}, allowed: ${form.what} such as ${such}`;
  return z
    .string({ error: (issue) => message(issue.input) })
    .meta({ description: form.description, pattern: form.pattern, examples: [...form.examples] })
    .transform((text, context) => {
      const value = form.parse(text);
      if (value !== undefined) return value;
      context.issues.push({ code: "custom", message: message(text), input: text });
      return z.NEVER;
    });
}

const NUMBER_AND_TIME_UNIT = "^\\s*\\d+(\\.\\d+)?\\s*(ns|us|µs|ms|s|m|min|h|d)\\s*$";

/** A length of time in whole microseconds: "100ms", "1.5s", "2m". */
export const duration = textForm<Duration>({
  what: "a duration in whole microseconds",
  description: "A duration: a number and one of us, ms, s, m, h, d.",
  pattern: NUMBER_AND_TIME_UNIT,
  examples: ["100ms", "1.5s"],
  parse: parseDuration,
});

/** A duration between `least` and `most`, both included. */
export function durationWithin(least: Duration, most: Duration): z.ZodType<Duration, string> {
  const range = `${formatDuration(least)} to ${formatDuration(most)}`;
  return textForm<Duration>({
    what: `${range}, written as a duration`,
    description: `A duration of ${range}: a number and one of us, ms, s, m, h, d.`,
    pattern: NUMBER_AND_TIME_UNIT,
    examples: [formatDuration(least), formatDuration(most)],
    parse: (text) => {
      const value = parseDuration(text);
      return value === undefined || value < least || value > most ? undefined : value;
    },
  });
}

/** The delay of a link in whole nanoseconds: "5us", "250ns". */
export const nanoseconds = textForm<number>({
  what: "a delay in whole nanoseconds",
  description: "A delay: a number and one of ns, us, ms, s.",
  pattern: NUMBER_AND_TIME_UNIT,
  examples: ["5us", "250ns"],
  parse: parseNanoseconds,
});

const DOTTED = "\\d{1,3}(\\.\\d{1,3}){3}";
const COLONS = "[0-9a-fA-F:]*:[0-9a-fA-F:.]*";

/** An IPv4 or IPv6 address, in canonical text. */
export const ip = textForm<Ip>({
  what: "an IP address",
  description: "An IPv4 or IPv6 address.",
  pattern: `^(${DOTTED}|${COLONS})$`,
  examples: ["192.0.2.1", "2001:db8::1"],
  parse: parseIp,
});

export const ip4 = textForm<Ip4>({
  what: "an IPv4 address",
  description: "An IPv4 address.",
  pattern: `^${DOTTED}$`,
  examples: ["192.0.2.1"],
  parse: parseIp4,
});

export const ip6 = textForm<Ip6>({
  what: "an IPv6 address",
  description: "An IPv6 address.",
  pattern: `^${COLONS}$`,
  examples: ["2001:db8::1", "fe80::1"],
  parse: parseIp6,
});

/** An address with the length of its network's prefix. */
export const prefix = textForm<Prefix>({
  what: "an address and the length of its prefix",
  description: "An IPv4 or IPv6 address and the length of its network's prefix.",
  pattern: `^(${DOTTED}|${COLONS})/\\d{1,3}$`,
  examples: ["192.0.2.254/24", "fe80::51/64"],
  parse: parsePrefix,
});

export const mac = textForm<Mac>({
  what: "a MAC address",
  description: "A MAC address: six octets in hex.",
  pattern: "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$",
  examples: ["02:00:00:00:00:01"],
  parse: parseMac,
});

const BITS: Readonly<Record<string, number>> = { bps: 1, kbps: 1e3, Mbps: 1e6, Gbps: 1e9, Tbps: 1e12 };

/** The speed of a link in bits a second (1000, not 1024): "10Gbps"; 1 bit to 10 Tbit a second, whole bits. */
export const bitRate = textForm<number>({
  what: "a rate in bits per second",
  description: "A rate in bits per second: a number and one of bps, kbps, Mbps, Gbps, Tbps.",
  pattern: "^\\d+(\\.\\d+)?\\s*([kKMGT]?bps|[kKMGT]?bit/s)$",
  examples: ["10Gbps", "100Mbps"],
  parse: (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*([kKMGT]?)(?:bps|bit\/s)$/.exec(text);
    if (match === null) return undefined;
    return whole(match[1], BITS[`${match[2] === "K" ? "k" : match[2]}bps`], 1e13);
  },
});

const PACKETS: Readonly<Record<string, number>> = { pps: 1, kpps: 1e3, Mpps: 1e6 };

/** How many packets a second: "1000pps"; 1 to 10 million, whole packets. */
export const packetRate = textForm<number>({
  what: "a rate in packets per second",
  description: "A rate in packets per second: a number and one of pps, kpps, Mpps.",
  pattern: "^\\d+(\\.\\d+)?\\s*[kKM]?pps$",
  examples: ["1000pps", "10kpps"],
  parse: (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*([kKM]?)pps$/.exec(text);
    if (match === null) return undefined;
    return whole(match[1], PACKETS[`${match[2] === "K" ? "k" : match[2]}pps`], 1e7);
  },
});

const OCTETS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, KiB: 1024, MiB: 1024 ** 2 };

/** An amount of octets: "512kB", "1MiB"; 1 to 1 GB, whole octets. */
export const octets = textForm<number>({
  what: "an amount of octets",
  description: "An amount of octets: a number and one of B, kB, MB, KiB, MiB.",
  pattern: "^\\d+(\\.\\d+)?\\s*(B|kB|MB|KiB|MiB)$",
  examples: ["512kB", "1MiB"],
  parse: (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|KiB|MiB)$/.exec(text);
    return match === null ? undefined : whole(match[1], OCTETS[match[2] ?? ""], 1e9);
  },
});

/** `digits` × `factor` when that is an integer of 1 … `most`. */
function whole(digits: string | undefined, factor: number | undefined, most: number): number | undefined {
  const exact = Number(digits) * (factor ?? Number.NaN);
  const value = Math.round(exact);
  const close = Math.abs(exact - value) <= 1e-9 * Math.max(1, value);
  return close && value >= 1 && value <= most ? value : undefined;
}

/** "1/1000" or "0.5%": in how many of how many cases, never more than all. */
export const ratio = textForm<Ratio>({
  what: "a ratio of at most 1",
  description: "A ratio of at most 1: two integers, or a percentage.",
  pattern: "^\\d+\\s*/\\s*\\d+$|^\\d+(\\.\\d{1,6})?\\s*%$",
  examples: ["1/1000", "0.5%"],
  parse: parseRatio,
});

function parseRatio(text: string): Ratio | undefined {
  const fraction = /^(\d{1,10})\s*\/\s*(\d{1,10})$/.exec(text);
  if (fraction !== null) return lowest(Number(fraction[1]), Number(fraction[2]));
  const percent = /^(\d{1,3})(?:\.(\d{1,6}))?\s*%$/.exec(text);
  if (percent === null) return undefined;
  const decimals = percent[2] ?? "";
  return lowest(Number(`${percent[1]}${decimals}`), 100 * 10 ** decimals.length);
}

function lowest(numerator: number, denominator: number): Ratio | undefined {
  if (denominator < 1 || denominator > 2 ** 32 || numerator > denominator) return undefined;
  let [a, b] = [numerator, denominator];
  while (b !== 0) [a, b] = [b, a % b];
  return { numerator: numerator / a, denominator: denominator / a };
}

/** What names may be made of: no colon and no slash, so that "node:port" and paths stay readable. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** IFNAMSIZ of Linux less its final zero: a node's file must hold in both worlds. */
const PORT_LENGTH = 15;
const NODE_LENGTH = 63;

function nameOf(what: string, most: number, examples: readonly [string, ...string[]]): z.ZodType<string, string> {
  return textForm<string>({
    what: `${what} (letters, digits, "_", ".", "-"; at most ${most} characters; quoted where it is only digits)`,
    description: `${what}: letters, digits, "_", "." and "-", at most ${most} characters.`,
    pattern: `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,${most - 1}}$`,
    examples,
    parse: (text) => (text.length <= most && NAME.test(text) ? text : undefined),
  });
}

/** The name of a port: an interface, a bundle, a VLAN's routed interface; as long as Linux allows. */
export const portName = nameOf("a port name", PORT_LENGTH, ["eth0", "vlan10"]);
export const nodeName = nameOf("a node name", NODE_LENGTH, ["gw1"]);
/** The name of anything else: a link, a flow, a router, a script. */
export const name = nameOf("a name", NODE_LENGTH, ["lan-gateway"]);

/** "sw1:p1". */
export const end = textForm<End>({
  what: "NODE:PORT",
  description: "A port of a node: NODE:PORT.",
  pattern: `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,${NODE_LENGTH - 1}}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,${PORT_LENGTH - 1}}$`,
  examples: ["sw1:p1"],
  parse: (text) => {
    const [node = "", port = "", more] = text.split(":");
    if (more !== undefined || !NAME.test(node) || !NAME.test(port)) return undefined;
    return node.length <= NODE_LENGTH && port.length <= PORT_LENGTH ? { node, port } : undefined;
  },
});

/** An integer of `least` … `most`. */
export function integerWithin(least: number, most: number, what = "an integer"): z.ZodType<number, number> {
  const error = (issue: { readonly input?: unknown }) =>
    `found ${quote(issue.input)}, allowed: ${what} of ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}
