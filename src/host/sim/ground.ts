/** What explanations need of a lab: which wire leads where, and what its script did to the way between two nodes. */
import { WORLD } from "../../core/log.ts";
import { formatDuration, us } from "../../core/time.ts";
import { configured, type Fact, type Ground, type Hearing, newest, type Origin, type Past } from "../../node/past.ts";
import type { End } from "../../node/units.ts";
import type { Lab, LabLink } from "./topology.ts";
import type { WorldCommand } from "./world.ts";

interface Wire {
  readonly link: LabLink;
  readonly near: End;
}

/** The links and nodes that what is heard has crossed; `sender` of a link is the node at the end where it came in. */
interface Way {
  readonly links: ReadonlyMap<string, { readonly link: LabLink; readonly senders: ReadonlySet<string> }>;
  readonly nodes: ReadonlySet<string>;
}

/** Faults that stand: by link what is cut, filtered or lost; by node that it has no power or stands still. */
interface Faults {
  readonly links: ReadonlyMap<string, readonly Fault[]>;
  readonly nodes: ReadonlyMap<string, Fact>;
}

interface Fault {
  readonly fact: Fact;
  /** The end whose sending is lost; absent for all. */
  readonly from?: string | undefined;
}

/** The ground under a run of this lab. */
export function labGround(lab: Lab): Ground {
  const wires = new Map<string, Map<string, Wire>>(lab.nodes.map(({ node }) => [node, new Map()]));
  for (const link of lab.links) for (const near of link.ends) wires.get(near.node)?.set(near.port, { link, near });
  const lines = new Map<unknown, number>(lab.script.map(({ command, line }) => [command, line]));
  const far = ({ link, near }: Wire) => link.ends.filter((end) => end !== near);
  const wire = (node: string, port: string) => wires.get(node)?.get(port);

  const wayOf = ({ node, wires: ports, from }: Hearing): Way => {
    const first = ports.flatMap((port) => wire(node, port) ?? []);
    const distance = from === undefined ? undefined : distances(lab.links, from);
    return from === undefined || distance?.get(node) === undefined
      ? direct(first, far)
      : shortest(
          first,
          node,
          distance,
          [...wires].map(([name, own]) => [name, [...own.values()]] as const),
          far,
        );
  };

  return {
    ends: (node, port) => {
      const own = wire(node, port);
      return own === undefined ? [] : far(own);
    },
    wires: (node) => [...(wires.get(node)?.keys() ?? [])],

    carrier(past, node, port, up) {
      const own = wire(node, port);
      if (own === undefined) return undefined;
      const { id } = own.link.options;
      const others = own.link.ends.length === 2 ? far(own).map((end) => end.node) : [];
      if (!up) {
        const { links, nodes } = faultsAt(past);
        const cut = links.get(id)?.find(({ fact, from }) => verbOf(fact) === "cut" && from === undefined)?.fact;
        return newest(cut, ...others.map((one) => past.off(one)), ...others.map((one) => offOnly(nodes.get(one))));
      }
      const healed = past.last(WORLD, "command", (fact) => {
        const command = commandOf(fact);
        return command.verb === "heal" && command.link === id;
      });
      return newest(healed, past.born(node), ...others.map((one) => past.born(one)));
    },

    silence(past, hearing) {
      const way = wayOf(hearing);
      const { links, nodes } = faultsAt(past);
      const found: (Fact | undefined)[] = [...way.nodes].map((node) => past.off(node) ?? nodes.get(node));
      for (const [id, { senders }] of way.links) {
        for (const { fact, from } of links.get(id) ?? []) if (from === undefined || senders.has(from)) found.push(fact);
      }
      const standing = newest(...found);
      if (standing !== undefined) return standing;
      return lossy(way, hearing.node) ?? lastTouch(past, way, hearing.node);
    },

    touched: (past, hearing) => lastTouch(past, wayOf(hearing), hearing.node),

    order(past, { node, what }) {
      if (what.kind === "command") {
        return past.last(WORLD, "command", (fact) => {
          const command = commandOf(fact);
          return command.verb === "command" && command.node === node && command.command === what.command;
        });
      }
      const verb = what.kind === "event" && what.event.type === "node.off" ? "power-off" : "power-on";
      return past.last(WORLD, "command", (fact) => {
        const command = commandOf(fact);
        return command.verb === verb && command.node === node;
      });
    },

    still(past, node) {
      const fact = faultsAt(past).nodes.get(node);
      return fact !== undefined && verbOf(fact) === "pause" ? fact : undefined;
    },

    words(fact) {
      const command = commandOf(fact);
      const line = lines.get(command);
      const where = line === undefined ? "" : ` (line ${line})`;
      return { type: `world.${command.verb}`, text: `${worldWords(command)}${where}` };
    },
  };
}

/** A command to the world in words. */
export function worldWords(command: WorldCommand): string {
  switch (command.verb) {
    case "cut":
    case "heal":
      return `${command.verb} ${command.link}${command.side === undefined ? "" : ` (only what ${command.side} sends)`}`;
    case "loss": {
      const { ratio } = command;
      return `loss on ${command.link}: ${ratio === undefined ? "none" : `${ratio.numerator}/${ratio.denominator}`}`;
    }
    case "delay":
      return `delay of ${command.link}: ${formatDuration(us(command.delay / 1_000))}`;
    case "filter":
      return `filter on ${command.link}: ${command.text}`;
    case "power-off":
    case "power-on":
    case "pause":
    case "resume":
      return `${command.verb} ${command.node}`;
    case "command":
      return `${command.node}: ${command.to} ${JSON.stringify(command.command)}`;
  }
}

function commandOf(fact: Fact): WorldCommand {
  return (fact.what as unknown as { readonly command: WorldCommand }).command;
}

function verbOf(fact: Fact): string {
  return commandOf(fact).verb;
}

function offOnly(fact: Fact | undefined): Fact | undefined {
  return fact !== undefined && verbOf(fact) === "power-off" ? fact : undefined;
}

/** Plays the script up to the end of `past`. */
function faultsAt(past: Past): Faults {
  const links = new Map<string, Fault[]>();
  const nodes = new Map<string, Fact>();
  const keep = (link: string, wanted: (fault: Fault) => boolean) =>
    links.set(link, (links.get(link) ?? []).filter(wanted));
  const add = (link: string, fault: Fault) => links.set(link, [...(links.get(link) ?? []), fault]);
  for (const fact of [...past.newest(WORLD, "command")].reverse()) {
    const command = commandOf(fact);
    switch (command.verb) {
      case "cut":
        add(command.link, { fact, from: command.side });
        break;
      case "heal":
        keep(
          command.link,
          (fault) => verbOf(fault.fact) !== "cut" || (command.side !== undefined && fault.from !== command.side),
        );
        break;
      case "loss":
        keep(command.link, (fault) => verbOf(fault.fact) !== "loss");
        if (command.ratio !== undefined) add(command.link, { fact });
        break;
      case "filter":
        if (command.filter === undefined) keep(command.link, (fault) => verbOf(fault.fact) !== "filter");
        else add(command.link, { fact, from: command.filter.from });
        break;
      case "power-off":
      case "pause":
        nodes.set(command.node, fact);
        break;
      case "power-on":
      case "resume":
        nodes.delete(command.node);
        break;
      default:
    }
  }
  return { links, nodes };
}

/** The newest command about a link or a node of the way, or about who hears. */
function lastTouch(past: Past, way: Way, node: string): Fact | undefined {
  return past.last(WORLD, "command", (fact) => {
    const command = commandOf(fact);
    if ("link" in command) return way.links.has(command.link);
    return command.verb !== "command" && (command.node === node || way.nodes.has(command.node));
  });
}

function lossy({ links }: Way, node: string): Origin | undefined {
  for (const [id, { link }] of links) {
    const { loss } = link.options;
    if (loss === undefined) continue;
    return configured(node, `${id} loses ${loss.numerator} of ${loss.denominator} frames by its configuration`);
  }
  return undefined;
}

function direct(first: readonly Wire[], far: (wire: Wire) => readonly End[]): Way {
  const nodes = new Set(first.flatMap((wire) => far(wire).map(({ node }) => node)));
  return {
    nodes,
    links: new Map(first.map((wire) => [wire.link.options.id, { link: wire.link, senders: sendersOf(far(wire)) }])),
  };
}

/** As filters name them, and as cuts of one side do. */
function sendersOf(ends: readonly End[]): ReadonlySet<string> {
  return new Set(ends.flatMap(({ node, port }) => [node, `${node}:${port}`]));
}

/** How many links each node is away. */
function distances(links: readonly LabLink[], from: string): Map<string, number> {
  const distance = new Map([[from, 0]]);
  for (let round = [from], n = 1; round.length > 0; n++) {
    const next: string[] = [];
    for (const { ends } of links) {
      if (!ends.some(({ node }) => round.includes(node))) continue;
      for (const { node } of ends) {
        if (distance.has(node)) continue;
        distance.set(node, n);
        next.push(node);
      }
    }
    round = next;
  }
  return distance;
}

/** All shortest ways, beginning on one of these wires. */
function shortest(
  first: readonly Wire[],
  node: string,
  distance: ReadonlyMap<string, number>,
  wires: readonly (readonly [string, readonly Wire[]])[],
  far: (wire: Wire) => readonly End[],
): Way {
  const away = (end: End) => distance.get(end.node) ?? Number.POSITIVE_INFINITY;
  const best = Math.min(...first.flatMap((wire) => far(wire).map(away)));
  const links = new Map<string, { readonly link: LabLink; readonly senders: ReadonlySet<string> }>();
  const nodes = new Set<string>();
  const byNode = new Map(wires);
  let round: readonly Wire[] = first.filter((wire) => far(wire).some((end) => away(end) === best));
  for (let left = best; round.length > 0 && Number.isFinite(left); left--) {
    const next = new Set<string>();
    for (const wire of round) {
      const nearer = far(wire).filter((end) => away(end) === left && end.node !== node);
      links.set(wire.link.options.id, { link: wire.link, senders: sendersOf(nearer) });
      for (const end of nearer) {
        if (left > 0) next.add(end.node);
        nodes.add(end.node);
      }
    }
    const goal = left - 1;
    round = [...next].flatMap((name) =>
      (byNode.get(name) ?? []).filter((wire) => far(wire).some((end) => away(end) === goal)),
    );
  }
  return { links, nodes };
}
