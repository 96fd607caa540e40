import { describe, expect, test } from "vitest";
import { schema } from "../../../protocols/vrrp/config.ts";
import { changes } from "../../../protocols/vrrp/configure.ts";
import type { DropReason } from "../../../protocols/vrrp/events.ts";
import { kernel } from "../../../protocols/vrrp/farewell.ts";
import { isAfter, isSignedWith, microsecondsBetween, sequenceAt, TRAILER_SIZE } from "../../../protocols/vrrp/hmac.ts";
import { vrrp } from "../../../protocols/vrrp/machine.ts";
import { status } from "../../../protocols/vrrp/status.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { Frame } from "../../../src/core/frame.ts";
import { createRng } from "../../../src/core/rng.ts";
import { instant, ms, sec } from "../../../src/core/time.ts";
import { authentication, isSigned, keyOf, OTHER_SECRET, SECRET, signed, trailerOf } from "../../support/signed.ts";
import { Bench, type Given, given, given6, ip, packetOf } from "../../support/vrrp.ts";

/** 2026-11-21, in microseconds. */
const TODAY = 1_795_219_200_000_000;

const router = (more: Given = {}, rest: Given = {}) => given({ ...authentication(more), ...rest });

function clock(bench: Bench, utc: number): Bench {
  return bench.input({ kind: "heard", event: { type: "host.clock", utc } });
}

function master(more: Given = {}, rest: Given = {}): Bench {
  const bench = clock(new Bench([router(more, rest)]), TODAY).wait(sec(4));
  bench.take();
  return bench;
}

function backup(more: Given = {}, rest: Given = {}): Bench {
  const bench = clock(new Bench([router(more, rest)]), TODAY);
  bench.take();
  return bench;
}

const sequences = (bench: Bench) => bench.adverts().map(({ frame }) => trailerOf(frame).sequence);
const drops = (bench: Bench) => bench.router().counters.dropped;

/** Each advert of the peer is dropped under the reason, so the router becomes master in its time, and stays it. */
function disbelieves(bench: Bench, reason: DropReason, next: (i: number) => Frame): void {
  for (let i = 0; i < 6; i++) bench.frame(next(i)).wait(sec(1));
  expect(bench.router().state).toBe("master");
  expect(drops(bench)).toEqual({ [reason]: 6 });
  expect(bench.router().counters.advertsReceived).toBe(0);
  expect(bench.router().peers.size).toBe(0);
  expect(bench.router().counters.asserts).toBe(0);
}

describe("what it sends", () => {
  test("draft-cassen-vrrp-auth-hmac · each advert carries a signature of its own, with the time in UTC", () => {
    const bench = master();
    expect(bench.adverts().length).toBeGreaterThan(0);
    bench.wait(sec(3));
    for (const { at, frame } of bench.adverts()) {
      const { payload } = packetOf(frame);
      const at28 = payload.length - TRAILER_SIZE;
      expect(isSignedWith(payload.subarray(0, at28), ip("192.0.2.2"), keyOf(), payload.subarray(at28))).toBe(true);
      expect(trailerOf(frame)).toMatchObject({ keyId: 1, sequence: sequenceAt(TODAY + at) });
    }
    const [first, second] = sequences(bench);
    expect(first !== undefined && second !== undefined && isAfter(second, first)).toBe(true);
  });

  test("IPv6: likewise", () => {
    const bench = new Bench([given6(authentication())]).wait(sec(4));
    const { payload } = packetOf(bench.lastAdvert().frame);
    const at = payload.length - TRAILER_SIZE;
    expect(isSignedWith(payload.subarray(0, at), ip("fe80::2"), keyOf(), payload.subarray(at))).toBe(true);
  });

  test("the copies for all unicast peers share sequence and HMAC, whatever their checksums", () => {
    const peers = ["192.0.2.1", "192.0.2.3"];
    const bench = master({}, { peers, checksum: "pseudo-header" });
    const [one, two] = bench.adverts();
    if (one === undefined || two === undefined) return expect.fail("two copies");
    expect(packetOf(one.frame).payload.subarray(12)).toEqual(packetOf(two.frame).payload.subarray(12));
    expect(packetOf(one.frame).payload.subarray(6, 8)).not.toEqual(packetOf(two.frame).payload.subarray(6, 8));
    bench.wait(sec(1));
    expect(trailerOf(bench.lastAdvert().frame).hmac).not.toEqual(trailerOf(one.frame).hmac);
  });

  test("the release is signed too, and later than what was sent in the same instant", () => {
    const bench = master()
      .wait(ms(609))
      .wait(instant(375) as never);
    bench.command({ verb: "stop" });
    expect(bench.lastAdvert().advert).toMatchObject({ priority: 0 });
    const [before, last] = sequences(bench).slice(-2);
    expect(before !== undefined && last !== undefined && isAfter(last, before)).toBe(true);
  });

  test("a clock set back within the window: the sequence goes on growing; by more: it starts from the clock", () => {
    const bench = master();
    clock(bench, TODAY - 2_000_000).wait(sec(1));
    const grown = sequences(bench);
    for (const [i, one] of grown.slice(1).entries()) expect(isAfter(one, grown[i] ?? one)).toBe(true);
    clock(bench, TODAY - 3_600_000_000).wait(sec(1));
    const last = bench.lastAdvert();
    expect(trailerOf(last.frame).sequence).toEqual(sequenceAt(TODAY - 3_600_000_000 + last.at));
  });

  test("replay: monotonic never goes back", () => {
    const bench = master({ replay: "monotonic" });
    clock(bench, TODAY - 3_600_000_000).wait(sec(3));
    const all = sequences(bench);
    for (const [i, one] of all.slice(1).entries()) expect(isAfter(one, all[i] ?? one)).toBe(true);
  });

  test("receive-only sends unsigned adverts, permissive and enforce signed ones", () => {
    const last = (mode: string) => isSigned(master({ mode }).lastAdvert().frame);
    expect([last("receive-only"), last("permissive"), last("enforce")]).toEqual([false, true, true]);
  });

  test("the first key signs", () => {
    const keys = [
      { id: 7, secret: OTHER_SECRET },
      { id: 1, secret: SECRET },
    ];
    expect(trailerOf(master({ keys }).lastAdvert().frame).keyId).toBe(7);
  });

  test("the farewell of a process that dies is newer than its next second's adverts, and not too new", () => {
    const bench = master({}, { interval: "100ms" });
    const [farewell] = kernel.farewells(bench.state as never);
    const last = bench.wait(ms(1_500)).lastAdvert();
    const said = trailerOf(Frame.of(farewell?.frames[0] ?? new Uint8Array(14))).sequence;
    expect(isAfter(said, trailerOf(last.frame).sequence)).toBe(true);
    expect(microsecondsBetween(said, trailerOf(last.frame).sequence)).toBeLessThan(2_500_000);
    // It was made beforehand, and perhaps for nothing: the adverts go on as if it were not there.
    for (const [i, one] of sequences(bench).slice(1).entries()) {
      expect(isAfter(one, sequences(bench)[i] ?? one)).toBe(true);
    }
  });
});

describe("whom it believes: mode enforce", () => {
  test("a signed advert each interval keeps it backup; each is counted", () => {
    const bench = backup();
    for (let i = 0; i < 10; i++) bench.frame(signed(bench, 200)).wait(sec(1));
    expect(bench.router().state).toBe("backup");
    expect(bench.router().counters).toMatchObject({ advertsReceived: 10, authenticated: 10, dropped: {} });
    expect(bench.router().peers.get(ip("192.0.2.1"))).toMatchObject({ keyId: 1, adverts: 10 });
  });

  test("an unsigned one is `auth-missing`", () => {
    const bench = backup();
    for (let i = 0; i < 6; i++) bench.hear(200).wait(sec(1));
    expect(bench.router().state).toBe("master");
    expect(drops(bench)).toEqual({ "auth-missing": 6 });
  });

  test("a key that is not here is `auth-key`, another secret `auth-signature`", () => {
    const one = backup();
    disbelieves(one, "auth-key", () => signed(one, 200, { key: keyOf(SECRET, 2) }));
    const two = backup();
    disbelieves(two, "auth-signature", () => signed(two, 200, { key: keyOf(OTHER_SECRET) }));
  });

  test("a clock that differs by more than the window is `auth-window`, either way", () => {
    for (const off of [-5_100_000, 5_100_000, -40 * 365 * 86_400_000_000]) {
      const bench = backup();
      disbelieves(bench, "auth-window", () => signed(bench, 200, { sequence: sequenceAt(TODAY + bench.now + off) }));
    }
    const bench = backup();
    const sequence = () => sequenceAt(TODAY + bench.now - 4_900_000);
    for (let i = 0; i < 6; i++) bench.frame(signed(bench, 200, { sequence: sequence() })).wait(sec(1));
    expect(bench.router().state).toBe("backup");
    expect(bench.said()).toContain("mismatch clock behind");
  });

  test("the default window is three intervals, 5 s at least", () => {
    const window = (interval: string) => schema.parse([router({}, { interval })])[0]?.authentication?.window;
    expect([window("100ms"), window("1s"), window("10s")]).toEqual([sec(5), sec(5), sec(30)]);
  });

  test("a replayed advert is `auth-replay`: the same frame and the same octets, at once and later, set no timer", () => {
    const bench = backup();
    const frame = signed(bench, 200);
    bench.frame(frame);
    const due = bench.router().downAt;
    bench.frame(frame).wait(ms(10)).frame(Frame.of(frame.bytes.slice())).wait(sec(1)).frame(frame);
    expect(bench.router().downAt).toBe(due);
    expect(drops(bench)).toEqual({ "auth-replay": 3 });
    expect(bench.router().counters.advertsReceived).toBe(1);
    bench.wait(sec(3));
    expect(bench.router().state).toBe("master");
    // Nor does it make a master yield.
    bench.frame(frame);
    expect(bench.router().state).toBe("master");
  });

  test("adverts in another order than they were sent are `auth-replay`, of each sender for itself", () => {
    const bench = backup();
    const at = (us: number) => ({ sequence: sequenceAt(TODAY + us) });
    bench.frame(signed(bench, 200, at(2_000_000))).frame(signed(bench, 200, at(1_000_000)));
    expect(drops(bench)).toEqual({ "auth-replay": 1 });
    bench.frame(signed(bench, 200, { ...at(1_500_000), source: "192.0.2.3" }));
    expect(drops(bench)).toEqual({ "auth-replay": 1 });
    bench.frame(signed(bench, 200, at(2_100_000)));
    expect(bench.router().counters.authenticated).toBe(3);
  });

  test("a forged advert of the future does not move the mark", () => {
    const bench = backup();
    const later = { sequence: sequenceAt(TODAY + 3_000_000) };
    bench.frame(signed(bench, 200, { ...later, key: keyOf(OTHER_SECRET) })).frame(signed(bench, 200));
    expect(bench.router().counters).toMatchObject({ authenticated: 1, dropped: { "auth-signature": 1 } });
  });

  test("replay: monotonic takes clocks that differ by years, and nothing twice", () => {
    const bench = backup({ replay: "monotonic" });
    const old = (us: number) => signed(bench, 200, { sequence: sequenceAt(us) });
    bench.frame(old(5)).frame(old(1_000_000)).frame(old(1_000_000)).frame(old(5));
    expect(bench.router().counters).toMatchObject({ authenticated: 2, dropped: { "auth-replay": 2 } });
  });

  test("RFC 1982 · seconds that wrap in 2106 are heard on", () => {
    const bench = backup();
    clock(bench, (2 ** 32 - 2) * 1_000_000);
    for (let i = 0; i < 6; i++) bench.frame(signed(bench, 200)).wait(sec(1));
    expect(bench.router().state).toBe("backup");
    expect(bench.router().peers.get(ip("192.0.2.1"))?.sequence?.seconds).toBe(3);
  });

  test("all clocks set back by an hour: the mark of before is no obstacle, and what was heard before is too old", () => {
    const bench = backup();
    const before = signed(bench, 200);
    bench.frame(before).wait(ms(500));
    clock(bench, TODAY - 3_600_000_000);
    bench.frame(signed(bench, 200)).frame(before);
    expect(bench.router().counters).toMatchObject({ authenticated: 2, dropped: { "auth-window": 1 } });
  });

  test("a router that is not authenticated drops signed adverts as too long; its twin for other peers hears its own", () => {
    const plain = new Bench([given()]);
    for (let i = 0; i < 5; i++) plain.frame(signed(plain, 200)).wait(sec(1));
    expect(drops(plain)).toEqual({ length: 5 });
    const twins = new Bench([
      given({ peers: ["192.0.2.1"] }),
      router({}, { peers: ["192.0.2.3"], addresses: ["192.0.2.253/24"] }),
    ]);
    const toUs = (frame: Frame) => {
      const bytes = frame.bytes.slice();
      bytes.set([2, 0, 0, 0, 1, 1]);
      return Frame.of(bytes);
    };
    const destination = "192.0.2.2";
    twins.frame(toUs(signed(twins, 200, { destination })));
    expect([...twins.router().interface.drops.keys()]).toEqual(["length"]);
    twins.frame(toUs(signed(twins, 200, { destination, source: "192.0.2.3" })));
    expect(twins.state.routers.map(({ counters }) => counters.authenticated)).toEqual([0, 1]);
  });

  test("other people's signed adverts are other people's", () => {
    const bench = new Bench([given({ vrid: 11, addresses: ["192.0.2.250/24"] })]);
    bench.frame(signed(bench, 200)).frame(signed(bench, 200));
    expect(bench.router().interface.drops.get("vrid")?.count).toBe(2);
  });

  test("20,000 changed adverts: none is taken, none leaves a trace, all have a reason", () => {
    const bench = master({}, { interval: "10s" });
    bench.wait(sec(40));
    bench.take();
    const before = JSON.stringify({ ...bench.router().counters, dropped: 0 });
    const { downAt, adverAt } = bench.router();
    const whole = signed(bench, 250).bytes;
    // Behind the Ethernet header, but for what the IP header says that nobody signs or checks but by its own checksum.
    for (let i = 0; i < 20_000; i++) {
      const bytes = whole.slice();
      const at = 34 + (i % (bytes.length - 34));
      bytes[at] = (bytes[at] ?? 0) ^ (1 + (i % 255));
      bench.frame(Frame.of(bytes));
    }
    const lost = [...bench.router().interface.drops.values()].reduce((sum, { count }) => sum + count, 0);
    expect(lost).toBe(20_000);
    expect(JSON.stringify({ ...bench.router().counters, dropped: 0 })).toBe(before);
    expect(bench.router()).toMatchObject({ state: "master", downAt, adverAt });
    expect(bench.take().length).toBeLessThan(20);
  });
});

describe("what an operator sees", () => {
  test("who is master, which keys are in use, and no secret", () => {
    const bench = backup();
    for (let i = 0; i < 3; i++) bench.frame(signed(bench, 200)).wait(sec(1));
    const [row] = status.rows(bench.state as never, bench.now);
    if (row === undefined) return expect.fail("a row");
    expect(row).toMatchObject({
      authentication: "enforce with key 1 (time)",
      master: { address: "192.0.2.1", key: 1, adverts: 3 },
      counters: { authenticated: 3 },
    });
    const text = [JSON.stringify(row), ...status.cells(row), ...status.details(row)].join("\n");
    expect(text).toContain("signed with key 1");
    for (const secret of [SECRET, [...keyOf().secret].slice(0, 4).join(","), '"secret"'])
      expect(text).not.toContain(secret);
  });
});

describe("whom it believes: while routers are changed over", () => {
  test.each(["permissive", "receive-only"])("%s takes unsigned adverts and says so once", (mode) => {
    const bench = backup({ mode }).hearEach(sec(1), 6, 200);
    expect(bench.router().state).toBe("backup");
    expect(bench.said()).toEqual(["mismatch authentication unsigned"]);
    expect(bench.router().peers.get(ip("192.0.2.1"))?.keyId).toBeUndefined();
  });

  test.each(["permissive", "receive-only"])("%s verifies what is signed", (mode) => {
    const good = backup({ mode });
    for (let i = 0; i < 6; i++) good.frame(signed(good, 200)).wait(sec(1));
    expect(good.router()).toMatchObject({ state: "backup", counters: { authenticated: 6 } });
    const bad = backup({ mode });
    disbelieves(bad, "auth-signature", () => signed(bad, 200, { key: keyOf(OTHER_SECRET) }));
  });

  test("a signed advert is not replayed into a router that hears unsigned ones between", () => {
    const bench = backup({ mode: "permissive" });
    const frame = signed(bench, 200);
    bench.frame(frame).hear(200).hear(200).frame(frame).hear(200);
    expect(bench.router().counters).toMatchObject({
      advertsReceived: 4,
      authenticated: 1,
      dropped: { "auth-replay": 1 },
    });
  });

  test("keys are changed without an advert lost: both at all, then the new one first, then alone", () => {
    const old = { id: 1, secret: SECRET };
    const fresh = { id: 2, secret: OTHER_SECRET };
    const bench = backup({ keys: [old, fresh] });
    for (let i = 0; i < 3; i++) bench.frame(signed(bench, 200)).wait(sec(1));
    for (let i = 0; i < 3; i++) bench.frame(signed(bench, 200, { key: keyOf(OTHER_SECRET, 2) })).wait(sec(1));
    expect(bench.router()).toMatchObject({ state: "backup", counters: { authenticated: 6, dropped: {} } });
    expect(bench.router().peers.get(ip("192.0.2.1"))?.keyId).toBe(2);
  });

  test("a reload changes keys and mode of a running master in place, and tells no secret", () => {
    const bench = master();
    const to = schema.parse([router({ keys: [{ id: 2, secret: OTHER_SECRET }], mode: "permissive" })]);
    const lines = changes(schema.parse([router()]), to);
    expect(lines).toEqual([
      "eth0-10 (eth0 vrid 10 ipv4): authentication enforce with key 1 (time) → permissive with key 2 (time)",
    ]);
    const env = {
      node: "dut",
      port: (name: string) => bench.port(name),
      mac: () => macFrom(new Uint8Array(6)),
      rng: (owner: string) => createRng(1, owner),
    };
    vrrp.reconfigure?.(bench.state, to, env, bench.now);
    expect(bench.wait(sec(1)).router().state).toBe("master");
    expect(trailerOf(bench.lastAdvert().frame).keyId).toBe(2);
  });
});
