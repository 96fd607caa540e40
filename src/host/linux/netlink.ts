/**
 * rtnetlink messages (netlink(7), rtnetlink(7)): what the Linux host asks of the kernel. What that says is netlink-news.ts.
 * All integers are in the machine's own byte order, attributes are padded to four octets.
 */
import { Message } from "./netlink-message.ts";
import { bitsOf, type PortFlags } from "./port-flags.ts";

// linux/rtnetlink.h
export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  newNeighbour: 28,
  delNeighbour: 29,
  getNeighbour: 30,
} as const;
// linux/netlink.h
const FLAG = { request: 1, ack: 4, create: 0x400, exclusive: 0x200, replace: 0x100, dump: 0x300 } as const;
export const HEADER = 16;
export const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  operstate: 16,
  linkInfo: 18,
  afSpec: 26,
  group: 27,
} as const;
export const IFLA_INFO = { kind: 1, data: 2 } as const;
const IFLA_BR = { ageing: 4, stp: 5, multicastSnooping: 23 } as const;
const IFLA_PROTINFO = 12;
const IFLA_BRPORT = { learning: 8, unicastFlood: 9, flush: 24, multicastFlood: 27, broadcastFlood: 30 } as const;
const IFLA_MACVLAN_MODE = 1;
/** MACVLAN_MODE_PRIVATE: siblings on the same interface do not hear each other. */
const MACVLAN_PRIVATE = 1;
export const IFA = { address: 1, local: 2, cacheInfo: 6, flags: 8 } as const;
export const AF = { inet: 2, bridge: 7, inet6: 10 } as const;
const RTA = { destination: 1, interface: 4 } as const;
/** RT_TABLE_LOCAL, a number of ours, RT_SCOPE_UNIVERSE, RTN_LOCAL: linux/rtnetlink.h. */
const ROUTE = { localTable: 255, ours: 112, universe: 0, local: 2 } as const;
/** NLA_F_NESTED: without it the kernel takes the value for the state of the port alone. */
const NESTED = 0x8000;
export const NDA_LLADDR = 2;
/** NUD_REACHABLE: a station that ages. */
const REACHABLE = 0x02;
/** NTF_MASTER: the bridge's table, not the port's own. NTF_EXT_LEARNED: heard elsewhere, and so for ever. */
export const NTF = { master: 0x04, external: 0x10 } as const;
export const IFF_UP = 1;
/** IFA_F_NODAD: linux/if_addr.h. */
const NO_DAD = 0x02;
/** struct ifa_cacheinfo: preferred for no time, valid for ever; the rest is the kernel's. */
const DEPRECATED = new Uint8Array(Uint32Array.of(0, 0xffffffff, 0, 0).buffer);

/** rtnetlink(7), RTMGRP_*: what a socket for events is subscribed to. */
export const GROUPS = 0x1 | 0x10 | 0x100;

export type Request =
  | { readonly kind: "links" | "addresses" }
  | { readonly kind: "add-macvlan"; readonly name: string; readonly on: number; readonly mac: Uint8Array }
  /** `ageing` in hundredths of a second, as USER_HZ has them. */
  | { readonly kind: "add-bridge"; readonly name: string; readonly ageing: number }
  /** Makes an interface a port of a bridge; 0: of none. */
  | { readonly kind: "set-master"; readonly index: number; readonly master: number }
  /**
   * Whether what nobody in particular is to get leaves by this port of a bridge, whether it learns; `flush`: its stations
   * are forgotten.
   */
  | {
      readonly kind: "bridge-port";
      readonly index: number;
      readonly floods: boolean;
      readonly learns: boolean;
      readonly flush: boolean;
    }
  /** All at once, as they were found. */
  | { readonly kind: "port-flags"; readonly index: number; readonly flags: PortFlags }
  | { readonly kind: "delete-link"; readonly index: number }
  /** Makes an interface one of a group, which has no meaning but that it can be deleted at once; 0: of none. */
  | { readonly kind: "group-link"; readonly index: number; readonly group: number }
  | { readonly kind: "delete-group"; readonly group: number }
  | { readonly kind: "set-up"; readonly index: number; readonly up: boolean }
  | { readonly kind: "set-mac"; readonly index: number; readonly mac: Uint8Array }
  /** A station behind a port of a bridge, in place of where it was; `external`: it does not age. */
  | {
      readonly kind: "add-station";
      readonly index: number;
      readonly mac: Uint8Array;
      readonly external: boolean;
    }
  | { readonly kind: "delete-station"; readonly index: number; readonly mac: Uint8Array }
  | { readonly kind: "stations" }
  /** What comes for an IPv6 address is this host's: goes with the address's own such route, or when the interface is off. */
  | { readonly kind: "add-local-route"; readonly index: number; readonly address: Uint8Array }
  | {
      readonly kind: "add-address" | "delete-address";
      readonly index: number;
      /** Four or sixteen octets. */
      readonly address: Uint8Array;
      /** Bits of the prefix. */
      readonly length: number;
      /** IPv6: the kernel sends nothing from it unless it is told to (RFC 6724 §5, rule 3). */
      readonly deprecated?: boolean;
      /** Refused with EEXIST where it is there already; else what is there is brought in line. */
      readonly missing?: boolean;
    };

function header(type: number, flags: number, sequence: number): Message {
  return new Message()
    .u32(0)
    .u16(type)
    .u16(FLAG.request | flags)
    .u32(sequence)
    .u32(0);
}

/** struct ifinfomsg. */
function linkHeader(message: Message, index: number, flags = 0, change = 0): Message {
  return message.u8(0).u8(0).u16(0).u32(index).u32(flags).u32(change);
}

export function encodeRequest(request: Request, sequence: number): Uint8Array {
  switch (request.kind) {
    case "links":
      return linkHeader(header(RTM.getLink, FLAG.dump, sequence), 0).finish();
    case "addresses":
      // struct ifaddrmsg of any family.
      return header(RTM.getAddress, FLAG.dump, sequence).u32(0).u32(0).finish();
    case "add-macvlan":
      return macvlan(request, sequence);
    case "add-bridge":
      return bridge(request, sequence);
    case "set-master":
      return linkHeader(header(RTM.newLink, FLAG.ack, sequence), request.index)
        .attribute(IFLA.master, request.master)
        .finish();
    case "bridge-port":
      return bridgePort(request, sequence);
    case "port-flags":
      return portFlags(request, sequence);
    case "delete-link":
      return linkHeader(header(RTM.delLink, FLAG.ack, sequence), request.index).finish();
    case "group-link":
      return linkHeader(header(RTM.newLink, FLAG.ack, sequence), request.index)
        .attribute(IFLA.group, request.group)
        .finish();
    case "delete-group":
      return linkHeader(header(RTM.delLink, FLAG.ack, sequence), 0)
        .attribute(IFLA.group, request.group)
        .finish();
    case "set-up":
      return linkHeader(
        header(RTM.newLink, FLAG.ack, sequence),
        request.index,
        request.up ? IFF_UP : 0,
        IFF_UP,
      ).finish();
    case "set-mac":
      return linkHeader(header(RTM.newLink, FLAG.ack, sequence), request.index)
        .attribute(IFLA.address, request.mac)
        .finish();
    case "add-station":
    case "delete-station":
      return station(request, sequence);
    case "stations":
      // struct ifinfomsg of the family: with it the kernel dumps tables of bridges.
      return header(RTM.getNeighbour, FLAG.dump, sequence).u8(AF.bridge).u8(0).u16(0).u32(0).u32(0).u32(0).finish();
    case "add-local-route":
      return localRoute(request, sequence);
    case "add-address":
    case "delete-address":
      return address(request, sequence);
  }
}

function macvlan({ name, on, mac }: Extract<Request, { kind: "add-macvlan" }>, sequence: number): Uint8Array {
  const message = linkHeader(header(RTM.newLink, FLAG.ack | FLAG.create | FLAG.exclusive, sequence), 0);
  message.attribute(IFLA.name, name).attribute(IFLA.link, on).attribute(IFLA.address, mac);
  const info = message.open(IFLA.linkInfo);
  message.attribute(IFLA_INFO.kind, "macvlan");
  const data = message.open(IFLA_INFO.data);
  message.attribute(IFLA_MACVLAN_MODE, MACVLAN_PRIVATE).close(data).close(info);
  return message.finish();
}

function bridge({ name, ageing }: Extract<Request, { kind: "add-bridge" }>, sequence: number): Uint8Array {
  const message = linkHeader(header(RTM.newLink, FLAG.ack | FLAG.create | FLAG.exclusive, sequence), 0);
  message.attribute(IFLA.name, name);
  const info = message.open(IFLA.linkInfo);
  message.attribute(IFLA_INFO.kind, "bridge");
  const data = message.open(IFLA_INFO.data);
  message.attribute(IFLA_BR.ageing, ageing).attribute(IFLA_BR.stp, 0);
  // The other switch of a pair, and the other links of a bundle, are told of no group: all of them get everything.
  message.attribute(IFLA_BR.multicastSnooping, Uint8Array.of(0)).close(data).close(info);
  return message.finish();
}

function bridgePort(
  { index, floods, learns, flush }: Extract<Request, { kind: "bridge-port" }>,
  sequence: number,
): Uint8Array {
  // struct ifinfomsg with a family of its own.
  const message = header(RTM.setLink, FLAG.ack, sequence).u8(AF.bridge).u8(0).u16(0).u32(index).u32(0).u32(0);
  const info = message.open(IFLA_PROTINFO | NESTED);
  for (const flag of [IFLA_BRPORT.unicastFlood, IFLA_BRPORT.multicastFlood, IFLA_BRPORT.broadcastFlood]) {
    message.attribute(flag, Uint8Array.of(floods ? 1 : 0));
  }
  message.attribute(IFLA_BRPORT.learning, Uint8Array.of(learns ? 1 : 0));
  if (flush) message.attribute(IFLA_BRPORT.flush, new Uint8Array());
  return message.close(info).finish();
}

function station(request: Extract<Request, { kind: "add-station" | "delete-station" }>, sequence: number): Uint8Array {
  const add = request.kind === "add-station";
  const flags = FLAG.ack | (add ? FLAG.create | FLAG.replace : 0);
  // struct ndmsg: family, pad, index, state, flags, type.
  return header(add ? RTM.newNeighbour : RTM.delNeighbour, flags, sequence)
    .u8(AF.bridge)
    .u8(0)
    .u16(0)
    .u32(request.index)
    .u16(REACHABLE)
    .u8(NTF.master | (add && request.external ? NTF.external : 0))
    .u8(0)
    .attribute(NDA_LLADDR, request.mac)
    .finish();
}

/** IFLA_BRPORT in the order of PortFlags. */
const PORT_FLAGS = [
  IFLA_BRPORT.learning,
  IFLA_BRPORT.unicastFlood,
  IFLA_BRPORT.multicastFlood,
  IFLA_BRPORT.broadcastFlood,
] as const;

function portFlags({ index, flags }: Extract<Request, { kind: "port-flags" }>, sequence: number): Uint8Array {
  const message = header(RTM.setLink, FLAG.ack, sequence).u8(AF.bridge).u8(0).u16(0).u32(index).u32(0).u32(0);
  const info = message.open(IFLA_PROTINFO | NESTED);
  const bits = bitsOf(flags);
  for (const [i, flag] of PORT_FLAGS.entries()) message.attribute(flag, Uint8Array.of(bits[i] === true ? 1 : 0));
  return message.close(info).finish();
}

function localRoute({ index, address: octets }: Extract<Request, { kind: "add-local-route" }>, sequence: number) {
  // struct rtmsg: family, length of destination and source, TOS, table, protocol, scope, type, flags.
  return header(RTM.newRoute, FLAG.ack | FLAG.create | FLAG.replace, sequence)
    .u8(AF.inet6)
    .u8(8 * octets.length)
    .u8(0)
    .u8(0)
    .u8(ROUTE.localTable)
    .u8(ROUTE.ours)
    .u8(ROUTE.universe)
    .u8(ROUTE.local)
    .u32(0)
    .attribute(RTA.destination, octets)
    .attribute(RTA.interface, index)
    .finish();
}

function address(request: Extract<Request, { kind: "add-address" | "delete-address" }>, sequence: number): Uint8Array {
  const add = request.kind === "add-address";
  const { index, address: octets, length } = request;
  const v6 = octets.length === 16;
  const flags = FLAG.ack | (add ? FLAG.create | (request.missing === true ? FLAG.exclusive : FLAG.replace) : 0);
  const message = header(add ? RTM.newAddress : RTM.delAddress, flags, sequence);
  // struct ifaddrmsg: family, prefix length, flags, scope (universe), index.
  message
    .u8(v6 ? AF.inet6 : AF.inet)
    .u8(length)
    .u8(0)
    .u8(0)
    .u32(index);
  message.attribute(IFA.local, octets).attribute(IFA.address, octets);
  // RFC 9568 §7.4: whoever becomes master has the address at once; that another has it is what the election was about.
  if (add) message.attribute(IFA.flags, v6 ? NO_DAD : 0);
  if (add && request.deprecated === true) message.attribute(IFA.cacheInfo, DEPRECATED);
  return message.finish();
}
