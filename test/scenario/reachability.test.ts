/** M68, M31, M32: who reaches whom in all 2^6 states of two hosts' halves, peer link and keepalive, and never twice. */
import { describe, expect, it } from "vitest";
import { drill, STATIONS, WATCH } from "../support/mlag-lab.ts";

const LINKS = ["h1-sw1", "h1-sw2", "h2-sw1", "h2-sw2", "peer", "ka"] as const;
type Whole = Readonly<Record<(typeof LINKS)[number], boolean>>;

/** On which switches a host is served; what the design promises, worked out from the links alone. */
function served(whole: Whole, host: "h1" | "h2"): readonly string[] {
  const [one, two] = [whole[`${host}-sw1`], whole[`${host}-sw2`]];
  const halves = [...(one ? ["sw1"] : []), ...(two ? ["sw2"] : [])];
  if (whole.peer) return halves;
  // The primary lives: the secondary serves no M-LAG. Nobody knows: a host with both halves keeps to the id it has.
  if (whole.ka || one) return one ? ["sw1"] : [];
  return halves;
}

function expected(whole: Whole): string[] {
  const places: Readonly<Record<string, readonly string[]>> = {
    h1: served(whole, "h1"),
    h2: served(whole, "h2"),
    o1: ["sw1"],
    o2: ["sw2"],
  };
  const reach = (a: string, b: string) => {
    const [from, to] = [places[a] ?? [], places[b] ?? []];
    return whole.peer ? from.length > 0 && to.length > 0 : from.some((one) => to.includes(one));
  };
  return STATIONS.flatMap((a) => STATIONS.filter((b) => a !== b && reach(a, b)).map((b) => `${a} ${b}`)).sort();
}

const states = Array.from({ length: 64 }, (_, bits) => {
  const broken = LINKS.filter((_link, i) => (bits & (1 << i)) !== 0);
  const whole = Object.fromEntries(LINKS.map((link) => [link, !broken.includes(link)])) as Whole;
  return [broken.length === 0 ? "nothing" : broken.join(", "), broken, whole] as const;
});

describe("M68, M31, M32: with some links cut, everybody who can be reached is reached once, and nobody else", () => {
  it.each(states)("%s", (_words, broken, whole) => {
    // The keepalive first: whoever hears it at the moment of the peer link's loss knows that the other lives.
    const lines = broken.map((link) => ({ at: link === "ka" ? 2.5 : 3, what: `cut: ${link}` }));
    const end = 7;
    const { reached, own, again } = drill(lines, end, "sysid-fallback");
    expect([...reached].sort()).toEqual(expected(whole));
    expect([own, again.filter((t) => t > end - WATCH)]).toEqual([[], []]);
  });
});
