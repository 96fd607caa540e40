/** A dissected frame as one readable line: number, time, interface, who to whom, what, and what a receiver does with it. */
import { cs, formatDuration, sec } from "../../src/core/time.ts";
import { STATE } from "../lacp/codec.ts";
import type {
  Dissected,
  IccpShown,
  LacpEnd,
  LacpShown,
  MarkerShown,
  NdFields,
  VersionedVerdict,
  VrrpFields,
} from "./types.ts";

export function formatFrame(frame: Dissected): string {
  const parts = [String(frame.n).padStart(5), frame.t.toFixed(6).padStart(11)];
  // A name comes from the file: it must not steer the terminal.
  if (frame.if !== undefined) parts.push(frame.if.replaceAll(/\p{Cc}/gu, "?"));
  const between = ends(frame);
  if (between !== undefined) parts.push(between);
  if (frame.vlan !== undefined) parts.push(`vlan ${frame.vlan.map(({ vid }) => vid).join(".")}`);
  parts.push(what(frame));
  if (frame.caplen !== undefined) parts.push(`[${frame.caplen} of ${frame.len} octets]`);
  if (frame.gap !== undefined) parts.push(`[${frame.gap} octets missing before]`);
  if (frame.note !== undefined) parts.push(`(${frame.note})`);
  parts.push(`=> ${verdict(frame)}`);
  return parts.join("  ");
}

function ends(frame: Dissected): string | undefined {
  const { ip, eth, sll } = frame;
  if (ip !== undefined && ip.src !== null && ip.dst !== null) return `${ip.src} > ${ip.dst}`;
  if (eth !== undefined) return `${eth.src} > ${eth.dst}`;
  return sll?.["src.eth"];
}

function what(frame: Dissected): string {
  const { vrrp, carp, lacp, marker, arp, nd, udp, tcp, ldp } = frame;
  if (vrrp !== undefined) return formatVrrp(vrrp);
  if (carp !== undefined) return `CARP vhid ${carp.vhid} advbase ${carp.advbase} advskew ${carp.advskew}`;
  if (lacp !== undefined) return formatLacp(lacp);
  if (marker !== undefined) return formatMarker(marker);
  if (arp !== undefined) {
    const kind = arp.gratuitous ? "gratuitous " : "";
    const op = ["request", "reply"][arp.op - 1] ?? `operation ${arp.op}`;
    return `${frame.proto} ${kind}${op} ${arp.spa ?? "?"} at ${arp.sha ?? "?"}, target ${arp.tpa ?? "?"}`;
  }
  if (nd !== undefined) return formatNd(nd);
  const messages = frame.iccp_messages ?? [];
  if (messages.length > 0) return `ICCP ${messages.map(formatIccp).join(", ")}`;
  if (tcp !== undefined) {
    const types = ldp === undefined ? "" : ` ${ldp.message_types.join(" ")}`;
    return `${frame.proto} ${tcp.sport} > ${tcp.dport} flags ${tcp.flags ?? "?"} length ${tcp.len ?? "?"}${types}`;
  }
  if (udp !== undefined) return `${frame.proto} ${udp.sport} > ${udp.dport}`;
  if (frame.icmpv6 !== undefined) return `${frame.proto} type ${frame.icmpv6.type}`;
  if (frame.proto === "other" && frame.eth?.type !== undefined) return `other ${frame.eth.type}`;
  return frame.proto;
}

function formatVrrp(vrrp: VrrpFields): string {
  const words = [`VRRPv${vrrp.version}`];
  // RFC 9568 §5.2.2 knows one type; any other is worth a word.
  if (vrrp.type !== 1) words.push(`type ${vrrp.type}`);
  if (vrrp.vrid !== undefined) words.push(`vrid ${vrrp.vrid}`);
  if (vrrp.priority !== undefined) words.push(`priority ${vrrp.priority}`);
  if (vrrp.adv_cs !== undefined) words.push(`interval ${formatDuration(cs(vrrp.adv_cs))}`);
  if (vrrp.adv_s !== undefined) words.push(`interval ${formatDuration(sec(vrrp.adv_s))}`);
  if (vrrp.auth_type !== undefined && vrrp.auth_type !== 0) words.push(`auth ${vrrp.auth_type}`);
  const there = vrrp.addresses ?? [];
  if (there.length > 0) words.push(there.join(","));
  if (vrrp.count !== undefined && vrrp.count !== there.length) words.push(`(count ${vrrp.count})`);
  if (vrrp.trailer !== undefined) words.push(`signed with key ${vrrp.trailer.key} sequence ${vrrp.trailer.sequence}`);
  return words.join(" ");
}

function formatLacp(lacp: LacpShown): string {
  return `LACPv${lacp.version ?? "?"} actor ${formatEnd(lacp.actor)} partner ${formatEnd(lacp.partner)}`;
}

function formatEnd(end: LacpEnd | undefined): string {
  if (end === undefined) return "?";
  const { system = "?", key = "?", port = "?", state } = end;
  return `${system} key ${key} port ${port} ${state === undefined ? "?" : flags(Number(state))}`;
}

const LETTERS: readonly (readonly [number, string])[] = [
  [STATE.activity, "A"],
  [STATE.shortTimeout, "F"],
  [STATE.aggregation, "G"],
  [STATE.synchronization, "S"],
  [STATE.collecting, "C"],
  [STATE.distributing, "D"],
  [STATE.defaulted, "d"],
  [STATE.expired, "X"],
];

/** One letter a bit: Active, Fast, aGgregation, Synchronization, Collecting, Distributing, defaulted, eXpired. */
function flags(state: number): string {
  return `[${LETTERS.map(([bit, letter]) => ((state & bit) === 0 ? "-" : letter)).join("")}]`;
}

function formatMarker(marker: MarkerShown): string {
  const { kind = "?", system = "?", port = "?", transaction = "?" } = marker;
  return `MARKER ${kind} ${system} port ${port} transaction ${transaction}`;
}

function formatNd(nd: NdFields): string {
  switch (nd.kind) {
    case "advertisement": {
      const bits = [nd.router ? "router" : "", nd.solicited ? "solicited" : "", nd.override ? "override" : ""];
      const at = nd.target_lladdr === undefined ? "" : ` at ${nd.target_lladdr}`;
      return ["ND advertisement", `${nd.target}${at}`, ...bits.filter((bit) => bit !== "")].join(" ");
    }
    case "solicitation":
      return `ND solicitation ${nd.target}`;
    case "router-solicitation":
      return "ND router solicitation";
    case "router-advertisement":
      return `ND router advertisement lifetime ${nd.lifetime}s`;
  }
}

const USUAL: ReadonlySet<string> = new Set(["ICC RG id", "envelope (hotpair)", "authentication (hotpair)"]);
/** Parameters of a message that a line names. */
const MOST_NAMED = 3;

function formatIccp(message: IccpShown): string {
  // RG id, envelope and signature are in nearly every message; what it is about stands beside them.
  const about = message.tlvs.map(({ name }) => name).filter((name) => !USUAL.has(name));
  const named = about.length > 0 ? about : message.tlvs.slice(-1).map(({ name }) => name);
  const more = named.length > MOST_NAMED ? ` and ${named.length - MOST_NAMED} more` : "";
  const list = `${named.slice(0, MOST_NAMED).join(", ")}${more}`;
  return list === "" ? `${message.name} #${message.id}` : `${message.name} #${message.id} (${list})`;
}

function verdict(frame: Dissected): string {
  const { rx } = frame;
  if (typeof rx === "string") return frame.reason === undefined ? rx : `${rx}: ${frame.reason}`;
  return versioned(rx, frame.vrrp?.version);
}

/** What the receiver of the advert's own version does; the other one can but drop it. */
function versioned(rx: VersionedVerdict, version: number | undefined): string {
  const [word, own] = version === 2 ? [rx.v2, rx.v2_reason] : [rx.v3, rx.v3_reason];
  const reason = rx.reason ?? own;
  return reason === undefined ? word : `${word}: ${reason}`;
}
