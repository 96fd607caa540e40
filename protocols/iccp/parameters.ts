/**
 * Values of ICCP parameters. The first group is RFC 7275 §6.1 and §7.2, the second SONiC iccpd's own (its structures
 * as they stand in memory, hence the padding).
 *
 *   0001  sender name: text
 *   0002  NAK: status 4, rejected message id or RG id 4
 *   0004  disconnect code: status 4
 *   0005  RG id 4
 *   0032  system config: system 6, priority 2, node id 1
 *   0036  aggregator config: ROID 8, aggregator 2, MAC 6, key 2, member priority 2, flags 1, name length 1, name 20
 *   0037  aggregator state: partner system 6, its priority 2, its key 2, aggregator 2, key 2, state 1
 *   0038  sync request: request 2, C 1 S 1 type 14, aggregator 2, key 2
 *   0039  sync data: request 2, flags 2
 *   0700  capability: S 1, reserved 15, major 1, minor 1
 *
 *   003a  heartbeat 1 (in RFC 7275 the disconnect cause, a text: other lengths than 1 are left as they are)
 *   1034  port channel: aggregator 2, name 20, name length 1, L3 mode 1, IPv4 4 in reverse, port channel 2, count 2,
 *         VLAN ids 2 each
 *   1035  peer link: name 20, type 1
 *   1036  ARP list, 103a ND list: count 2; operation 1, flags 1, learned 1, interface 20, pad 1, address 4 or 16,
 *         MAC 6, pad 2 each
 *   1038  MAC list: count 2; operation 1, type 1, MAC 6, VLAN 2, interface 20 each
 *   1039  warm boot 1
 *   103b  interface up acknowledged: type 1, isolation 1, interface 2
 */
import { type Ip, type Ip4, ip4From, ipFrom, type Mac, macFrom } from "../../src/core/addr.ts";
import { Reader } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";

export const PARAMETER = {
  senderName: 0x0001,
  nak: 0x0002,
  disconnectCode: 0x0004,
  rgId: 0x0005,
  systemConfig: 0x0032,
  aggregatorConfig: 0x0036,
  aggregatorState: 0x0037,
  syncRequest: 0x0038,
  syncData: 0x0039,
  heartbeat: 0x003a,
  capability: 0x0700,
  portChannel: 0x1034,
  peerLink: 0x1035,
  arpList: 0x1036,
  macList: 0x1038,
  warmBoot: 0x1039,
  ndList: 0x103a,
  interfaceUp: 0x103b,
} as const;

/** Octets of a name field; RFC 7275 §7.2.4. */
export const NAME_SIZE = 20;

export interface MacEntry {
  /** 1 add, 2 delete. */
  readonly operation: number;
  /** 1 static, 2 dynamic. */
  readonly type: number;
  readonly mac: Mac;
  readonly vlan: number;
  readonly interface: string;
}

export interface NeighbourEntry {
  /** 1 add, 2 delete. */
  readonly operation: number;
  readonly flags: number;
  readonly learned: number;
  readonly interface: string;
  readonly address: Ip;
  readonly mac: Mac;
}

export type IccpValue =
  | { readonly kind: "senderName"; readonly name: string }
  | { readonly kind: "nak"; readonly status: number; readonly rejected: number }
  | { readonly kind: "disconnectCode"; readonly status: number }
  | { readonly kind: "rgId"; readonly rg: number }
  | { readonly kind: "systemConfig"; readonly system: Mac; readonly priority: number; readonly node: number }
  | {
      readonly kind: "aggregatorConfig";
      /** Redundant object identifier; a view. */
      readonly roId: Uint8Array;
      readonly aggregator: number;
      readonly mac: Mac;
      readonly key: number;
      readonly memberPriority: number;
      /** 1 synchronised, 2 purge. */
      readonly flags: number;
      readonly name: string;
    }
  | {
      readonly kind: "aggregatorState";
      readonly partnerSystem: Mac;
      readonly partnerPriority: number;
      readonly partnerKey: number;
      readonly aggregator: number;
      readonly key: number;
      /** 0 up, 1 down, 2 administratively down, 3 test. */
      readonly state: number;
    }
  | {
      readonly kind: "syncRequest";
      readonly request: number;
      /** C and S bits and what is asked for; 0xffff is everything. */
      readonly scope: number;
      readonly aggregator: number;
      readonly key: number;
    }
  /** Flags: 0 the data begin, 1 they end. */
  | { readonly kind: "syncData"; readonly request: number; readonly flags: number }
  | { readonly kind: "heartbeat" | "warmBoot"; readonly octet: number }
  | { readonly kind: "capability"; readonly supported: boolean; readonly major: number; readonly minor: number }
  | {
      readonly kind: "portChannel";
      readonly aggregator: number;
      readonly name: string;
      readonly l3Mode: number;
      readonly address: Ip4;
      readonly portChannel: number;
      readonly vlans: readonly number[];
    }
  /** Type: 0 Ethernet, 1 port channel, 3 VXLAN. */
  | { readonly kind: "peerLink"; readonly name: string; readonly type: number }
  | { readonly kind: "arpList" | "ndList"; readonly entries: readonly NeighbourEntry[] }
  | { readonly kind: "macList"; readonly entries: readonly MacEntry[] }
  | { readonly kind: "interfaceUp"; readonly type: number; readonly isolation: number; readonly interface: number }
  /** Any other type. */
  | { readonly kind: "other"; readonly type: number; readonly bytes: Uint8Array };

type Kind = Exclude<IccpValue["kind"], "other">;

/** A value longer or shorter than its type's; a count that disagrees with it; a name longer than its field. */
export type IccpValueReason = "tlv-length" | "list-length" | "name-length";

const KINDS: ReadonlyMap<number, Kind> = new Map(Object.entries(PARAMETER).map(([kind, type]) => [type, kind as Kind]));

/** Octets of the values that always have the same number. */
export const SIZES: Partial<Record<Kind, number>> = {
  nak: 8,
  disconnectCode: 4,
  rgId: 4,
  systemConfig: 9,
  aggregatorConfig: 42,
  aggregatorState: 15,
  syncRequest: 8,
  syncData: 4,
  heartbeat: 1,
  capability: 4,
  peerLink: 21,
  warmBoot: 1,
  interfaceUp: 4,
};
/** Octets of an entry, and of a port channel without its VLANs. */
export const MAC_ENTRY = 30;
export const ARP_ENTRY = 36;
export const ND_ENTRY = 48;
export const PORT_CHANNEL = 32;

/** Reads the value of a parameter; a type that is not known is kept as it stands. */
export function decodeValue(type: number, bytes: Uint8Array): Result<IccpValue, IccpValueReason> {
  const kind = KINDS.get(type);
  if (kind === undefined || (kind === "heartbeat" && bytes.length !== 1)) return ok({ kind: "other", type, bytes });
  const size = SIZES[kind];
  if (size !== undefined && bytes.length !== size) return drop("tlv-length");
  const reader = new Reader(bytes);
  switch (kind) {
    case "senderName":
      return ok({ kind, name: text(bytes) });
    case "nak":
      return ok({ kind, status: reader.u32(), rejected: reader.u32() });
    case "disconnectCode":
      return ok({ kind, status: reader.u32() });
    case "rgId":
      return ok({ kind, rg: reader.u32() });
    case "systemConfig":
      return ok({ kind, system: macFrom(reader.view(6)), priority: reader.u16(), node: reader.u8() });
    case "aggregatorConfig":
      return aggregatorConfig(reader);
    case "aggregatorState":
      return ok({
        kind,
        partnerSystem: macFrom(reader.view(6)),
        partnerPriority: reader.u16(),
        partnerKey: reader.u16(),
        aggregator: reader.u16(),
        key: reader.u16(),
        state: reader.u8(),
      });
    case "syncRequest":
      return ok({ kind, request: reader.u16(), scope: reader.u16(), aggregator: reader.u16(), key: reader.u16() });
    case "syncData":
      return ok({ kind, request: reader.u16(), flags: reader.u16() });
    case "heartbeat":
    case "warmBoot":
      return ok({ kind, octet: reader.u8() });
    case "capability":
      return ok({ kind, supported: reader.u16() >>> 15 === 1, major: reader.u8(), minor: reader.u8() });
    case "portChannel":
      return portChannel(reader);
    case "peerLink":
      return ok({ kind, name: text(reader.view(NAME_SIZE)), type: reader.u8() });
    case "arpList":
      return list(reader, ARP_ENTRY, (entries) => ({ kind, entries }), neighbour);
    case "ndList":
      return list(reader, ND_ENTRY, (entries) => ({ kind, entries }), neighbour);
    case "macList":
      return list(reader, MAC_ENTRY, (entries) => ({ kind, entries }), macEntry);
    case "interfaceUp":
      return ok({ kind, type: reader.u8(), isolation: reader.u8(), interface: reader.u16() });
  }
}

function aggregatorConfig(reader: Reader): Result<IccpValue, IccpValueReason> {
  const fixed = {
    roId: reader.view(8),
    aggregator: reader.u16(),
    mac: macFrom(reader.view(6)),
    key: reader.u16(),
    memberPriority: reader.u16(),
    flags: reader.u8(),
  };
  const length = reader.u8();
  if (length > NAME_SIZE) return drop("name-length");
  return ok({ kind: "aggregatorConfig", ...fixed, name: text(reader.view(length)) });
}

function portChannel(reader: Reader): Result<IccpValue, IccpValueReason> {
  if (reader.left < PORT_CHANNEL) return drop("tlv-length");
  const aggregator = reader.u16();
  const field = reader.view(NAME_SIZE);
  const length = reader.u8();
  if (length > NAME_SIZE) return drop("name-length");
  const l3Mode = reader.u8();
  // iccpd writes this one in the octet order of its machine, which is little-endian wherever SONiC runs.
  const address = ip4From(reader.view(4).slice().reverse());
  const fixed = { aggregator, name: text(field.subarray(0, length)), l3Mode, address, portChannel: reader.u16() };
  const vlans: number[] = [];
  const count = reader.u16();
  if (reader.left !== 2 * count) return drop("list-length");
  for (let i = 0; i < count; i++) vlans.push(reader.u16());
  return ok({ kind: "portChannel", ...fixed, vlans });
}

function list<T>(
  reader: Reader,
  size: number,
  make: (entries: readonly T[]) => IccpValue,
  entry: (reader: Reader, size: number) => T,
): Result<IccpValue, IccpValueReason> {
  if (reader.left < 2) return drop("tlv-length");
  const count = reader.u16();
  if (reader.left !== count * size) return drop("list-length");
  const entries: T[] = [];
  for (let i = 0; i < count; i++) entries.push(entry(reader, size));
  return ok(make(entries));
}

function macEntry(reader: Reader): MacEntry {
  return {
    operation: reader.u8(),
    type: reader.u8(),
    mac: macFrom(reader.view(6)),
    vlan: reader.u16(),
    interface: text(reader.view(NAME_SIZE)),
  };
}

function neighbour(reader: Reader, size: number): NeighbourEntry {
  const head = {
    operation: reader.u8(),
    flags: reader.u8(),
    learned: reader.u8(),
    interface: text(reader.view(NAME_SIZE)),
  };
  reader.skip(1);
  const wide = size === ND_ENTRY;
  const address = ipFrom(reader.view(wide ? 16 : 4), wide ? "ipv6" : "ipv4");
  const mac = macFrom(reader.view(6));
  reader.skip(2);
  return { ...head, address, mac };
}

/** One character an octet, up to the first NUL. */
function text(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) {
    if (byte === 0) break;
    out += String.fromCharCode(byte);
  }
  return out;
}
