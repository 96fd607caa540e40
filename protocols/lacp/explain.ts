/** Why a port or a bundle is as it is. Every reason has a line in PORTS or BUNDLES. */
import { after, formatDuration, formatInstant } from "../../src/core/time.ts";
import { type Account, configured, type Explainable, eventOf, type Fact, type Past } from "../../src/node/past.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import {
  type Because,
  bestMember,
  bundleFact,
  bundleOf,
  CARRIES,
  farEnd,
  farPort,
  fellow,
  linkOf,
  memberFact,
  nobody,
  noCarrier,
  order,
  otherCable,
  partner,
  partnerFact,
  portFact,
  renamed,
  type Spot,
  systemFact,
  told,
  trigger,
} from "./causes.ts";
import type { BundleConfig } from "./config.ts";
import type { BundleReason, LacpBundleEvent, LacpEvent, LacpPortEvent, PortReason } from "./events.ts";
import { bundlesOf } from "./invariants.ts";
import { RENAMING, SHORT_TIMEOUT } from "./state.ts";
import { describe } from "./view.ts";

/** A fact of a link, with what was said before it. */
interface Case extends Spot {
  readonly fact: Fact;
}

interface Why {
  readonly because: (one: Case) => Because;
  /** Absent for a port that carries frames. */
  readonly ends?: (one: Case) => string;
}

/** By reason: where it comes from, and how it ends. */
const PORTS: Readonly<Record<PortReason, Why>> = {
  carrying: { because: trigger },
  fallback: { because: (one) => nobody(one) ?? trigger(one) },
  removed: {
    because: ({ past, node }) => past.command(node, "lacp", ({ verb }) => verb === "configure") ?? past.born(node),
    ends: ({ bundle }) => `when a reload makes it a link of ${bundle.name} again`,
  },
  stopped: {
    because: (one) => order(one, "stop") ?? trigger(one),
    ends: ({ bundle }) => `when an operator starts ${bundle.name}`,
  },
  "link-down": {
    because: (one) => linkOf(one) ?? noCarrier(one),
    ends: () => "when its wire is whole and the far end has power",
  },
  listening: {
    because: (one) => linkOf(one) ?? trigger(one),
    ends: (one) => `when an LACPDU comes, or at ${since(one, SHORT_TIMEOUT)} as no-partner`,
  },
  silent: {
    because: (one) => farEnd(one, ["stopped"]) ?? one.past.silence(one.node, one.port) ?? linkOf(one) ?? trigger(one),
    ends: (one) => `when the partner is heard again; at ${since(one, SHORT_TIMEOUT)} it is given up (no-partner)`,
  },
  "no-partner": {
    because: (one) =>
      nobody(one) ?? farEnd(one, ["stopped"]) ?? one.past.silence(one.node, one.port) ?? linkOf(one) ?? trigger(one),
    ends: ({ bundle }) => {
      const { fallback, fallbackTimeout } = bundle;
      const wait = formatDuration(fallbackTimeout);
      const other = fallback === "none" ? "" : `; fallback lets a link carry after ${wait} without any partner`;
      return `when an LACPDU comes${other}`;
    },
  },
  loopback: {
    because: ({ node, port }) => configured(node, `${port} leads back to ${node} itself`),
    ends: () => "when another system is at the far end",
  },
  "half-duplex": {
    because: (one) => linkOf(one) ?? trigger(one),
    ends: () => "when both ends of the wire may send at once",
  },
  "other-partner": {
    because: (one) => renamed(one) ?? otherCable(one),
    ends: () => "when the far end is the same system, with the same key, as that of the links that carry",
  },
  "other-speed": {
    because: ({ node, port }) => configured(node, `${port} is faster or slower than the links that carry`),
    ends: () => "when its speed is that of the links that carry",
  },
  suspended: {
    because: (one) => told(one, "mlag.suspend") ?? trigger(one),
    ends: () => "when M-LAG takes the bundle back into service",
  },
  hold: {
    because: (one) => told(one, "mlag.hold") ?? trigger(one),
    ends: () => "when M-LAG no longer withholds agreement",
  },
  drain: {
    because: (one) => order(one, "drain") ?? trigger(one),
    ends: ({ bundle }) => `when an operator starts ${bundle.name}`,
  },
  "min-links": {
    because: (one) => fellow(one) ?? trigger(one),
    ends: ({ bundle }) => `when ${bundle.minLinks} links hear their partner`,
  },
  standby: {
    because: (one) =>
      configured(one.node, `${one.bundle.name} uses ${one.bundle.maxLinks} links at most, and better ones are there`),
    ends: () => "when one of the better links is lost",
  },
  "wait-to-restore": {
    because: (one) => trigger(one),
    ends: (one) => {
      const { waitToRestore } = one.bundle;
      return `at ${since(one, waitToRestore)}, when wait-to-restore (${formatDuration(waitToRestore)}) is over`;
    },
  },
  "aggregate-wait": {
    because: (one) => trigger(one),
    ends: (one) =>
      `when the bundle's other links are there, or at ${since(one, one.bundle.aggregateWait)} without them`,
  },
  negotiating: { because: trigger, ends: () => "when the last bits have come: at once" },
  "partner-out-of-sync": { because: partner, ends: partnerEnds("puts the link into its bundle (SYNC)") },
  "partner-not-collecting": { because: partner, ends: partnerEnds("collects from the link") },
};

/** What another decides: it ends when that ends. */
const WITH_CAUSE: readonly PortReason[] = ["suspended", "hold", "partner-out-of-sync", "partner-not-collecting"];

const BUNDLES: Readonly<Record<BundleReason, "a member's port" | "its own name">> = {
  "member-joined": "a member's port",
  "member-left": "a member's port",
  "no-member": "a member's port",
  "min-links": "a member's port",
  fallback: "a member's port",
  renamed: "its own name",
};

export const explain: Explainable = {
  subjects: (node) => bundlesOf(node).flatMap(({ name, members }) => [name, ...members.map(({ port }) => port)]),
  below: (node, port) => bundleOf(node, port)?.members.map((member) => member.port) ?? [],

  now(node, word, past) {
    const bundle = bundleOf(node, word);
    if (bundle === undefined) {
      const owner = bundlesOf(node).find(({ members }) => members.some(({ port }) => port === word));
      return owner === undefined ? undefined : (portFact(past, node.node, word) ?? unsaid(past, node.node, word));
    }
    const said = past.event<LacpBundleEvent>(node.node, "lacp.bundle", (event) => event.bundle === word);
    if (said !== undefined && eventOf<LacpBundleEvent>(said).up) return said;
    // Down is not for what was so when it went down, but for what keeps its best link from carrying now.
    const best = bestMember(past, node.node, bundle);
    const carries = best !== undefined && CARRIES.includes(eventOf<LacpPortEvent>(best).reason);
    return (carries ? said : best) ?? said ?? unsaid(past, node.node, word);
  },

  account(fact, past) {
    const node = past.node(fact.node);
    if (node === undefined) return undefined;
    const { what } = fact;
    if (what.kind === "link" && fact.way === "out") {
      const { name } = what.port;
      if (bundleOf(node, name) === undefined) return undefined;
      const because = bundleFact(past.within(fact), fact.node, name) ?? past.before(fact).born(fact.node);
      const text = `${name}: ${what.up ? "up" : "down"}`;
      if (what.up) return { state: "up", reason: "carrier", text, because };
      return { state: "down", reason: "no-carrier", text, because, ends: "when a link of it carries frames" };
    }
    if (what.kind !== "event" || !what.event.type.startsWith("lacp.")) return undefined;
    return accountOf(fact, eventOf<LacpEvent>(fact), node, past);
  },
};

function accountOf(fact: Fact, event: LacpEvent, node: NodeConfig, past: Past): Account | undefined {
  const text = describe(event) ?? event.type;
  switch (event.type) {
    case "lacp.collecting":
      return undefined;
    case "lacp.port": {
      const bundle = bundleOf(node, event.bundle);
      if (bundle === undefined) return undefined;
      const one = { fact, node: node.node, port: event.port, bundle, past: past.before(fact) };
      const { because, ends } = PORTS[event.reason];
      const state = CARRIES.includes(event.reason) ? "up" : "down";
      const { reason, cause: detail } = event;
      const endsWithCause = WITH_CAUSE.includes(reason);
      return { state, reason, text, because: because(one), ends: ends?.(one), endsWithCause, detail };
    }
    case "lacp.bundle": {
      const bundle = bundleOf(node, event.bundle);
      const own =
        BUNDLES[event.reason] === "its own name" ? systemFact(past.before(fact), node.node, event.bundle) : undefined;
      const because = own ?? memberCause(fact, event, bundle, past) ?? past.before(fact).born(node.node);
      const ends =
        event.reason === "renamed"
          ? `when the partner agrees anew, or at ${formatInstant(after(fact.at, RENAMING))} s as down`
          : undefined;
      if (event.up) return { state: "up", reason: event.reason, text, because, ends };
      return {
        state: "down",
        reason: event.reason,
        text,
        because,
        ends: `when ${bundle?.minLinks ?? 1} of its links carry frames`,
      };
    }
    case "lacp.partner": {
      const bundle = bundleOf(node, event.bundle);
      const because = bundle === undefined ? undefined : partnerFact(past.before(fact), node.node, bundle);
      return {
        state: event.system === undefined ? "none" : "heard",
        reason: "heard",
        text,
        because: because ?? past.before(fact).born(node.node),
      };
    }
    default:
      return {
        state: event.type,
        reason: "event",
        text,
        because: portFact(past.before(fact), node.node, event.port) ?? past.before(fact).born(node.node),
      };
  }
}

/** The port that brought the bundle to this. One that is held back since because of this is not its cause. */
function memberCause(fact: Fact, event: LacpBundleEvent, bundle: BundleConfig | undefined, past: Past): Because {
  const found = memberFact(past.within(fact), fact, event, bundle);
  if (found === undefined || bundle === undefined) return found;
  const { reason, port } = eventOf<LacpPortEvent>(found);
  if (reason !== "hold" && reason !== "suspended") return found;
  const spot: Spot = { node: fact.node, port, bundle, past: past.before(found) };
  const order = told(spot, reason === "hold" ? "mlag.hold" : "mlag.suspend")?.order ?? 0;
  return order < fact.order ? found : partner({ ...spot, past: past.before(fact) });
}

function partnerEnds(does: string): (one: Case) => string {
  return (one) => {
    const far = farPort(one);
    return `when ${far === undefined ? "the partner" : far.node} ${does}`;
  };
}

function unsaid(past: Past, node: string, word: string): Account {
  const text = `${word}: nothing has been said of it yet`;
  return { state: "down", reason: "start", text, because: past.born(node), ends: "when the node has started" };
}

function since({ fact }: Case, time: Parameters<typeof after>[1]): string {
  return `${formatInstant(after(fact.at, time))} s`;
}
