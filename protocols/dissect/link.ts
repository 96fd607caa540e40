/** The link layers of a capture: what is around the EtherType. */
import { macFrom } from "../../src/core/addr.ts";
import { u16, u32 } from "../../src/core/bytes.ts";
import { decodeEthernet, ETHERTYPE, FIRST_TYPE, isTag, LLC, type Tag } from "../ethernet/codec.ts";
import { SLOW_GROUP } from "../lacp/codec.ts";
import { dissectArp } from "./arp.ts";
import { dissectIp } from "./network.ts";
import type { Sessions } from "./session.ts";
import { dissectSlow } from "./slow.ts";
import { behind, type Eth, hex, judged, type Layers, type Part, type Sll, type Vlan } from "./types.ts";

/** LINKTYPE_ numbers of the tcpdump group's registry. */
export const LINK_TYPE = {
  null: 0,
  ethernet: 1,
  ppp: 9,
  rawBsd: 12,
  raw: 101,
  ciscoHdlc: 104,
  frameRelay: 107,
  loop: 108,
  sll: 113,
  ipv4: 228,
  ipv6: 229,
  sll2: 276,
} as const;

export function dissectLink(linkType: number, part: Part, sessions: Sessions): Layers {
  switch (linkType) {
    case LINK_TYPE.ethernet:
      return dissectEthernet(part, sessions);
    case LINK_TYPE.sll:
      return dissectSll(part, sessions);
    case LINK_TYPE.sll2:
      return dissectSll2(part, sessions);
    case LINK_TYPE.raw:
    case LINK_TYPE.rawBsd:
    case LINK_TYPE.ipv4:
    case LINK_TYPE.ipv6:
      return dissectIp(part, undefined, sessions);
    case LINK_TYPE.null:
    case LINK_TYPE.loop:
      // Four octets of address family, whose numbers and octet order are the writer's: the packet says it better.
      return dissectIp(behind(part, 4), undefined, sessions);
    case LINK_TYPE.ppp:
      return dissectPpp(part, sessions);
    case LINK_TYPE.ciscoHdlc:
      return part.bytes.length < 4 ? tooShort(part) : dissectType(u16(part.bytes, 2), behind(part, 4), sessions);
    case LINK_TYPE.frameRelay:
      return dissectFrameRelay(part, sessions);
    default:
      return { proto: "other", note: `unsupported link type ${linkType}`, rx: "ignore", reason: "link-type" };
  }
}

function tooShort(part: Part): Layers {
  return { proto: "other", ...judged(part, "drop", "short") };
}

function dissectEthernet(part: Part, sessions: Sessions): Layers {
  const { bytes } = part;
  const decoded = decodeEthernet(bytes, part.wire);
  if (!decoded.ok) {
    const fault = { proto: "other", ...judged(part, "drop", decoded.reason) };
    return bytes.length < 14 ? fault : { eth: { src: macFrom(bytes, 6), dst: macFrom(bytes) }, ...fault };
  }
  const { source, destination, tags, type, payload, trailer } = decoded.value;
  const outer = tags[0]?.tpid ?? type;
  const plain = outer === LLC || outer === ETHERTYPE.ipv4 || outer === ETHERTYPE.ipv6;
  const eth: Eth = { src: source, dst: destination, ...(plain ? {} : { type: hex(outer, 4) }) };
  const head = tags.length === 0 ? { eth } : { eth, vlan: tags.map(vlanOf) };
  const at = bytes.length - payload.length - trailer.length;
  if (type === LLC) return { ...head, ...dissectLlc({ bytes: payload, wire: u16(bytes, at - 2) }, sessions) };
  const inner = dissectType(type, behind(part, at), sessions);
  const stray = inner.reason === "protocol" && destination === SLOW_GROUP;
  return { ...head, ...inner, ...(stray ? { reason: "not-slow" } : {}) };
}

function vlanOf(tag: Tag): Vlan {
  return { tpid: hex(tag.tpid, 4), vid: tag.vid, pcp: tag.pcp, ...(tag.dei ? { dei: true } : {}) };
}

/** What stands behind an EtherType. */
export function dissectType(type: number, part: Part, sessions: Sessions): Layers {
  switch (type) {
    case ETHERTYPE.ipv4:
      return dissectIp(part, 4, sessions);
    case ETHERTYPE.ipv6:
      return dissectIp(part, 6, sessions);
    case ETHERTYPE.arp:
      return dissectArp(part);
    case ETHERTYPE.slow:
      return dissectSlow(part);
    case ETHERTYPE.lldp:
      return unspoken("LLDP");
    case 0x8808:
      return unspoken("MAC CTRL");
    default:
      return unspoken("other");
  }
}

function unspoken(proto: string): Layers {
  return { proto, rx: "ignore", reason: "protocol" };
}

/** Protocols of Cisco's organisation code in a SNAP header. */
const CISCO: ReadonlyMap<number, string> = new Map([
  [0x010b, "STP"],
  [0x2000, "CDP"],
]);

/** IEEE 802.2: DSAP, SSAP, control; behind AA AA 03 the SNAP header: organisation 3, type 2. */
function dissectLlc(part: Part, sessions: Sessions): Layers {
  const { bytes } = part;
  const service = u16(bytes, 0);
  if (service === 0x4242) return unspoken("STP");
  if (service !== 0xaaaa || bytes.length < 8) return unspoken("other");
  const organisation = u32(bytes, 2) & 0x00ffffff;
  const type = u16(bytes, 6);
  // RFC 1042: organisation 0 is an EtherType.
  if (organisation === 0) return dissectType(type, behind(part, 8), sessions);
  return unspoken((organisation === 0x00000c ? CISCO.get(type) : undefined) ?? "other");
}

/** Linux cooked: packet type 2, ARPHRD_ 2, address length 2, address 8, protocol 2. */
function dissectSll(part: Part, sessions: Sessions): Layers {
  const { bytes } = part;
  if (bytes.length < 16) return tooShort(part);
  const sll: Sll = {
    pkttype: String(u16(bytes, 0)),
    hatype: String(u16(bytes, 2)),
    ...(u16(bytes, 4) === 6 ? { "src.eth": macFrom(bytes, 6) } : {}),
    etype: hex(u16(bytes, 14), 4),
  };
  return { sll, ...dissectCooked(u16(bytes, 14), behind(part, 16), sessions) };
}

/** Linux cooked, version 2: protocol 2, reserved 2, interface 4, ARPHRD_ 2, packet type 1, address length 1, address 8. */
function dissectSll2(part: Part, sessions: Sessions): Layers {
  const { bytes } = part;
  if (bytes.length < 20) return tooShort(part);
  const sll: Sll = {
    etype: hex(u16(bytes, 0), 4),
    ifindex: String(u32(bytes, 4)),
    hatype: String(u16(bytes, 8)),
    pkttype: String(bytes[10] ?? 0),
    ...(bytes[11] === 6 ? { "src.eth": macFrom(bytes, 12) } : {}),
  };
  return { sll, ...dissectCooked(u16(bytes, 0), behind(part, 20), sessions) };
}

/** Of a cooked capture: the protocol is an EtherType, or below that 4 for an 802.2 frame; tags may follow. */
function dissectCooked(protocol: number, part: Part, sessions: Sessions): Layers {
  const vlan: Vlan[] = [];
  let rest = part;
  let type = protocol;
  while (isTag(type) && rest.bytes.length >= 4) {
    const tci = u16(rest.bytes, 0);
    const dei = (tci & 0x1000) !== 0;
    vlan.push(vlanOf({ tpid: type, pcp: tci >>> 13, dei, vid: tci & 0xfff }));
    type = u16(rest.bytes, 2);
    rest = behind(rest, 4);
  }
  const inner = type < FIRST_TYPE ? dissectLlc(rest, sessions) : dissectType(type, rest, sessions);
  return vlan.length === 0 ? inner : { vlan, ...inner };
}

/** RFC 1661, RFC 1662: FF 03 unless compressed, protocol 2. */
function dissectPpp(part: Part, sessions: Sessions): Layers {
  const at = u16(part.bytes, 0) === 0xff03 ? 2 : 0;
  if (part.bytes.length < at + 2) return tooShort(part);
  const protocol = u16(part.bytes, at);
  const rest = behind(part, at + 2);
  if (protocol === 0x0021) return dissectIp(rest, 4, sessions);
  return protocol === 0x0057 ? dissectIp(rest, 6, sessions) : unspoken("other");
}

/** Q.922 address, whose last octet is odd; then RFC 2427's control 03 and NLPID, or Cisco's EtherType. */
function dissectFrameRelay(part: Part, sessions: Sessions): Layers {
  const { bytes } = part;
  let at = 0;
  while (at < 4 && ((bytes[at] ?? 1) & 1) === 0) at++;
  at++;
  if (bytes.length < at + 2) return tooShort(part);
  const next = u16(bytes, at);
  const rest = behind(part, at + 2);
  if (next === 0x03cc) return dissectIp(rest, 4, sessions);
  return next === 0x038e ? dissectIp(rest, 6, sessions) : dissectType(next, rest, sessions);
}
