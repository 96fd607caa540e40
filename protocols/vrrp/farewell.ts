/**
 * What has to be said in this node's place should its process die while it is master: priority 0, so that the others take
 * over after a Skew_Time and not after three intervals. Made beforehand: then there is no time for it.
 */
import type { Change } from "../../src/core/machine.ts";
import { type Duration, sec } from "../../src/core/time.ts";
import type { Condition, Farewell, Kernel } from "../../src/node/protocol.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import type { IpVirtual } from "../ip/events.ts";
import { VRRP_PROTOCOL } from "./codec.ts";
import type { RouterConfig, VrrpConfig } from "./config.ts";
import { advertOutputs, wishOf } from "./frames.ts";
import { lingerTime } from "./router.ts";
import type { Router, VrrpOutput, VrrpState } from "./state.ts";

export const kernel: Kernel<VrrpConfig> = {
  machine: "vrrp",
  wish: "ip.virtual",
  prepares: (config) => config.map((router) => wishOf(router, router.priority, false)),
  key: (wish: Change) => {
    const { port, vrid, family } = wish as IpVirtual;
    return keyOf({ interface: port, vrid, family });
  },
  farewells: (state: VrrpState) => state.routers.flatMap((router) => farewellOf(state, router) ?? []),
  practice: {
    imminent: ({ routers }: VrrpState, at) => routers.some((router) => router.downAt <= at && !heardMeanwhile(router)),
    sample: (config) => config.slice(0, 1),
  },
};

/** Adverts that repeat the last one have not moved the timer yet: see `catchUp`. */
function heardMeanwhile({ last }: Router): boolean {
  return last !== undefined && last.repeats > 0;
}

/**
 * A signed one is to be newer than every advert that is sent until the next one is made, and not too new to be believed.
 * The next one is made a second after this one, or after the next advert.
 */
const AHEAD: Duration = sec(2);

function keyOf({ interface: port, vrid, family }: Pick<RouterConfig, "interface" | "vrid" | "family">): string {
  return `${port} ${vrid} ${family}`;
}

/** By the adverts that a router sends: they are others when anything is that is in a farewell. */
const made = new WeakMap<readonly VrrpOutput[], Farewell>();

function farewellOf(state: VrrpState, router: Router): Farewell | undefined {
  const { memo, config } = router;
  if (router.state !== "master" || memo === undefined) return undefined;
  const known = made.get(memo);
  if (known !== undefined) return known;
  const sends = advertOutputs(router, 0, state, AHEAD).flatMap((output) => (output.kind === "send" ? output : []));
  const farewell: Farewell = {
    key: keyOf(config),
    port: config.interface,
    frames: sends.filter(({ port }) => port !== state.ipPort).map(({ frame }) => frame.bytes),
    packets: sends.filter(({ port }) => port === state.ipPort).map(({ frame }) => frame.bytes.subarray(frame.payload)),
    successor: successorOf(config),
    within: lingerTime(config),
  };
  made.set(memo, farewell);
  return farewell;
}

/** An advert of this virtual router that is no farewell itself: RFC 9568 §5.2 behind an IP header without options. */
function successorOf({ family, vrid }: RouterConfig): readonly Condition[] {
  const [type, next, at] = family === "ipv4" ? [ETHERTYPE.ipv4, 23, 34] : [ETHERTYPE.ipv6, 20, 54];
  return [
    { offset: 12, octet: type >>> 8 },
    { offset: 13, octet: type & 0xff },
    ...(family === "ipv4" ? [{ offset: 14, octet: 0x45 }] : []),
    { offset: next, octet: VRRP_PROTOCOL },
    { offset: at + 1, octet: vrid },
    { offset: at + 2, octet: 0, not: true },
  ];
}
