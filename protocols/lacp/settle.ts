/** What every input ends with: the standard's machines of a bundle run until nothing changes, and what came of it is said. */
import { type Instant, NEVER } from "../../src/core/time.ts";
import { runChurn } from "./churn.ts";
import { STATE } from "./codec.ts";
import { redistribute, runFlush } from "./distribution.ts";
import type { BundleReason } from "./events.ts";
import { deselect, muxDeadline, runMux } from "./mux.ts";
import { runPeriodic } from "./periodic.ts";
import { portCause, portReason } from "./reason.ts";
import { offersFallback, select } from "./selection.ts";
import { actorOf, type Bundle, collects, type LacpPort, needToTransmit, put, say, type Turn } from "./state.ts";
import { runTransmit, transmitDeadline } from "./transmit.ts";

/** Runs the machines of a bundle until all is said and done. */
export function settle(turn: Turn, bundle: Bundle): void {
  select(turn, bundle);
  runMux(turn, bundle);
  redistribute(turn, bundle);
  reviewBundle(turn, bundle);
  for (const port of bundle.members) {
    runFlush(turn, port);
    runPeriodic(turn, port);
    runChurn(turn, port);
    report(turn, port);
    runTransmit(turn, port);
  }
  bundle.alarm = alarmOf(turn, bundle);
}

/** Whether the bundle carries frames, and over how many links. */
function reviewBundle(turn: Turn, bundle: Bundle): void {
  const { config, distribution, port } = bundle;
  const members = distribution.links.length;
  const least = bundle.fallback ? 1 : config.minLinks;
  // Links without carrier have nobody to agree with.
  const renamed = bundle.up && turn.now < bundle.renamedUntil && members === 0 && bundle.members.some((one) => one.up);
  const up = members >= least || renamed;
  const before = bundle.said;
  const collecting = bundle.members.some(collects);
  if (collecting !== bundle.collecting) {
    bundle.collecting = collecting;
    say(turn, { type: "lacp.collecting", bundle: config.name, collecting });
  }
  if (up === bundle.up && members === before) return;
  bundle.said = members;
  bundle.up = up;
  let reason: BundleReason = members > before ? "member-joined" : "member-left";
  if (bundle.fallback && members > 0) reason = "fallback";
  else if (renamed) reason = "renamed";
  else if (members === 0) reason = "no-member";
  else if (!up) reason = "min-links";
  bundle.reason = reason;
  bundle.changed = turn.now;
  say(turn, { type: "lacp.bundle", bundle: config.name, up, members, reason });
  put(turn, { kind: "link", port, up });
}

/** Says what the port is now, when that is something else than before. */
export function report(turn: Turn, port: LacpPort): void {
  const { receive, mux, selected, partner, bundle } = port;
  const reason = portReason(turn, port);
  const cause = portCause(port);
  const { system, key, port: number, state } = actorOf(port);
  const mode = offersFallback(port) ? bundle.config.fallback : "none";
  const said = `${receive} ${mux} ${selected} ${reason} ${cause} ${mode} ${system} ${key} ${number} ${state} ${partner.system} ${partner.key} ${partner.port} ${partner.state}`;
  if (said === port.said) return;
  port.said = said;
  port.changed = turn.now;
  say(turn, {
    type: "lacp.port",
    port: port.port.name,
    bundle: bundle.config.name,
    receive,
    mux,
    selected,
    actor: { system, key, port: number, state: octet(state) },
    partner: { system: partner.system, key: partner.key, port: partner.port, state: octet(partner.state) },
    reason,
    ...(mode === "none" ? {} : { fallback: mode }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function octet(state: number): string {
  return `0x${state.toString(16).padStart(2, "0")}`;
}

/** What this end is called has changed: every link leaves its aggregator first, and the partner is told at once. */
export function renegotiate(turn: Turn, ports: readonly LacpPort[]): void {
  for (const port of ports) {
    deselect(turn, port);
    // It agreed to what this end was; whether it agrees to what it is, its next LACPDU says.
    port.partner = { ...port.partner, state: port.partner.state & ~STATE.synchronization };
    needToTransmit(turn, port, true);
  }
}

function alarmOf(turn: Turn, bundle: Bundle): Instant {
  // A fallback whose time has come waits for the receive machines.
  let first: number = bundle.fallbackAt > turn.now ? bundle.fallbackAt : NEVER;
  if (bundle.up && bundle.said === 0) first = Math.min(first, bundle.renamedUntil);
  for (const port of bundle.members) {
    first = Math.min(
      first,
      port.currentWhile,
      port.periodicAt,
      muxDeadline(turn, port),
      transmitDeadline(port),
      port.actorChurn.until,
      port.partnerChurn.until,
      port.flushUntil,
    );
  }
  return first as Instant;
}
