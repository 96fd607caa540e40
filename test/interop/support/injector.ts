/** Puts frames on the wire as they are, right or wrong, from an interface in a namespace. */
import { type IpPacket, ipFrame, ipPacket, upperChecksum } from "../../../protocols/ip/codec.ts";
import { encodeAdvert, VRRP_GROUP_4, VRRP_GROUP_6, VRRP_PROTOCOL } from "../../../protocols/vrrp/codec.ts";
import { familyOf, type Ip, type Mac, multicastMac } from "../../../src/core/addr.ts";
import { internetChecksum, setU16 } from "../../../src/core/bytes.ts";
import { ms } from "../../../src/core/time.ts";
import { CallFailed, type Libc, openLibc, SOCK_FLAGS, SOCK_RAW } from "../../../src/host/linux/libc.ts";
import { indexOf, within } from "./namespaces.ts";
import { INTERFACE } from "./speakers.ts";

const AF_PACKET = 17;
/** Of the station that these frames pretend to come from. */
export const FOREIGN = "02:00:00:00:00:77" as Mac;

export interface Forged {
  readonly vrid: number;
  readonly priority: number;
  readonly source: string;
  readonly addresses: readonly string[];
  readonly version?: 2 | 3;
  /** Milliseconds; in version 2 whole seconds. */
  readonly interval?: number;
  readonly checksum?: "message" | "pseudo-header";
  readonly destination?: string;
  /** Of the Ethernet header. */
  readonly to?: Mac;
  /** Of the IP header. */
  readonly ip?: Partial<Extract<IpPacket, { family: "ipv4" }>>;
  /** Changes the advert, whose checksum is then made anew: over the message alone in IPv4. */
  readonly change?: (payload: Uint8Array) => Uint8Array;
  /** Changes it when its checksum stands. */
  readonly spoil?: (payload: Uint8Array) => Uint8Array;
}

/** The frame of an advert, valid as far as nothing else is said. */
export function forge(forged: Forged): Uint8Array {
  const { vrid, priority, version = 3, interval = 100, checksum = "message", change, spoil } = forged;
  const source = forged.source as Ip;
  const group = familyOf(source) === "ipv6" ? VRRP_GROUP_6 : VRRP_GROUP_4;
  const destination = (forged.destination ?? group) as Ip;
  const common = { vrid, priority, addresses: forged.addresses as readonly Ip[], interval: ms(interval) };
  const advert =
    version === 3
      ? ({ version, ...common, reserved: 0 } as const)
      : ({ version, ...common, authType: 0, authData: new Uint8Array(8) } as const);
  let payload = encodeAdvert(advert, { source, destination, checksum });
  if (change !== undefined) {
    payload = change(payload);
    setU16(payload, 6, 0);
    const between = { source, destination, protocol: VRRP_PROTOCOL };
    setU16(payload, 6, group === VRRP_GROUP_6 ? upperChecksum(between, payload) : internetChecksum(payload));
  }
  if (spoil !== undefined) payload = spoil(payload);
  const { family: _, ...fields } = forged.ip ?? {};
  const packet = ipPacket({ ttl: 255, ...fields, source, destination, protocol: VRRP_PROTOCOL, payload });
  return ipFrame(forged.to ?? multicastMac(group), FOREIGN, packet);
}

export class Injector {
  private readonly libc: Libc;
  private readonly fd: number;
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor(namespace: string, device = INTERFACE) {
    const opened = openLibc();
    if (!opened.ok) throw new Error(opened.message);
    this.libc = opened.libc;
    // Protocol 0: it hears nothing.
    this.fd = within(namespace, () => this.libc.socket(AF_PACKET, SOCK_RAW | SOCK_FLAGS, 0));
    // struct sockaddr_ll.
    const address = new Uint8Array(20);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setInt32(4, indexOf(namespace, device), true);
    this.libc.bind(this.fd, address);
  }

  /** False where the way out is full. */
  send(frame: Uint8Array): boolean {
    try {
      this.libc.send(this.fd, frame);
      return true;
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      return false;
    }
  }

  /** Sends these frames now, and again so often, in milliseconds. @returns what ends it */
  each(every: number, frames: readonly Uint8Array[]): () => void {
    const all = () => {
      for (const frame of frames) this.send(frame);
    };
    const timer = setInterval(all, every);
    this.timers.add(timer);
    all();
    return () => {
      clearInterval(timer);
      this.timers.delete(timer);
    };
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.libc.close(this.fd);
  }
}
