/** Whether the ports that nodes use and the ends of links fit: most misspelt interfaces show here. */
import { BROADCAST } from "../../core/addr.ts";
import type { Port } from "../../core/machine.ts";
import { createRng } from "../../core/rng.ts";
import { problemAt, valueAt } from "../../node/file.ts";
import { machinesOf } from "../../node/machines.ts";
import { didYouMean } from "../../node/nearest.ts";
import type { AnyProtocol, NodeConfig } from "../../node/protocol.ts";
import type { FileProblem, Path, Source } from "../../node/source.ts";
import { quote } from "../../node/units.ts";

/** What is not wrong in itself, as an unplugged cable is not: each port on one side only. */
export function loosePorts(
  source: Source,
  nodes: readonly NodeConfig[],
  /** "sw1:p1" of every end of a link, and where it stands. */
  ends: ReadonlyMap<string, Path>,
  protocols: readonly AnyProtocol[],
): FileProblem[] {
  const problems: FileProblem[] = [];
  const linkedOf = new Map<string, string[]>(nodes.map(({ node }) => [node, []]));
  for (const end of ends.keys()) {
    const colon = end.indexOf(":");
    linkedOf.get(end.slice(0, colon))?.push(end.slice(colon + 1));
  }
  for (const node of nodes) {
    const used = wiredPorts(node, protocols);
    const linkedPorts = linkedOf.get(node.node) ?? [];
    const base = ["nodes", node.node];
    for (const port of used) {
      if (linkedPorts.includes(port)) continue;
      const free = linkedPorts.filter((name) => !used.has(name));
      const message = `found the port ${quote(port)}, which no link has${didYouMean(port, free)}`;
      problems.push(problemAt(source, find(valueAt(source.value, base), port, base) ?? base, message));
    }
    for (const port of linkedPorts) {
      const end = `${node.node}:${port}`;
      if (used.has(port)) continue;
      const free = [...used].filter((name) => !linkedPorts.includes(name));
      const message = `found ${end}, a port that nothing on ${node.node} uses${didYouMean(port, free)}`;
      problems.push(problemAt(source, ends.get(end) ?? ["links"], message));
    }
  }
  return problems;
}

/** The ports of a node that its machines use and none of them provides. */
function wiredPorts(node: NodeConfig, protocols: readonly AnyProtocol[]): Set<string> {
  const ports = new Map<string, Port>();
  const port = (name: string): Port => {
    const known = ports.get(name) ?? { name, index: ports.size };
    ports.set(name, known);
    return known;
  };
  const rng = (owner: string) => createRng(0, node.node, owner);
  const env = { node: node.node, port, mac: () => BROADCAST, rng };
  const machines = machinesOf(protocols, node, env);
  const used = new Set(machines.flatMap(({ uses }) => uses.map(({ name }) => name)));
  for (const { owns } of machines) for (const { name } of owns) used.delete(name);
  return used;
}

/** Where a name stands as a value or a key, in the order of the text. */
function find(part: unknown, name: string, path: Path): Path | undefined {
  if (part === name) return path;
  if (typeof part !== "object" || part === null) return undefined;
  for (const [key, value] of Object.entries(part)) {
    const at = [...path, Array.isArray(part) ? Number(key) : key];
    if (key === name) return at;
    const found = find(value, name, at);
    if (found !== undefined) return found;
  }
  return undefined;
}
