/** What the world's commands have left standing: by it a promise knows whether the network is whole. */
import { type Entry, WORLD } from "./log.ts";

export interface Faults {
  /** "cut core", "cut core sw1:p1", "loss core", "filter core". */
  readonly links: Set<string>;
  /** Nodes that stand still, and those without power. */
  readonly paused: Set<string>;
  readonly off: Set<string>;
  /** Orders to nodes that take something out of service until it is given back: "sw1 vrrp". */
  readonly orders: Set<string>;
}

export function noFaults(): Faults {
  return { links: new Set(), paused: new Set(), off: new Set(), orders: new Set() };
}

/** No link is cut, filtered or lossy, every node has power and runs, and nothing was ordered out of service. */
export function isWhole({ links, paused, off, orders }: Faults): boolean {
  return links.size === 0 && paused.size === 0 && off.size === 0 && orders.size === 0;
}

/** @returns whether the entry is a command to the world */
export function foldFaults(faults: Faults, entry: Entry): boolean {
  const { what } = entry;
  if (entry.node !== WORLD || what.kind !== "command") return false;
  const command = what.command as unknown as Readonly<Record<string, unknown>>;
  const { verb, link, node } = command;
  switch (verb) {
    case "cut":
    case "heal":
      noteCut(faults.links, command);
      break;
    case "loss":
      put(faults.links, `loss ${String(link)}`, command["ratio"] !== undefined);
      break;
    case "filter":
      put(faults.links, `filter ${String(link)}`, command["filter"] !== undefined);
      break;
    case "pause":
    case "resume":
      put(faults.paused, String(node), verb === "pause");
      break;
    case "power-on":
    case "power-off":
      notePower(faults, String(node), verb === "power-on");
      break;
    case "command":
      noteOrder(faults.orders, command);
      break;
  }
  return true;
}

function put(set: Set<string>, name: string, stands: boolean): void {
  if (stands) set.add(name);
  else set.delete(name);
}

function noteCut(links: Set<string>, { verb, link, side }: Readonly<Record<string, unknown>>): void {
  const whole = `cut ${String(link)}`;
  if (side !== undefined) {
    put(links, `${whole} ${String(side)}`, verb === "cut");
  } else if (verb === "cut") {
    links.add(whole);
  } else {
    // A link that is healed is whole, whatever was done to one of its sides.
    for (const name of links) if (name === whole || name.startsWith(`${whole} `)) links.delete(name);
  }
}

/** A device that starts remembers no order. */
function notePower({ paused, off, orders }: Faults, node: string, on: boolean): void {
  put(off, node, !on);
  paused.delete(node);
  for (const order of orders) if (order.startsWith(`${node} `)) orders.delete(order);
}

/** Orders that may leave traffic without a way, and those that end them. */
const OUT: readonly unknown[] = ["stop", "drain", "suspend", "key"];
const BACK: readonly unknown[] = ["start", "restore"];

function noteOrder(orders: Set<string>, { node, to, command }: Readonly<Record<string, unknown>>): void {
  const { verb, on, up } = command as Readonly<Record<string, unknown>>;
  const name = `${String(node)} ${String(to)}`;
  if (OUT.includes(verb) || (verb === "maintenance" && on === true) || up === false) orders.add(name);
  else if (BACK.includes(verb) || on === false || up === true) orders.delete(name);
}
