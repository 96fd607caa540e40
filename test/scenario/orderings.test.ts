/** M24, M25, M32, M34 at frame level: all orderings of six kinds of fault on an M-LAG pair, each mended while later ones happen. */
import { describe, expect, it } from "vitest";
import { drill, SPLITS, STATIONS, WATCH } from "../support/mlag-lab.ts";

const maintenance = (on: boolean) => `command: { node: sw1, mlag: { verb: maintenance, on: ${on} } }`;
const FAULTS = {
  "peer link": ["cut: peer", "heal: peer"],
  keepalive: ["cut: ka", "heal: ka"],
  member: ["cut: h1-sw1", "heal: h1-sw1"],
  "reboot sw1": ["power-off: sw1", "power-on: sw1"],
  "reboot sw2": ["power-off: sw2", "power-on: sw2"],
  "configuration of sw1": [maintenance(true), maintenance(false)],
} as const;
type Fault = keyof typeof FAULTS;
const ALL = Object.keys(FAULTS) as Fault[];

function permutations<T>(of: readonly T[]): T[][] {
  if (of.length < 2) return [[...of]];
  return of.flatMap((one, i) => permutations(of.filter((_, at) => at !== i)).map((rest) => [one, ...rest]));
}

/** Seconds: until the pair carries traffic, and until it does so again after the last fault. */
const BEGIN = 3;
const SETTLE = 6;
const EVERYBODY = STATIONS.flatMap((from) => STATIONS.filter((to) => to !== from).map((to) => `${from} ${to}`)).sort();

/** Faults begin `spacing` seconds after each other, and each is mended after two and a half of them. */
function check(order: readonly Fault[], spacing: number, split: string): void {
  const lines = order.flatMap((fault, i) => {
    const at = BEGIN + i * spacing;
    const [breaks, mends] = FAULTS[fault];
    return [
      { at, what: breaks },
      { at: at + 2.5 * spacing, what: mends },
    ];
  });
  const end = Math.max(...lines.map(({ at }) => at)) + SETTLE;
  const seen = drill(lines, end, split);
  const words = `${order.join(", ")}, ${spacing} s apart, ${split}`;
  expect(seen.own, `${words}: a frame came back to its sender`).toEqual([]);
  const late = seen.again.filter((t) => t > end - WATCH);
  expect(late, `${words}: a frame came twice after all had settled`).toEqual([]);
  expect([...seen.reached].sort(), `${words}: not everybody was heard after all had settled`).toEqual(EVERYBODY);
  expect(seen.members, `${words}: not every link carries`).toBe("2 2");
  expect(seen.systems.size, `${words}: more than one system id`).toBe(1);
  expect(seen.tables[0], `${words}: the tables differ`).toBe(seen.tables[1]);
}

describe("M24, M25, M32, M34: six faults in every order, within the time of one decision and while others are mended", () => {
  it.each(ALL)("beginning with the %s", (first) => {
    const orders = permutations(ALL).filter(([one]) => one === first);
    // Neighbours in the list begin alike: each of the three policies and both paces come to every beginning.
    for (const [i, order] of orders.entries()) check(order, i % 2 === 0 ? 0.06 : 1.1, SPLITS[i % 3] as string);
  });
});
