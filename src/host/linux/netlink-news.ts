/** What the kernel says by rtnetlink, as values: links, addresses, stations of bridges, answers. */
import { LITTLE } from "./libc.ts";
import { AF, HEADER, IFA, IFF_UP, IFLA, IFLA_INFO, NDA_LLADDR, NTF, RTM } from "./netlink.ts";

// linux/netlink.h, linux/if.h, linux/if_addr.h, linux/neighbour.h
const ERROR = 2;
const DONE = 3;
const OVERRUN = 4;
/** NUD_NOARP, NUD_PERMANENT: a station that somebody has fixed, or the bridge's own. */
const FIXED = 0x40 | 0x80;
const IFF_RUNNING = 0x40;
const IFF_LOWER_UP = 0x10000;
/** IFA_F_TENTATIVE, IFA_F_DADFAILED. */
const TENTATIVE = 0x40;
const DAD_FAILED = 0x08;

export interface LinkNews {
  readonly kind: "link";
  readonly gone: boolean;
  readonly index: number;
  readonly name: string;
  readonly mac: Uint8Array;
  /** Switched on, and with carrier. */
  readonly admin: boolean;
  readonly carrier: boolean;
  /** "macvlan", …; "" for a plain interface. */
  readonly type: string;
  /** Index of the interface below; 0 for none. */
  readonly below: number;
  /** Index of the bridge that it is a port of; 0 for none. */
  readonly master: number;
  /** Whatever it was put in by `group-link`. */
  readonly group: number;
}

export interface AddressNews {
  readonly kind: "address";
  readonly gone: boolean;
  readonly index: number;
  readonly address: Uint8Array;
  readonly length: number;
  /** Not usable yet (RFC 4862 §5.4), or never. */
  readonly tentative: boolean;
}

/** What a bridge has in its table. */
export interface StationNews {
  readonly kind: "station";
  readonly gone: boolean;
  /** Of the port. */
  readonly index: number;
  readonly mac: Uint8Array;
  /** Given by somebody, not heard. */
  readonly external: boolean;
  /** It does not age: the bridge's own address, or one that somebody has fixed there. */
  readonly fixed: boolean;
}

export type News =
  | LinkNews
  | AddressNews
  | StationNews
  /** The answer to a request; `errno` 0 for success. */
  | { readonly kind: "answer"; readonly sequence: number; readonly errno: number }
  | { readonly kind: "done"; readonly sequence: number }
  /** Messages were lost: what is known has to be asked anew. */
  | { readonly kind: "overrun" };

/** The messages in what one `recv` has given. What does not decode is left out: the kernel adds types as it likes. */
export function decodeNews(bytes: Uint8Array): News[] {
  const news: News[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = view.getUint32(at, LITTLE);
    if (length < HEADER || at + length > bytes.length) break;
    const one = decodeOne(new DataView(bytes.buffer, bytes.byteOffset + at, length));
    if (one !== undefined) news.push(one);
    at += (length + 3) & ~3;
  }
  return news;
}

function decodeOne(view: DataView): News | undefined {
  const type = view.getUint16(4, LITTLE);
  const sequence = view.getUint32(8, LITTLE);
  switch (type) {
    case ERROR:
      return view.byteLength < 20 ? undefined : { kind: "answer", sequence, errno: -view.getInt32(16, LITTLE) };
    case DONE:
      return { kind: "done", sequence };
    case OVERRUN:
      return { kind: "overrun" };
    case RTM.newLink:
    case RTM.delLink:
      // A bridge speaks of its ports in these types too: one that leaves it is not gone.
      if (view.byteLength < 32 || view.getUint8(HEADER) === AF.bridge) return undefined;
      return link(view, type === RTM.delLink);
    case RTM.newAddress:
    case RTM.delAddress:
      return view.byteLength < 24 ? undefined : addressNews(view, type === RTM.delAddress);
    case RTM.newNeighbour:
    case RTM.delNeighbour:
      return view.byteLength < 28 ? undefined : stationNews(view, type === RTM.delNeighbour);
    default:
      return undefined;
  }
}

function attributes(view: DataView, from: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = from; at + 4 <= view.byteLength; ) {
    const length = view.getUint16(at, LITTLE);
    if (length < 4 || at + length > view.byteLength) break;
    // NLA_F_NESTED and NLA_F_NET_BYTEORDER are the two high bits.
    const type = view.getUint16(at + 2, LITTLE) & 0x3fff;
    found.set(type, new Uint8Array(view.buffer, view.byteOffset + at + 4, length - 4).slice());
    at += (length + 3) & ~3;
  }
  return found;
}

function link(view: DataView, gone: boolean): LinkNews {
  const flags = view.getUint32(24, LITTLE);
  const found = attributes(view, 32);
  const info = found.get(IFLA.linkInfo);
  const kinds = info === undefined ? undefined : attributes(viewOf(info), 0).get(IFLA_INFO.kind);
  return {
    kind: "link",
    gone,
    index: view.getInt32(20, LITTLE),
    name: text(found.get(IFLA.name)),
    mac: found.get(IFLA.address) ?? new Uint8Array(6),
    admin: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0 && (flags & IFF_RUNNING) !== 0,
    type: text(kinds),
    below: number(found.get(IFLA.link)),
    master: number(found.get(IFLA.master)),
    group: number(found.get(IFLA.group)),
  };
}

function addressNews(view: DataView, gone: boolean): AddressNews | undefined {
  const found = attributes(view, 24);
  // IFA_LOCAL is this end's; on links of two ends IFA_ADDRESS is the other one's.
  const octets = found.get(IFA.local) ?? found.get(IFA.address);
  if (octets === undefined || (octets.length !== 4 && octets.length !== 16)) return undefined;
  const flags = number(found.get(IFA.flags), view.getUint8(18));
  return {
    kind: "address",
    gone,
    index: view.getInt32(20, LITTLE),
    address: octets,
    length: view.getUint8(17),
    tentative: (flags & (TENTATIVE | DAD_FAILED)) !== 0,
  };
}

function stationNews(view: DataView, gone: boolean): StationNews | undefined {
  const mac = attributes(view, 28).get(NDA_LLADDR);
  if (view.getUint8(HEADER) !== AF.bridge || mac?.length !== 6) return undefined;
  const state = view.getUint16(24, LITTLE);
  const flags = view.getUint8(26);
  return {
    kind: "station",
    gone,
    index: view.getInt32(20, LITTLE),
    mac,
    external: (flags & NTF.external) !== 0,
    fixed: (state & FIXED) !== 0,
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function number(bytes: Uint8Array | undefined, otherwise = 0): number {
  return bytes === undefined || bytes.length < 4 ? otherwise : viewOf(bytes).getUint32(0, LITTLE);
}

function text(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "";
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
