/** The frames that a virtual router sends: adverts, and what tells hosts and bridges where its addresses are. */
import { BROADCAST, type Ip4, type Ip6, isLinkLocal, type Mac, multicastMac } from "../../src/core/addr.ts";
import { Frame } from "../../src/core/frame.ts";
import type { Change } from "../../src/core/machine.ts";
import { type Duration, sec, ZERO } from "../../src/core/time.ts";
import { arpFrame, gratuitousArp } from "../arp/codec.ts";
import { type IpPacket, ipFrame, ipPacket, NETWORK_CONTROL } from "../ip/codec.ts";
import { type IpVirtual, packetFrame } from "../ip/events.ts";
import { ALL_NODES, ndFrame, unsolicitedAdvertisement } from "../nd/codec.ts";
import { signature, signs } from "./authentication.ts";
import {
  type Advert,
  type Carrier,
  encodeAdvert,
  OWNER,
  VRRP_GROUP_4,
  VRRP_GROUP_6,
  VRRP_PROTOCOL,
  VRRP_TTL,
  virtualMac,
} from "./codec.ts";
import type { RouterConfig } from "./config.ts";
import { type Router, tableOf, type VrrpOutput, type VrrpState } from "./state.ts";

/** The group of version-independent adverts: RFC 9568 §5.1.1.2, §5.1.2.2. */
export function groupOf(family: "ipv4" | "ipv6") {
  return family === "ipv4" ? VRRP_GROUP_4 : VRRP_GROUP_6;
}

/** An advert as an IP packet: TTL or hop limit 255 (RFC 9568 §5.1.1.3, §5.1.2.3), DSCP CS6 as everybody sends it. */
export function advertPacket(advert: Advert, carrier: Carrier, trailer?: Uint8Array): IpPacket {
  return ipPacket({
    source: carrier.source,
    destination: carrier.destination,
    ttl: VRRP_TTL,
    protocol: VRRP_PROTOCOL,
    trafficClass: NETWORK_CONTROL,
    payload: encodeAdvert(advert, carrier, trailer),
  });
}

/** An advert to the group, as a whole Ethernet frame from `source` (RFC 9568 §7.2: the virtual MAC). */
export function advertFrame(advert: Advert, carrier: Carrier, source: Mac, trailer?: Uint8Array): Frame {
  return Frame.of(ipFrame(multicastMac(carrier.destination), source, advertPacket(advert, carrier, trailer)));
}

/** The MAC under which a router's addresses are reached. */
export function macOf(router: Router): Mac {
  const { config } = router;
  return config.virtualMac ? virtualMac(config.family, config.vrid) : router.interface.mac;
}

/** What the host is asked for. @param priority as configured: the owner of the addresses answers whatever is said */
export function wishOf(config: RouterConfig, priority: number, present: boolean): Change & IpVirtual {
  const { interface: port, vrid, family, addresses, accept } = config;
  const mac = config.virtualMac ? { mac: virtualMac(family, vrid) } : {};
  // RFC 9568 §6.4.3: if it is the owner or if Accept_Mode is True.
  const owned = priority === OWNER;
  const owns = owned ? { owned } : {};
  return { type: "ip.virtual", port, vrid, family, addresses, ...mac, accept: accept || owned, present, ...owns };
}

/**
 * What one transmission of `router` at `priority` puts on the wire: one frame to the group, or one for each peer; in
 * migration mode (RFC 9568 §8.4.2) version 3, then version 2. Signed adverts are signed for this one transmission.
 * @param ahead how much later than now it is to be sent, where it is signed
 */
export function advertOutputs(
  router: Router,
  priority: number,
  state: VrrpState,
  ahead: Duration = ZERO,
): readonly VrrpOutput[] {
  const { config } = router;
  const { primary, former } = tableOf(router);
  // A master that has lost its address still has to say so, from the one that its peers know (§6.4.3).
  const source = primary ?? (priority === 0 ? former : undefined);
  if (source === undefined) return [];
  const destinations = config.peers.length > 0 ? config.peers : [groupOf(config.family)];
  const checksum =
    config.checksum === "auto" ? router.form : config.checksum === "rfc9568" ? "message" : config.checksum;
  const outputs: VrrpOutput[] = [];
  for (const advert of advertsOf(router, priority)) {
    // One signature for all copies: the draft leaves out where they go to.
    const trailer = signs(router.config) ? signature(router, advert, source, state, ahead) : undefined;
    for (const destination of destinations) {
      const carrier = { source, destination, checksum };
      outputs.push(
        config.peers.length > 0
          ? { kind: "send", port: state.ipPort, frame: packetFrame(advertPacket(advert, carrier, trailer)) }
          : { kind: "send", port: router.interface.port, frame: advertFrame(advert, carrier, macOf(router), trailer) },
      );
    }
  }
  return outputs;
}

function advertsOf(router: Router, priority: number): readonly Advert[] {
  const { config } = router;
  const { vrid, interval } = config;
  const addresses = config.addresses.map(({ address }) => address);
  const three: Advert = { version: 3, vrid, priority, interval, reserved: 0, addresses };
  if (config.version === 3 && !config.migration) return [three];
  const { authType, authData } = authentication(config.password);
  // RFC 3768 §5.3.7: whole seconds; a faster router still says at least one.
  const seconds = sec(Math.min(255, Math.max(1, Math.ceil(interval / 1_000_000))));
  const two: Advert = { version: 2, vrid, priority, interval: seconds, authType, authData, addresses };
  return config.migration ? [three, two] : [two];
}

const NO_AUTH = new Uint8Array(8);

/** RFC 2338 §5.3.6, §5.3.10: type 1, up to eight octets of text, zeros behind it. */
export function authentication(password: string | undefined): { authType: number; authData: Uint8Array } {
  if (password === undefined) return { authType: 0, authData: NO_AUTH };
  const authData = new Uint8Array(8);
  for (let i = 0; i < Math.min(8, password.length); i++) authData[i] = password.charCodeAt(i);
  return { authType: 1, authData };
}

/**
 * One gratuitous ARP for each IPv4 address, one unsolicited neighbour advertisement for each IPv6 address
 * (RFC 9568 §6.4.1, §6.4.2 with errata 7947 and 7949).
 */
export function announcements(router: Router): readonly VrrpOutput[] {
  const { port } = router.interface;
  const mac = macOf(router);
  return router.config.addresses.map(({ address }) => ({
    kind: "send",
    port,
    frame:
      router.config.family === "ipv4"
        ? arpFrame(gratuitousArp(mac, address as Ip4), BROADCAST)
        : ndFrame(
            unsolicitedAdvertisement(address as Ip6, mac),
            { source: address as Ip6, destination: ALL_NODES },
            multicastMac(ALL_NODES),
            mac,
          ),
  }));
}

/** A router advertisement of the virtual router, from its link-local address (RFC 9568 §6.4.3, §8.2.3). */
export function routerAdvertisement(router: Router): VrrpOutput | undefined {
  const settings = router.config.routerAdvertisement;
  const source = router.config.addresses.find(({ address }) => isLinkLocal(address))?.address;
  if (settings === undefined || source === undefined) return undefined;
  const mac = macOf(router);
  const frame = ndFrame(
    {
      kind: "router-advertisement",
      hopLimit: 64,
      managed: false,
      other: false,
      preference: "medium",
      lifetime: Math.floor(settings.lifetime / 1_000_000),
      reachable: 0,
      retransmission: 0,
      options: [{ kind: "source-link-layer", mac }],
    },
    { source: source as Ip6, destination: ALL_NODES },
    multicastMac(ALL_NODES),
    mac,
  );
  return { kind: "send", port: router.interface.port, frame };
}
