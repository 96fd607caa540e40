/**
 * What a host has taken on and another process gives back should this one die, and the lines in which the two talk: one
 * JSON object a line, octets as hex digits.
 */
import type { Family } from "../../core/addr.ts";
import { fromHex } from "../../core/bytes.ts";
import { drop, ok, type Result } from "../../core/result.ts";
import { type Duration, us } from "../../core/time.ts";
import type { Condition } from "../../node/protocol.ts";
import type { Wanted } from "./packet.ts";
import { ALL_FLAGS, type PortFlags } from "./port-flags.ts";
import type { Saved, SysctlPath } from "./sysctl.ts";

export interface Holding {
  /** One holding for each; a later one replaces it. */
  readonly key: string;
  /** Interface on which the farewell goes out and the successor is heard. */
  readonly index: number;
  /** Whole Ethernet frames that go out the moment the daemon is gone. */
  readonly farewell: readonly Uint8Array[];
  /** Whole IP packets that go out then, the way that the kernel knows: for peers that have an address of their own. */
  readonly packets?: readonly Packet[];
  /** A frame of which all of this is true says that another has taken over. Empty: nobody does, the bound counts. */
  readonly successor: readonly Condition[];
  /** How long a successor is waited for, 0 to 60 s. */
  readonly within: Duration;
  /** Frames among which the successor's is. */
  readonly wanted: readonly Wanted[];
  /** Settings that are made as soon as all farewells are said, so that no successor is disturbed. */
  readonly first?: readonly Saved[];
  /** What is done once. The order is the guardian's: addresses, settings, devices, firewall rules. */
  readonly undo: readonly Undo[];
}

export interface Packet {
  readonly family: Family;
  /** Four or sixteen octets; a link-local one is on the holding's interface. */
  readonly destination: Uint8Array;
  /** With its IP header. */
  readonly bytes: Uint8Array;
}

/** A step that several holdings have in common is done with the last of them. */
export type Undo =
  | { readonly kind: "address"; readonly index: number; readonly address: Uint8Array; readonly length: number }
  /** Only while the interface of this index still has this name: an index may have come to belong to another. */
  | { readonly kind: "link"; readonly index: number; readonly name: string }
  /** A port of somebody's bridge is set as it was: likewise. */
  | { readonly kind: "bridge-port"; readonly index: number; readonly name: string; readonly flags: PortFlags }
  | { readonly kind: "sysctl"; readonly path: SysctlPath; readonly value: string }
  /** For the standard input of `nft -f -`. */
  | { readonly kind: "firewall"; readonly text: string };

/** What the daemon says. */
export type Order =
  | { readonly kind: "hold"; readonly holding: Holding }
  | { readonly kind: "drop"; readonly key: string }
  /** An orderly end: nothing is to be given back any more. */
  | { readonly kind: "goodbye" };

/** What the guardian says. */
export type Answer =
  | { readonly kind: "ready"; readonly pid: number }
  /** Something that it cannot do, in words. */
  | { readonly kind: "trouble"; readonly text: string };

/** What a guardian takes; a line beyond any of it is refused as a whole, and it says so. */
export const LIMITS = {
  holdings: 4_096,
  /** Characters of a line, a key, a name, a path, a setting, a trouble. */
  line: 1 << 20,
  key: 128,
  name: 15,
  path: 256,
  value: 64,
  text: 512,
  /** Octets of one frame or packet. */
  frame: 9_234,
  frames: 32,
  packets: 256,
  offset: 9_233,
  conditions: 64,
  wanted: 16,
  groups: 16,
  undo: 1_024,
  /** Characters of the rules of one step. */
  firewall: 1 << 16,
  within: 60_000_000,
} as const;

export type OrderReason =
  | "too-long"
  | "not-json"
  | "unknown-order"
  | "bad-key"
  | "bad-index"
  | "bad-farewell"
  | "bad-packets"
  | "bad-successor"
  | "bad-within"
  | "bad-wanted"
  | "bad-first"
  | "bad-undo";

// --- encoding ---

/** One line without its end. Its length is checked, all else is the reader's to judge. */
export function encodeOrder(order: Order): Result<string, "too-long"> {
  const text = JSON.stringify(order.kind === "hold" ? { hold: plain(order.holding) } : short(order));
  return text.length > LIMITS.line ? drop("too-long") : ok(text);
}

function short(order: Exclude<Order, { kind: "hold" }>) {
  return order.kind === "drop" ? { drop: order.key } : { goodbye: true };
}

function plain(holding: Holding) {
  const { key, index, farewell, packets, successor, within, wanted, first, undo } = holding;
  return {
    key,
    index,
    farewell: farewell.map(toHex),
    ...(packets === undefined
      ? {}
      : { packets: packets.map((one) => [one.family, toHex(one.destination), toHex(one.bytes)]) }),
    successor: successor.map(({ offset, octet, not }) => (not === true ? [offset, octet, true] : [offset, octet])),
    within,
    wanted: wanted.map((one) => ({ ...one, groups: one.groups.map(toHex) })),
    ...(first === undefined ? {} : { first: first.map(({ path, value }) => ({ kind: "sysctl", path, value })) }),
    undo: undo.map((one) => (one.kind === "address" ? { ...one, address: toHex(one.address) } : one)),
  };
}

export function encodeAnswer(answer: Answer): string {
  return JSON.stringify(
    answer.kind === "ready" ? { ready: answer.pid } : { trouble: answer.text.slice(0, LIMITS.text) },
  );
}

/** On the way to being master: in C, because it is several times quicker. */
function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

// --- decoding ---

/** Of any text; it never throws. */
export function decodeOrder(line: string): Result<Order, OrderReason> {
  if (line.length > LIMITS.line) return drop("too-long");
  const fields = object(line);
  if (fields === undefined) return drop("not-json");
  if (fields["goodbye"] === true) return ok({ kind: "goodbye" });
  if (fields["drop"] !== undefined) {
    const key = string(fields["drop"], LIMITS.key);
    return key === undefined ? drop("bad-key") : ok({ kind: "drop", key });
  }
  if (!isFields(fields["hold"])) return drop("unknown-order");
  return hold(fields["hold"]);
}

function hold(fields: Fields): Result<Order, OrderReason> {
  const key = string(fields["key"], LIMITS.key);
  if (key === undefined) return drop("bad-key");
  const index = integer(fields["index"], 1, 0x7fffffff);
  if (index === undefined) return drop("bad-index");
  const farewell = list(fields["farewell"], LIMITS.frames, (one) => octets(one, 14, LIMITS.frame));
  if (farewell === undefined) return drop("bad-farewell");
  const packets = fields["packets"] === undefined ? [] : list(fields["packets"], LIMITS.packets, packet);
  if (packets === undefined) return drop("bad-packets");
  const successor = list(fields["successor"], LIMITS.conditions, condition);
  if (successor === undefined) return drop("bad-successor");
  const within = integer(fields["within"], 0, LIMITS.within);
  if (within === undefined) return drop("bad-within");
  const wanted = list(fields["wanted"], LIMITS.wanted, wantedFrames);
  if (wanted === undefined) return drop("bad-wanted");
  const undo = list(fields["undo"], LIMITS.undo, undoStep);
  if (undo === undefined) return drop("bad-undo");
  const first = fields["first"] === undefined ? [] : list(fields["first"], LIMITS.undo, setting);
  if (first === undefined) return drop("bad-first");
  const rest = {
    ...(fields["packets"] === undefined ? {} : { packets }),
    ...(fields["first"] === undefined ? {} : { first }),
  };
  const holding: Holding = { key, index, farewell, ...rest, successor, within: us(within), wanted, undo };
  return ok({ kind: "hold", holding });
}

/** Undefined for anything that no guardian says. */
export function decodeAnswer(line: string): Answer | undefined {
  if (line.length > LIMITS.line) return undefined;
  const fields = object(line);
  const pid = integer(fields?.["ready"], 1, 0x7fffffff);
  if (pid !== undefined) return { kind: "ready", pid };
  const text = string(fields?.["trouble"], LIMITS.text);
  return text === undefined ? undefined : { kind: "trouble", text };
}

function packet(value: unknown): Packet | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [family, to, whole] = value as readonly unknown[];
  if (family !== "ipv4" && family !== "ipv6") return undefined;
  const size = family === "ipv4" ? 4 : 16;
  const destination = octets(to, size, size);
  const bytes = octets(whole, family === "ipv4" ? 20 : 40, LIMITS.frame);
  return destination === undefined || bytes === undefined ? undefined : { family, destination, bytes };
}

function condition(value: unknown): Condition | undefined {
  if (!Array.isArray(value) || value.length < 2 || value.length > 3) return undefined;
  const offset = integer(value[0], 0, LIMITS.offset);
  const octet = integer(value[1], 0, 255);
  if (offset === undefined || octet === undefined) return undefined;
  if (value.length === 2) return { offset, octet };
  return value[2] === true ? { offset, octet, not: true } : undefined;
}

function wantedFrames(value: unknown): Wanted | undefined {
  if (!isFields(value)) return undefined;
  const ethertype = integer(value["ethertype"], 0, 0xffff);
  const groups = list(value["groups"], LIMITS.groups, (one) => octets(one, 6, 6));
  if (ethertype === undefined || groups === undefined) return undefined;
  if (value["protocol"] === undefined) return { ethertype, groups };
  const protocol = integer(value["protocol"], 0, 255);
  return protocol === undefined ? undefined : { ethertype, protocol, groups };
}

function setting(value: unknown): Saved | undefined {
  const step = undoStep(value);
  return step?.kind === "sysctl" ? { path: step.path, value: step.value } : undefined;
}

function undoStep(value: unknown): Undo | undefined {
  if (!isFields(value)) return undefined;
  switch (value["kind"]) {
    case "address":
      return addressStep(value);
    case "link": {
      const index = integer(value["index"], 1, 0x7fffffff);
      const name = string(value["name"], LIMITS.name);
      return index === undefined || name === undefined ? undefined : { kind: "link", index, name };
    }
    case "bridge-port": {
      const index = integer(value["index"], 1, 0x7fffffff);
      const name = string(value["name"], LIMITS.name);
      const flags = integer(value["flags"], 0, ALL_FLAGS);
      if (index === undefined || name === undefined || flags === undefined) return undefined;
      return { kind: "bridge-port", index, name, flags };
    }
    case "sysctl": {
      const path = string(value["path"], LIMITS.path);
      const setting = string(value["value"], LIMITS.value);
      if (path === undefined || setting === undefined || !staysBelow(path)) return undefined;
      return { kind: "sysctl", path, value: setting };
    }
    case "firewall": {
      const text = string(value["text"], LIMITS.firewall);
      return text === undefined ? undefined : { kind: "firewall", text };
    }
    default:
      return undefined;
  }
}

function addressStep(value: Fields): Undo | undefined {
  const index = integer(value["index"], 1, 0x7fffffff);
  const address = octets(value["address"], 4, 16);
  if (index === undefined || address === undefined || (address.length !== 4 && address.length !== 16)) return undefined;
  const length = integer(value["length"], 0, 8 * address.length);
  return length === undefined ? undefined : { kind: "address", index, address, length };
}

/** A path that names a file under its folder and nothing outside of it. */
function staysBelow(path: string): boolean {
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

// --- JSON of unknown shape ---

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function object(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function list<T>(value: unknown, most: number, one: (value: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > most) return undefined;
  const found: T[] = [];
  for (const item of value) {
    const made = one(item);
    if (made === undefined) return undefined;
    found.push(made);
  }
  return found;
}

function integer(value: unknown, least: number, most: number): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most ? value : undefined;
}

/** Not empty, and no longer than this. */
function string(value: unknown, most: number): string | undefined {
  return typeof value === "string" && value.length > 0 && value.length <= most ? value : undefined;
}

function octets(value: unknown, least: number, most: number): Uint8Array | undefined {
  if (typeof value !== "string" || value.length < 2 * least || value.length > 2 * most) return undefined;
  return fromHex(value);
}
