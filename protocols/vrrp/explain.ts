/** Why a virtual router is in its state. Every reason has a line in WHY. */
import type { Family } from "../../src/core/addr.ts";
import { formatDuration, ZERO } from "../../src/core/time.ts";
import {
  type Account,
  configured,
  type Explainable,
  eventOf,
  type Fact,
  newest,
  type Origin,
  type Past,
} from "../../src/node/past.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { IpAddresses } from "../ip/events.ts";
import { authenticationWords } from "./authentication.ts";
import type { RouterConfig } from "./config.ts";
import type { Tracked } from "./config-surroundings.ts";
import {
  AUTH_REASONS,
  type AuthReason,
  type Standing,
  type StateReason,
  type VrrpCommand,
  type VrrpDropEvent,
  type VrrpEvent,
  type VrrpPriorityEvent,
  type VrrpStateEvent,
} from "./events.ts";
import { identityOf, routersOf } from "./invariants.ts";
import { UNSAID } from "./state.ts";
import { effectOf, effectWords, standingWords } from "./tracking.ts";
import { describe } from "./view.ts";

type Because = Fact | Origin | undefined;

/** A fact of one router, with what was said before it. */
interface Case {
  readonly node: string;
  readonly router: RouterConfig;
  readonly past: Past;
}

interface Why {
  readonly because: (one: Case) => Because;
  /** For a router that does not run. */
  readonly ends?: (one: Case) => string;
}

const WHY: Readonly<Record<StateReason, Why>> = {
  startup: { because: (one) => started(one) },
  owner: { because: (one) => configured(one.node, `${one.router.name} owns the addresses (priority 255)`) },
  "master-timeout": { because: (one) => gone(one) },
  "priority-zero": { because: (one) => released(one) ?? gone(one) },
  preempt: { because: (one) => newest(ownPriority(one), otherPriority(one), came(one)) },
  "higher-priority": { because: (one) => better(one) },
  "address-tiebreak": { because: (one) => better(one) },
  shutdown: {
    because: (one) => order(one, "stop"),
    ends: () => "when an operator starts it",
  },
  "interface-down": {
    because: (one) => link(one),
    ends: ({ router }) => `when ${router.interface} is up`,
  },
  "interface-up": { because: (one) => link(one) },
  "no-address": {
    because: (one) => addresses(one) ?? link(one),
    ends: ({ router }) =>
      `when ${router.interface} has an ${router.family === "ipv4" ? "IPv4" : "IPv6 link-local"} address`,
  },
  "address-added": { because: (one) => addresses(one) ?? link(one) },
  tracking: {
    because: (one) => tracked(one),
    ends: (one) =>
      `when ${standings(one)
        .filter(({ effect }) => effect === "fault")
        .map(({ what }) => `${what.kind} ${what.name} ${endOf(what)}`)
        .join(", ")}`,
  },
  "sync-group": {
    because: (one) => groupMember(one),
    ends: ({ router }) => `when every router of the group ${router.group ?? ""} can run`,
  },
  reconfigured: { because: (one) => order(one, "configure") },
};

/** What of the configuration has an advert dropped that others may well believe. */
const DISBELIEVED: Readonly<Record<AuthReason, (one: Case) => string>> = {
  "auth-missing": ({ router }) => `${router.name} takes signed adverts only: ${secured(router)}`,
  "auth-key": ({ router }) => `${router.name} does not know the sender's key: ${secured(router)}`,
  "auth-signature": ({ router }) => `${router.name} has another secret than the sender: ${secured(router)}`,
  "auth-window": ({ router }) =>
    `${router.name} takes clocks that differ by ${formatDuration(router.authentication?.window ?? ZERO)} at most`,
  "auth-replay": ({ router }) => `${router.name} takes each advert once, in its order: ${secured(router)}`,
};

function isAuthReason(reason: string): reason is AuthReason {
  return AUTH_REASONS.some((one) => one === reason);
}

function secured({ authentication }: RouterConfig): string {
  return `authentication ${authenticationWords(authentication)}`;
}

const PRIORITY: Readonly<Record<VrrpPriorityEvent["reason"], (one: Case) => Because>> = {
  command: (one) => order(one, "priority") ?? order(one, "start") ?? tracked(one),
  drain: (one) => order(one, "drain"),
  tracking: (one) => tracked(one),
};

export const explain: Explainable = {
  subjects: (node) => routersOf(node).map((router) => wordOf(node, router)),
  accepts: (node, word) => meant(node, word) !== undefined,

  now(node, word, past) {
    const router = meant(node, word);
    if (router === undefined) return undefined;
    return stateFact(past, node.node, router) ?? waiting({ node: node.node, router, past });
  },

  account(fact, past) {
    const node = past.node(fact.node);
    if (node === undefined || fact.what.kind !== "event" || !fact.what.event.type.startsWith("vrrp.")) return undefined;
    const event = eventOf<VrrpEvent>(fact);
    const { interface: name, family } = event;
    const router = routersOf(node).find(
      (one) => one.interface === name && one.vrid === event.vrid && one.family === family,
    );
    if (router === undefined) return undefined;
    const one: Case = { node: node.node, router, past: past.before(fact) };
    const text = describe(event) ?? event.type;
    const born = one.past.born(one.node);
    switch (event.type) {
      case "vrrp.state": {
        const why = WHY[event.reason];
        const runs = event.to === "master" || event.to === "backup";
        const ends = runs ? runningEnds(event, one) : (why.ends?.(one) ?? "when nothing speaks against it any more");
        const { to: state, reason } = event;
        const endsWithCause = reason === "interface-down";
        const faults = standings(one).filter(({ effect }) => effect === "fault");
        const said = reason === "tracking" && state === "fault" ? `${text}: ${effects(faults)}` : text;
        return { state, reason, text: said, because: why.because(one) ?? born, ends, endsWithCause };
      }
      case "vrrp.priority":
        return {
          state: String(event.priority),
          reason: event.reason,
          text: event.reason === "tracking" ? `${text}: ${effects(standings(one))}` : text,
          because: PRIORITY[event.reason](one) ?? born,
        };
      case "vrrp.drop": {
        const because = isAuthReason(event.reason)
          ? configured(one.node, DISBELIEVED[event.reason](one))
          : (one.past.touched(one.node, name) ?? born);
        return { state: event.type, reason: event.reason, text, because };
      }
      default:
        return { state: event.type, reason: "event", text, because: one.past.touched(one.node, name) ?? born };
    }
  },
};

/** A backup waits by design; a master has nothing to wait for. */
function runningEnds({ to, priority }: VrrpStateEvent, { router }: Case): string | undefined {
  if (to === "master") return undefined;
  const lower = router.preempt ? `, or has a priority below ${priority}` : "";
  const silent = `is silent for three intervals (${formatDuration(router.interval)}) and the skew time`;
  return `when the master says priority 0, ${silent}${lower}`;
}

/** Of a router that has not started yet. */
function waiting(one: Case): Account {
  const { past, node, router } = one;
  const up = past.link(node, router.interface);
  const down = up?.what.kind !== "link" || !up.what.up;
  const why = down ? WHY["interface-down"] : WHY["no-address"];
  const reason = down ? "interface-down" : "no-address";
  const text = `${router.name}: not started yet`;
  return { state: "initialize", reason, text, because: why.because(one) ?? past.born(node), ends: why.ends?.(one) };
}

// --- which router ---

function formsOf({ vrid, interface: name, family }: RouterConfig): string[] {
  const word = `vrrp${vrid}`;
  return [word, `${word}/${family}`, `${word}/${name}`, `${word}/${name}/${family}`];
}

function meant(node: NodeConfig, word: string): RouterConfig | undefined {
  const found = routersOf(node).filter((router) => formsOf(router).includes(word));
  return found.length === 1 ? found[0] : undefined;
}

/** The shortest word that means this router only. */
function wordOf(node: NodeConfig, router: RouterConfig): string {
  return (
    formsOf(router).find((word) => meant(node, word) === router) ??
    `vrrp${router.vrid}/${router.interface}/${router.family}`
  );
}

// --- facts ---

function stateFact(past: Past, node: string, { interface: name, vrid, family }: Of, to?: string): Fact | undefined {
  return past.event<VrrpStateEvent>(
    node,
    "vrrp.state",
    (event) =>
      event.interface === name &&
      event.vrid === vrid &&
      event.family === family &&
      (to === undefined || event.to === to),
  );
}

type Of = { readonly interface: string; readonly vrid: number; readonly family: Family };

function started({ past, node }: Case): Because {
  return newest(
    past.command(node, "vrrp", ({ verb }) => verb === "start"),
    past.born(node),
  );
}

function link({ past, node, router }: Case): Because {
  return (
    past.link(node, router.interface) ?? past.ground.carrier(past, node, router.interface, false) ?? past.born(node)
  );
}

function addresses({ past, node, router }: Case): Fact | undefined {
  return past.event<IpAddresses>(node, "ip.addresses", ({ port }) => port === router.interface);
}

function order({ past, node }: Case, verb: string): Fact | undefined {
  const to = (name: string) => past.command(node, name, (command) => command.verb === verb);
  return newest(to("vrrp"), to("*"));
}

/** The others of the same virtual router, wherever they run. */
function others({ past, node, router }: Case): readonly { readonly node: string; readonly router: RouterConfig }[] {
  const identity = identityOf(router);
  return past.nodes.flatMap((other) => {
    if (other.node === node) return [];
    const same = routersOf(other).filter((one) => identityOf(one) === identity);
    return same.map((one) => ({ node: other.node, router: one }));
  });
}

/** Who was heard last, and what became of it: it yielded, lost power, or is out of reach. */
function gone(one: Case): Because {
  const { past, node, router } = one;
  let last: { readonly node: string; readonly fact: Fact; readonly router: RouterConfig } | undefined;
  for (const other of others(one)) {
    const fact = stateFact(past, other.node, other.router, "master");
    if (fact !== undefined && fact.order > (last?.fact.order ?? 0)) last = { ...other, fact };
  }
  const since = past.born(node);
  if (last === undefined) return newest(stateFact(past, node, router)) ?? since;
  const off = past.off(last.node);
  if (off !== undefined) return off;
  const now = stateFact(past, last.node, last.router);
  if (now !== undefined && eventOf<VrrpStateEvent>(now).to !== "master") return now;
  const silence = past.silence(node, router.interface, last.node);
  return disbelieved(one, silence) ?? silence ?? stateFact(past, node, router) ?? since;
}

/** Somebody's adverts that came but were not believed, since the router is what it is and nothing else was in the way. */
function disbelieved(one: Case, silence: Because): Fact | undefined {
  const { past, node, router } = one;
  const drop = past.event<VrrpDropEvent>(
    node,
    "vrrp.drop",
    (event) => isAuthReason(event.reason) && event.vrid === router.vrid && isAt(event, router),
  );
  const since = newest(
    stateFact(past, node, router),
    silence !== undefined && "order" in silence ? silence : undefined,
  );
  return drop !== undefined && drop.order > (since?.order ?? 0) ? drop : undefined;
}

/** The master that said priority 0. */
function released(one: Case): Fact | undefined {
  const left = others(one).map((other) => {
    const fact = stateFact(one.past, other.node, other.router);
    return fact !== undefined && eventOf<VrrpStateEvent>(fact).from === "master" ? fact : undefined;
  });
  return newest(...left);
}

function ownPriority({ past, node, router }: Case): Fact | undefined {
  return past.event<VrrpPriorityEvent>(node, "vrrp.priority", (event) => isOf(event, router));
}

function otherPriority(one: Case): Fact | undefined {
  return newest(...others(one).map((other) => ownPriority({ ...other, past: one.past })));
}

function isOf(event: Of, router: RouterConfig): boolean {
  return event.vrid === router.vrid && isAt(event, router);
}

function isAt(event: Omit<Of, "vrid">, router: RouterConfig): boolean {
  return event.interface === router.interface && event.family === router.family;
}

/** How it came to hear a master that is worse: by its own start, or over a way that is whole again. */
function came(one: Case): Fact | undefined {
  const { past, node, router } = one;
  const [other] = others(one);
  return newest(stateFact(past, node, router), past.touched(node, router.interface, other?.node)) ?? past.born(node);
}

/** The other master, or the way on which it was heard again. */
function better(one: Case): Because {
  const { past, node, router } = one;
  const masters = others(one).flatMap((other) => {
    const fact = stateFact(past, other.node, other.router);
    return fact !== undefined && eventOf<VrrpStateEvent>(fact).to === "master" ? [{ fact, node: other.node }] : [];
  });
  const facts = masters.map(({ fact }) => fact);
  const ways = masters.map((other) => past.touched(node, router.interface, other.node));
  return newest(...facts, ...ways, otherPriority(one), ownPriority(one)) ?? past.born(node);
}

function tracked(one: Case): Because {
  return newest(...one.router.tracked.map((what) => lastSaid(one, what))) ?? one.past.born(one.node);
}

function lastSaid({ past, node }: Case, { kind, name }: Tracked): Fact | undefined {
  if (kind === "interface") return past.link(node, name);
  return past.command(node, "vrrp", (command) => command.verb === "track" && (command as Track).name === name);
}

type Track = Extract<VrrpCommand, { readonly verb: "track" }>;

interface Stands {
  readonly what: Tracked;
  readonly standing: Standing;
  readonly effect: number | "fault";
}

/** Of what means fault. */
function endOf({ valued, reverse }: Tracked): string {
  if (valued) return "says no such value any more";
  return reverse ? "is down" : "is up";
}

/** How all that it tracks stood. */
function standings(one: Case): readonly Stands[] {
  return one.router.tracked.map((what) => {
    const fact = lastSaid(one, what)?.what;
    let standing: Standing = what.kind === "interface" ? { up: false } : UNSAID;
    if (fact?.kind === "link") standing = { up: fact.up };
    if (fact?.kind === "command") standing = fact.command as Track;
    return { what, standing, effect: effectOf(what, standing) };
  });
}

/** "file load says 3: -30; interface eth1 is down: -50" */
function effects(all: readonly Stands[]): string {
  const words = all
    .filter(({ effect }) => effect !== 0)
    .map(({ what, standing, effect }) => `${standingWords(what, standing)}: ${effectWords(effect)}`);
  return words.length === 0 ? "nothing that it tracks adds anything" : words.join("; ");
}

/** Another router of the group that left, or came back. */
function groupMember({ past, node, router }: Case): Because {
  const config = past.node(node);
  const members =
    config === undefined ? [] : routersOf(config).filter((one) => one !== router && one.group === router.group);
  return (
    newest(...members.map((one) => newest(stateFact(past, node, one), past.link(node, one.interface)))) ??
    past.born(node)
  );
}
