/**
 * A million mutated adverts, real and crafted ones, at routers of every kind: each is taken, or dropped under exactly one
 * reason without a trace in the router's state; nothing throws. HOTPAIR_FUZZ sets another number.
 */
import { expect, it } from "vitest";
import { encodeEthernet } from "../../protocols/ethernet/codec.ts";
import { vrrp } from "../../protocols/vrrp/machine.ts";
import type { Router, VrrpState } from "../../protocols/vrrp/state.ts";
import { Frame } from "../../src/core/frame.ts";
import { below, createRng } from "../../src/core/rng.ts";
import { type Duration, sec } from "../../src/core/time.ts";
import { capturedFrames } from "../support/captured.ts";
import { Bench, type Given } from "../support/vrrp.ts";

const ROUNDS = Number(process.env["HOTPAIR_FUZZ"] ?? 1_000_000);

const given = (more: Given): Given => ({ interface: "eth0", ...more });
/** The captures' VRIDs, so that what is still valid finds its router. */
const VRIDS = [6, 33, 51, 52, 55, 255];
const routers = VRIDS.flatMap((vrid) => [
  given({ vrid, version: vrid === 33 ? 2 : 3, addresses: ["192.0.2.100/24"], priority: 120 }),
  given({ vrid, addresses: ["fe80::100/64", "2001:db8:51::100/64"], priority: 120 }),
]);

/** What an advert that is dropped must leave alone. */
function shot(router: Router): string {
  const { state, masterInterval, downAt, adverAt, priority, peers, counters } = router;
  return `${state} ${masterInterval} ${downAt} ${adverAt} ${priority} ${peers.size} ${counters.advertsReceived}`;
}

function lost({ interfaces }: VrrpState): number {
  let sum = 0;
  for (const face of interfaces) for (const { count } of face?.drops.values() ?? []) sum += count;
  return sum;
}

it(`${ROUNDS} mutated adverts: each is taken or dropped under one reason, and a dropped one changes nothing`, {
  timeout: 900_000,
}, () => {
  const seeds = capturedFrames()
    .filter(({ said }) => "vrrp" in said)
    .map(({ ethernet }) => encodeEthernet({ ...ethernet, tags: [] }));
  expect(seeds.length).toBeGreaterThan(1_000);
  const rng = createRng(20_261_121, "adverts");
  const found = { taken: 0, dropped: 0, passed: 0 };
  let bench = new Bench(routers);
  const port = bench.port("eth0");
  for (let round = 0; round < ROUNDS; round++) {
    // Now and then time passes, so that backups and masters both are asked; and now and then all start afresh.
    if (round % 20_000 === 0) bench = new Bench(routers);
    if (round % 2_000 === 1_999) bench.wait(sec(4)).wait(1 as Duration);
    bench.take();
    const bytes = (seeds[below(rng, seeds.length)] as Uint8Array).slice();
    for (let changes = below(rng, 4); changes > 0; changes--)
      bytes[14 + below(rng, bytes.length - 14)] = below(rng, 256);
    const cut = below(rng, 8) === 0 ? 14 + below(rng, bytes.length - 13) : bytes.length;
    const frame = Frame.of(bytes.subarray(0, cut));
    const { state } = bench;
    if (!vrrp.claims?.(state, port, frame)) {
      found.passed++;
      continue;
    }
    const before = state.routers.map((_, i) => shot(bench.router(i)));
    const lostBefore = lost(state);
    bench.frame(frame);
    const losses = lost(state) - lostBefore;
    const changed = state.routers.filter((_, i) => shot(bench.router(i)) !== before[i]).length;
    // Another protocol in the group's frame is nobody's advert: neither taken nor dropped.
    if (losses === 0 && changed === 0) found.passed++;
    else if (losses === 1 && changed === 0) found.dropped++;
    else if (losses === 0 && changed === 1) found.taken++;
    else
      expect.fail(
        `round ${round}: ${losses} drops, ${changed} routers changed by ${Buffer.from(frame.bytes).toString("hex")}`,
      );
  }
  expect(found.taken).toBeGreaterThan(ROUNDS / 100);
  expect(found.dropped).toBeGreaterThan(ROUNDS / 2);
  expect(found.taken + found.dropped + found.passed).toBe(ROUNDS);
});
