/** An ICCP message with the names and forms of the ground truth in `captures/`. */
import { toHex, u16, u32 } from "../../src/core/bytes.ts";
import type { Result } from "../../src/core/result.ts";
import {
  decodeOwn,
  decodeValue,
  type IccpMessage,
  type IccpReason,
  type IccpValue,
  MESSAGE,
  type OwnValue,
  ownName,
  PARAMETER,
  readTlvs,
  type Tlv,
} from "../iccp/codec.ts";
import { hex, type IccpShown, type IccpTlv } from "./types.ts";

const MESSAGE_NAMES: ReadonlyMap<number, string> = new Map([
  [MESSAGE.capability, "capability"],
  [MESSAGE.rgConnect, "RG connect"],
  [MESSAGE.rgDisconnect, "RG disconnect"],
  [MESSAGE.rgNotification, "RG notification"],
  [MESSAGE.rgApplicationData, "RG application data"],
]);

const TLV_NAMES: ReadonlyMap<number, string> = new Map([
  [PARAMETER.senderName, "ICC sender name"],
  [PARAMETER.nak, "NAK"],
  [PARAMETER.disconnectCode, "disconnect code"],
  [PARAMETER.rgId, "ICC RG id"],
  [PARAMETER.systemConfig, "mLACP system config"],
  [PARAMETER.aggregatorConfig, "mLACP aggregator config"],
  [PARAMETER.aggregatorState, "mLACP aggregator state"],
  [PARAMETER.syncRequest, "mLACP sync request"],
  [PARAMETER.syncData, "mLACP sync data"],
  [PARAMETER.heartbeat, "heartbeat (SONiC)"],
  [PARAMETER.capability, "ICCP capability"],
  [PARAMETER.portChannel, "port channel info (SONiC)"],
  [PARAMETER.peerLink, "peer link info (SONiC)"],
  [PARAMETER.arpList, "ARP info (SONiC)"],
  [PARAMETER.macList, "MAC info (SONiC)"],
  [PARAMETER.warmBoot, "warm boot (SONiC)"],
  [PARAMETER.ndList, "ND info (SONiC)"],
  [PARAMETER.interfaceUp, "interface up ack (SONiC)"],
]);

/** @param bytes one whole message */
export function showIccp(
  bytes: Uint8Array,
  where: Pick<IccpShown, "frame" | "t" | "src" | "sport">,
  decoded: Result<IccpMessage, IccpReason>,
): IccpShown {
  const type = u16(bytes, 0) & 0x7fff;
  return {
    ...where,
    u_bit: (bytes[0] ?? 0) >>> 7,
    type: hex(type, 4),
    name: MESSAGE_NAMES.get(type) ?? "unknown",
    length: u16(bytes, 2),
    id: u32(bytes, 4),
    tlvs: readTlvs(bytes).map(showTlv),
    hex: toHex(bytes),
    ...(decoded.ok ? {} : { reason: decoded.reason }),
  };
}

function showTlv(tlv: Tlv): IccpTlv {
  const own = decodeOwn(tlv.type, tlv.value);
  const value = own ?? decodeValue(tlv.type, tlv.value);
  const decoded = own === undefined ? shownValue(tlv) : own.ok ? showOwn(own.value) : undefined;
  return {
    type: hex(tlv.type, 4),
    u: tlv.unknownBit ? 1 : 0,
    f: tlv.forwardBit ? 1 : 0,
    name: TLV_NAMES.get(tlv.type) ?? ownTitle(tlv.type) ?? "unknown",
    length: tlv.value.length,
    value: toHex(tlv.value),
    ...(decoded === undefined ? {} : { decoded }),
    ...(value.ok ? {} : { reason: value.reason }),
  };
}

function shownValue(tlv: Tlv): unknown {
  const value = decodeValue(tlv.type, tlv.value);
  return value.ok ? showValue(value.value) : undefined;
}

/** "port state (hotpair)" for portState. */
function ownTitle(type: number): string | undefined {
  const name = ownName(type);
  return name === undefined ? undefined : `${words(name, " ")} (hotpair)`;
}

function words(name: string, between: string): string {
  return name.replace(/[A-Z]/g, (letter) => `${between}${letter.toLowerCase()}`);
}

/** The value without its kind, which is the name; a list as such. */
function showOwn({ kind: _, ...fields }: OwnValue): unknown {
  const shown = underscored(fields) as Readonly<Record<string, unknown>>;
  return Object.keys(shown).join() === "entries" ? shown["entries"] : shown;
}

/** The names of fields as in the rest of the output. */
function underscored(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(underscored);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [words(name, "_"), underscored(one)]));
}

const STATES = ["up", "down", "admin down", "test"] as const;

function operation(value: number): string | number {
  return value === 1 ? "add" : value === 2 ? "delete" : value;
}

function showValue(value: IccpValue): unknown {
  switch (value.kind) {
    case "senderName":
      return value.name;
    case "rgId":
      return value.rg;
    case "nak":
      return { status: hex(value.status, 8), rejected: value.rejected };
    case "disconnectCode":
      return { status: hex(value.status, 8) };
    case "systemConfig":
      return { system: value.system, system_priority: value.priority, node_id: value.node };
    case "aggregatorConfig":
      return {
        ro_id: toHex(value.roId),
        agg_id: value.aggregator,
        mac: value.mac,
        actor_key: value.key,
        member_priority: value.memberPriority,
        flags: value.flags,
        name: value.name,
      };
    case "aggregatorState":
      return {
        partner_system: value.partnerSystem,
        partner_priority: value.partnerPriority,
        partner_key: value.partnerKey,
        agg_id: value.aggregator,
        actor_key: value.key,
        state: value.state,
        state_name: STATES[value.state] ?? "unknown",
      };
    case "syncRequest":
      return { request: value.request, what: value.scope.toString(16).padStart(4, "0") };
    case "syncData":
      return { request: value.request, flags: value.flags, meaning: value.flags === 0 ? "start" : "end" };
    case "capability":
      return { s_bit: value.supported ? 1 : 0, major: value.major, minor: value.minor };
    case "portChannel":
      return showPortChannel(value);
    case "peerLink":
      return { name: value.name, if_type: value.type };
    case "interfaceUp":
      return { if_type: value.type, isolation: value.isolation, if_id: value.interface };
    case "macList":
      return value.entries.map((entry) => ({
        op: operation(entry.operation),
        type: entry.type === 1 ? "static" : entry.type === 2 ? "dynamic" : entry.type,
        mac: entry.mac,
        vid: entry.vlan,
        ifname: entry.interface,
      }));
    case "arpList":
    case "ndList": {
      const address = value.kind === "arpList" ? "ipv4" : "ipv6";
      return value.entries.map((entry) => ({
        op: operation(entry.operation),
        flag: entry.flags,
        ifname: entry.interface,
        [address]: entry.address,
        mac: entry.mac,
      }));
    }
    case "heartbeat":
    case "warmBoot":
    case "other":
      return undefined;
  }
}

/** The address as it stands in the message, reversed. */
function showPortChannel(value: Extract<IccpValue, { kind: "portChannel" }>): unknown {
  const octets = value.address.split(".").reverse().map(Number);
  return {
    agg_id: value.aggregator,
    name: value.name,
    name_length: value.name.length,
    l3_mode: value.l3Mode,
    ipv4_field: toHex(Uint8Array.from(octets)),
    po_id: value.portChannel,
    vlans: value.vlans,
  };
}
