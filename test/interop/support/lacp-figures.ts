/** What a bundle with Open vSwitch takes and costs, measured: each line one thing of one repeat. For bench/lacp. */
import { STATE } from "../../../protocols/lacp/codec.ts";
import { ipBatch, sh, shIn, until } from "./namespaces.ts";
import { Stream } from "./stream.ts";
import { LINKS, type LinkName, Trunk } from "./trunk.ts";
import { now } from "./wire.ts";

export interface Figure {
  readonly what: string;
  readonly repeat: number;
  readonly unit: "ms" | "packets";
  readonly value: number;
}

type Tell = (what: string, unit: Figure["unit"], value: number) => void;

/** One repeat of all of it. @throws Error when it does not come to what is measured */
export async function measure(repeat: number, tell: (figure: Figure) => void): Promise<void> {
  const say: Tell = (what, unit, value) => tell({ what, repeat, unit, value: Math.round(value * 1_000) / 1_000 });
  await Trunk.run({}, async (trunk) => {
    await aggregation(trunk, say);
    await cuts(trunk, say);
    await silence(trunk, say);
  });
  await Trunk.run({ bond: {}, cards: true }, (trunk) => secondCut(trunk, say));
}

/** From the first LACPDU of the partner to the last that agrees; then the same of a second half that comes later. */
async function aggregation(trunk: Trunk, say: Tell): Promise<void> {
  const begin = now();
  await trunk.bond();
  say("both links agreed", "ms", (await trunk.agree()) / 1e3 - firstOf(trunk, LINKS, begin) / 1e3);
  await trunk.carry();
  ipBatch(trunk.far, ["link set v2 down"]);
  await trunk.carry(["1"]);
  const since = now();
  ipBatch(trunk.far, ["link set v2 up"]);
  say("second half agreed", "ms", (await trunk.agree(["2"], since)) / 1e3 - firstOf(trunk, ["2"], since) / 1e3);
  await trunk.carry();
}

function firstOf(trunk: Trunk, links: readonly LinkName[], since: number): number {
  return Math.min(...links.flatMap((link) => trunk.lacpdus("theirs", link, since).slice(0, 1)).map(({ at }) => at));
}

/** Either link, a thousand packets a second either way, in sixteen flows. */
async function cuts(trunk: Trunk, say: Tell): Promise<void> {
  const streams = await passing(trunk);
  for (const link of LINKS) {
    const cut = now();
    await shIn(trunk.far, "ip", "link", "set", `v${link}`, "down");
    await trunk.carry(LINKS.filter((other) => other !== link));
    await settled(streams);
    loss(streams, `link ${link} cut`, cut, say);
    const back = now();
    await shIn(trunk.far, "ip", "link", "set", `v${link}`, "up");
    await trunk.carry();
    await settled(streams);
    loss(streams, `link ${link} back`, back, say);
  }
  for (const one of streams) await one.stop();
}

/**
 * A link that is lost within a second of another one's return: of a network card the kernel tells that later. Nothing comes
 * back from where the packets go, or the bridge would learn from it.
 */
async function secondCut(trunk: Trunk, say: Tell): Promise<void> {
  const stream = trunk.keep(new Stream(trunk.hostPoint, trunk.farPoint));
  await stream.arrives();
  for (const state of ["down", "up"]) {
    await shIn(trunk.far, "ip", "link", "set", "v1", state);
    await trunk.carry(state === "down" ? ["2"] : LINKS);
  }
  const cut = now();
  await shIn(trunk.far, "ip", "link", "set", "v2", "down");
  await trunk.carry(["1"]);
  await settled([stream]);
  loss([stream], "link 2 cut just after link 1 came back", cut, say);
}

async function silence(trunk: Trunk, say: Tell): Promise<void> {
  const streams = await passing(trunk);
  const since = now();
  const rules =
    "table netdev quiet { chain out { type filter hook egress device v2 priority 0; ether type 0x8809 drop; }; }";
  sh("ip", ["netns", "exec", trunk.far, "nft", "-f", "-"], rules);
  const leaves = () =>
    trunk.lacpdus("ours", "2", since).find(({ pdu }) => (pdu.actor.state & STATE.distributing) === 0)?.at;
  await until("the silent link is left", () => leaves() !== undefined);
  const last = trunk.lacpdus("theirs", "2").at(-1)?.at ?? 0;
  say("silent link left", "ms", ((leaves() ?? 0) - last) / 1e3);
  await settled(streams);
  loss(streams, "silent link", since, say);
}

async function passing(trunk: Trunk): Promise<readonly Stream[]> {
  const streams = trunk.bothWays();
  for (const one of streams) await one.arrives();
  return streams;
}

async function settled(streams: readonly Stream[]): Promise<void> {
  for (const one of streams) await one.goesOn(200);
  for (const one of streams) await one.arrives();
}

function loss(streams: readonly Stream[], what: string, since: number, say: Tell): void {
  for (const [i, stream] of streams.entries()) {
    const way = i === 0 ? "to the partner" : "from the partner";
    // The last ones may be under way.
    const { lost, longestGap, duplicated, returned } = stream.count(since, now() - 50_000);
    say(`${what}: lost ${way}`, "packets", lost);
    say(`${what}: longest gap ${way}`, "ms", longestGap);
    say(`${what}: duplicated ${way}`, "packets", duplicated + returned);
  }
}
