/** One machine for all virtual routers of a node: it finds the router that an input is for. */
import type { HostClock } from "../../src/core/clock.ts";
import type { Input, Machine } from "../../src/core/machine.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import type { IpAddresses, IpRestored } from "../ip/events.ts";
import { announceAfresh } from "./announce.ts";
import type { VrrpConfig } from "./config.ts";
import { configure, sweep } from "./configure.ts";
import { earliestOf, nextDue } from "./deadlines.ts";
import type { VrrpCommand, VrrpEvent, Which } from "./events.ts";
import { mayBeAdvert, receive } from "./reception.ts";
import { review, reviewSoon } from "./review.ts";
import { changeSource, timers } from "./router.ts";
import {
  createState,
  NO_OUTPUT,
  type Router,
  setAddresses,
  type Turn,
  tableOf,
  type VrrpOutput,
  type VrrpState,
} from "./state.ts";

type Change = Extract<VrrpOutput, { kind: "apply" }>["change"];
type Heard = IpAddresses | IpRestored | HostClock;

export const vrrp: Machine<VrrpConfig, VrrpState, VrrpCommand, VrrpEvent, Heard, Change> = {
  name: "vrrp",
  hears: ["ip.addresses", "ip.restored", "host.clock"],
  ports: (config) => ({
    uses: [
      ...new Set(
        config.flatMap((router) => [
          router.interface,
          ...router.tracked.filter(({ kind }) => kind === "interface").map(({ name }) => name),
        ]),
      ),
    ],
  }),
  init: createState,
  claims: (state, port, frame) => mayBeAdvert(state.interfaces[port.index], frame),
  step,
  deadline: (state) => {
    const first = earliestOf(state.heap);
    return state.reviewAt < first ? state.reviewAt : first;
  },
  reconfigure: (state, config, env, now) => {
    state.now = now;
    configure(state, config, env);
    return taken(state);
  },
};

function step(state: VrrpState, input: Input<VrrpCommand, Heard>, now: Instant): readonly VrrpOutput[] {
  const turn: Turn = state;
  turn.now = now;
  switch (input.kind) {
    case "frame": {
      const face = state.interfaces[input.port.index];
      if (face !== undefined) receive(turn, face, input.frame);
      break;
    }
    case "timer":
      if (state.reviewAt <= now) {
        state.reviewAt = NEVER;
        review(turn);
      }
      for (let due = nextDue(state.heap, now); due !== undefined; due = nextDue(state.heap, now)) timers(turn, due);
      break;
    case "link": {
      const face = state.interfaces[input.port.index];
      if (face === undefined || face.up === input.up) break;
      face.up = input.up;
      if (input.up) reviewSoon(state, now);
      else review(turn);
      break;
    }
    case "command":
      order(turn, input.command);
      break;
    case "heard":
      if (input.event.type === "host.clock") turn.utc = input.event.utc;
      else if (input.event.type === "ip.restored") restored(turn, input.event);
      else hear(turn, input.event);
      break;
  }
  if (state.retiring) sweep(state);
  return taken(turn);
}

/** What came of the input. */
function taken(turn: Turn): readonly VrrpOutput[] {
  const { out } = turn;
  turn.out = NO_OUTPUT;
  turn.borrowed = false;
  return out;
}

/** The host says which addresses an interface has now. */
function hear(turn: Turn, event: IpAddresses): void {
  const face = turn.byName.get(event.port);
  if (face === undefined) return;
  const moved = face.mac !== event.mac;
  face.mac = event.mac;
  const changed = setAddresses(face, event.addresses);
  if (!moved && !changed) return;
  for (const router of face.routers) changeSource(turn, router);
  if (face.routers.some((router) => tableOf(router).primary === undefined && router.state !== "initialize"))
    review(turn);
  reviewSoon(turn, turn.now);
}

function restored(turn: Turn, { port, vrid, family }: IpRestored): void {
  for (const router of turn.byName.get(port)?.routers ?? []) {
    const { config, state } = router;
    if (state === "master" && config.vrid === vrid && config.family === family) announceAfresh(turn, router);
  }
}

function order(state: Turn, command: VrrpCommand): void {
  const { now } = state;
  if (command.verb === "track") {
    const { name, up, value, why } = command;
    const before = state.objects.get(name);
    if (before === undefined) return;
    state.objects.set(name, { up, value, why });
    if (before.up === up && before.value === value) return;
    if (up) reviewSoon(state, now);
    else review(state);
    return;
  }
  for (const router of state.routers) {
    if (!concerns(command, router)) continue;
    switch (command.verb) {
      case "start":
        router.enabled = true;
        router.draining = false;
        break;
      case "stop":
        router.enabled = false;
        break;
      case "drain":
        router.draining = true;
        break;
      case "priority":
        router.base = command.priority;
        break;
    }
  }
  if (command.verb === "start") reviewSoon(state, now);
  else review(state);
}

function concerns(which: Which, { config, retired }: Router): boolean {
  return (
    !retired &&
    (which.interface === undefined || which.interface === config.interface) &&
    (which.vrid === undefined || which.vrid === config.vrid) &&
    (which.family === undefined || which.family === config.family)
  );
}
