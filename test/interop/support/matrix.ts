/**
 * What a receiver may find in an advert, row by row, and what becomes of it: the clauses of RFC 9568 §5.2 and §7.1 with
 * errata 8299 to 8301, of RFC 3768 §7.1, and where neither says anything what docs/vrrp-reasons.md says.
 */
import type { DropReason } from "../../../protocols/vrrp/events.ts";
import type { Mac } from "../../../src/core/addr.ts";
import { internetChecksum, setU16 } from "../../../src/core/bytes.ts";
import { type Forged, forge } from "./injector.ts";
import { ownAddress } from "./site.ts";

/** Of all routers but those of version 2, in milliseconds. */
export const INTERVAL = 200;
const HEADER = 14;

export interface Row {
  readonly title: string;
  readonly kind: "four" | "six" | "two" | "unicast";
  /** Why it is dropped; "unheard": before anything counts it. Absent: it is obeyed. */
  readonly drop?: DropReason | "unheard";
  readonly frame: (row: Placed) => Uint8Array;
}

/** Dropped before it is known whose they are, or because they are nobody's: counted by the interface alone. */
export const NOBODYS: ReadonlySet<string> = new Set(["unheard", "ip", "fragment", "vrid"]);

/** A row with a router of its own. */
export interface Placed {
  readonly vrid: number;
  readonly address: string;
  /** Of the router's interface. */
  readonly mac: Mac;
}

export function configOf({ kind }: Row, { vrid, address }: Placed): Readonly<Record<string, unknown>> {
  const common = { interface: "e0", vrid, name: `r${vrid}`, "virtual-mac": false };
  if (kind === "two") return { ...common, version: 2, interval: "1s", addresses: [`${address}/32`] };
  const three = { ...common, interval: `${INTERVAL}ms` };
  if (kind === "six") return { ...three, addresses: [`fe80::1:${vrid}/64`, `${address}/64`] };
  return {
    ...three,
    addresses: [`${address}/32`],
    ...(kind === "unicast" ? { peers: [ownAddress("b", "ipv4")] } : {}),
  };
}

export function addressOf({ kind }: Row, vrid: number): string {
  return kind === "six" ? `2001:db8:99::1:${vrid}` : `10.99.1.${vrid}`;
}

type Change = Partial<Forged>;
type Make = Change | ((row: Placed) => Change);

function made(
  kind: Row["kind"],
  make: Make,
  after: (frame: Uint8Array) => Uint8Array = (frame) => frame,
): Row["frame"] {
  return (row) => {
    const { vrid, address, mac } = row;
    const base: Forged = {
      vrid,
      // Highest but for an owner's: whoever obeys stands back.
      priority: 254,
      source: ownAddress("b", kind === "six" ? "ipv6" : "ipv4", "link"),
      addresses: kind === "six" ? [`fe80::1:${vrid}`, address] : [address],
      interval: kind === "two" ? 1_000 : INTERVAL,
      ...(kind === "two" ? { version: 2 } : {}),
      ...(kind === "unicast" ? { destination: ownAddress("a", "ipv4"), to: mac } : {}),
    };
    return after(forge({ ...base, ...(typeof make === "function" ? make(row) : make) }));
  };
}

const octet = (at: number, value: number) => (payload: Uint8Array) => {
  payload[at] = value;
  return payload;
};
const longer = (by: number) => (payload: Uint8Array) => Uint8Array.from([...payload, ...new Uint8Array(by)]);
const cut = (to: number) => (payload: Uint8Array) => payload.slice(0, to);
/** Changes the IPv4 header, whose checksum is made anew. */
const header = (at: number, value: number) => (frame: Uint8Array) => {
  frame[HEADER + at] = value;
  setU16(frame, HEADER + 10, 0);
  setU16(frame, HEADER + 10, internetChecksum(frame, HEADER, HEADER + 20));
  return frame;
};

function obeyed(kind: Row["kind"], title: string, make: Make, after?: (frame: Uint8Array) => Uint8Array): Row {
  return { title, kind, frame: made(kind, make, after) };
}

function dropped(
  kind: Row["kind"],
  drop: DropReason | "unheard",
  title: string,
  make: Make,
  after?: (f: Uint8Array) => Uint8Array,
): Row {
  return { title, kind, drop, frame: made(kind, make, after) };
}

const FOUR: readonly Row[] = [
  obeyed("four", "checksum over the message", {}),
  // DEPARTS from §5.2.8: what RFC 5798 was read to mean.
  obeyed("four", "checksum with a pseudo-header", { checksum: "pseudo-header" }),
  dropped("four", "checksum", "checksum wrong in both forms", { spoil: (p) => octet(6, (p[6] ?? 0) ^ 0x5a)(p) }),
  dropped("four", "ttl", "TTL 254", { ip: { ttl: 254 } }),
  dropped("four", "ttl", "TTL 1", { ip: { ttl: 1 } }),
  dropped("four", "type", "type 0", { change: octet(0, 0x30) }),
  dropped("four", "type", "type 2", { change: octet(0, 0x32) }),
  dropped("four", "type", "type 15", { change: octet(0, 0x3f) }),
  dropped("four", "version", "version 2", { version: 2, interval: 1_000 }),
  dropped("four", "version", "version 4", { change: octet(0, 0x41) }),
  dropped("four", "version", "version 0", { change: octet(0, 0x01) }),
  dropped("four", "count-zero", "no address", { addresses: [] }),
  dropped("four", "length", "two addresses counted, one there", { change: octet(3, 2) }),
  dropped("four", "length", "255 addresses counted, one there", { change: octet(3, 255) }),
  dropped("four", "length", "an octet short", { spoil: cut(11) }),
  dropped("four", "length", "seven octets", { spoil: cut(7) }),
  dropped("four", "length", "four octets behind it", { change: longer(4) }),
  dropped("four", "length", "eighteen octets behind it", { change: longer(18) }),
  dropped("four", "interval-zero", "interval 0", { change: (p) => octet(5, 0)(octet(4, 0)(p)) }),
  dropped("four", "interval-zero", "interval 0, priority 0", {
    priority: 0,
    change: (p) => octet(5, 0)(octet(4, 0)(p)),
  }),
  obeyed("four", "twice the interval", { interval: 2 * INTERVAL }),
  obeyed("four", "reserved bits set", { change: (p) => octet(4, (p[4] ?? 0) | 0xf0)(p) }),
  obeyed("four", "another address", { addresses: ["192.0.2.77"] }),
  obeyed("four", "an address more", ({ address }) => ({ addresses: ["192.0.2.77", address] })),
  obeyed("four", "priority of an owner", { priority: 255 }),
  obeyed("four", "from another network", { source: "198.51.100.7" }),
  obeyed("four", "from the virtual address", ({ address }) => ({ source: address })),
  dropped("four", "source", "from no address", { source: "0.0.0.0" }),
  dropped("four", "own-address", "from the router's own address", { source: ownAddress("a", "ipv4") }),
  dropped("four", "destination", "to a unicast address, by the group's MAC", { destination: ownAddress("a", "ipv4") }),
  dropped("four", "destination", "to a unicast address", ({ mac }) => ({
    destination: ownAddress("a", "ipv4"),
    to: mac,
  })),
  dropped("four", "destination", "to another group", { destination: "224.0.0.5" }),
  obeyed("four", "padded to the least size of a frame", {}, (frame) =>
    Uint8Array.from([...frame, ...new Uint8Array(14)]),
  ),
  obeyed("four", "IP options", { ip: { options: Uint8Array.of(1, 1, 1, 0) } }),
  dropped("four", "fragment", "the first part of a packet", { ip: { moreFragments: true } }),
  dropped("four", "ip", "IP header checksum wrong", {}, (frame) => {
    frame[HEADER + 10] = (frame[HEADER + 10] ?? 0) ^ 0x5a;
    return frame;
  }),
  dropped("four", "ip", "IP header longer than the packet", {}, header(0, 0x4f)),
  dropped("four", "ip", "IP packet longer than the frame", {}, header(3, 200)),
  dropped("four", "carp", "CARP", ({ vrid }) => ({
    spoil: () => Uint8Array.from([0x21, vrid, 0, 7, 0, 1, 0, 0, ...new Uint8Array(28)]),
  })),
  dropped("four", "unheard", "an authentication header", {}, header(9, 51)),
  dropped("four", "unheard", "of another VLAN", {}, (frame) =>
    Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0xe0, 7, ...frame.subarray(12)]),
  ),
  obeyed("four", "with a priority tag, of no VLAN", {}, (frame) =>
    Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0xe0, 0, ...frame.subarray(12)]),
  ),
  dropped("four", "vrid", "VRID 0", { change: octet(1, 0) }),
  dropped("four", "vrid", "a VRID that nobody has here", { change: octet(1, 250) }),
  dropped("four", "vrid", "IPv6, for a VRID that is IPv4 here", ({ vrid }) => ({
    source: ownAddress("b", "ipv6", "link"),
    addresses: [`fe80::1:${vrid}`],
  })),
];

const SIX: readonly Row[] = [
  obeyed("six", "valid", {}),
  dropped("six", "ttl", "hop limit 254", { ip: { ttl: 254 } }),
  dropped("six", "checksum", "checksum wrong", { spoil: (p) => octet(6, (p[6] ?? 0) ^ 0x5a)(p) }),
  dropped("six", "checksum", "checksum over the message alone", {
    spoil: (p) => {
      setU16(p, 6, 0);
      setU16(p, 6, internetChecksum(p));
      return p;
    },
  }),
  dropped("six", "type", "type 2", { change: octet(0, 0x32) }),
  dropped("six", "version", "version 2", { change: octet(0, 0x21) }),
  dropped("six", "length", "three addresses counted, two there", { change: octet(3, 3) }),
  dropped("six", "count-zero", "no address", { addresses: [] }),
  dropped("six", "interval-zero", "interval 0", { change: (p) => octet(5, 0)(octet(4, 0)(p)) }),
  dropped("six", "first-address", "first address not link-local", ({ vrid, address }) => ({
    addresses: [address, `fe80::1:${vrid}`],
  })),
  dropped("six", "own-address", "from the router's own address", { source: ownAddress("a", "ipv6", "link") }),
  dropped("six", "source", "from no address", { source: "::" }),
  dropped("six", "destination", "to another group", { destination: "ff02::1" }),
  obeyed("six", "from a global address", { source: ownAddress("b", "ipv6") }),
  dropped("six", "vrid", "IPv4, for a VRID that is IPv6 here", ({ vrid }) => ({
    source: ownAddress("b", "ipv4"),
    addresses: [`10.99.1.${vrid}`],
  })),
];

const TWO: readonly Row[] = [
  obeyed("two", "valid", {}),
  dropped("two", "interval-mismatch", "another interval", { interval: 2_000 }),
  dropped("two", "auth", "authentication type 1", { change: octet(4, 1) }),
  dropped("two", "version", "version 3", { version: 3 }),
  dropped("two", "checksum", "checksum with a pseudo-header", {
    spoil: (p) => octet(6, (p[6] ?? 0) ^ 0x5a)(p),
  }),
  dropped("two", "address-list", "another address", { addresses: ["192.0.2.77"] }),
  obeyed("two", "another address, from their owner", { addresses: ["192.0.2.77"], priority: 255 }),
  dropped("two", "length", "without authentication data", { change: cut(12) }),
  dropped("two", "ttl", "TTL 254", { ip: { ttl: 254 } }),
];

const UNICAST: readonly Row[] = [
  obeyed("unicast", "from the peer", {}),
  dropped("unicast", "source", "from somebody else", { source: "10.99.0.77" }),
  dropped("unicast", "ttl", "TTL 64", { ip: { ttl: 64 } }),
  dropped("unicast", "destination", "from the peer to the group", ({ mac: _ }) => ({
    destination: "224.0.0.18",
    to: "01:00:5e:00:00:12" as Mac,
  })),
];

export const ROWS: readonly Row[] = [...FOUR, ...SIX, ...TWO, ...UNICAST];
