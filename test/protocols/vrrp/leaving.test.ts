/** Make before break: a master that leaves goes on answering until another is heard; and what is said for one that dies. */
import { describe, expect, test } from "vitest";
import { decodeAdvert } from "../../../protocols/vrrp/codec.ts";
import { kernel } from "../../../protocols/vrrp/farewell.ts";
import type { VrrpState } from "../../../protocols/vrrp/state.ts";
import { Frame } from "../../../src/core/frame.ts";
import { ms, sec, us } from "../../../src/core/time.ts";
import type { Condition } from "../../../src/node/protocol.ts";
import { adv, Bench, given, given6, packetOf } from "../../support/vrrp.ts";

/** Master since 3.609375 s, at 4 s. */
function master(more = {}): Bench {
  const bench = new Bench([given(more)]).wait(sec(4));
  bench.take();
  return bench;
}

describe("RFC 9568 §6.4.3, departed from: the addresses outlast priority 0", () => {
  test("until the new master is heard", () => {
    const bench = master().command({ verb: "stop" }).wait(ms(600));
    expect(bench.take()).toEqual([
      "4.000000 advert 0",
      "4.000000 master → initialize shutdown",
      "4.000000 apply leaving",
    ]);
    expect(bench.hear(50).take()).toEqual(["4.600000 apply absent"]);
    expect(bench.wait(sec(20)).take()).toEqual([]);
  });

  test.each([
    ["1s", 1_000_000],
    ["100ms", 1_000_000],
    ["3s", 3_000_000],
  ])("at an interval of %s for %d µs at most, the longest Skew_Time of a backup", (interval, longest) => {
    const bench = new Bench([given({ interval })]).wait(sec(15));
    bench.command({ verb: "stop" });
    bench.take();
    expect(bench.wait(us(longest - 1)).take()).toEqual([]);
    expect(bench.wait(us(1)).said()).toEqual(["apply absent"]);
  });

  test("not beyond another's farewell: that is no master", () => {
    const bench = master().command({ verb: "stop" });
    bench.take();
    expect(bench.hear(0).take()).toEqual([]);
    expect(bench.hear(1).said()).toEqual(["apply absent"]);
  });

  test("not where the interface is lost: nobody could be answered", () => {
    const bench = master().link("eth0", false);
    expect(bench.said()).toEqual(["master → fault interface-down", "apply absent"]);
  });

  test("a router that starts again before begins without them", () => {
    const bench = master().command({ verb: "stop" }).wait(ms(500));
    bench.take();
    expect(bench.command({ verb: "start" }).wait(ms(1)).said()).toEqual([
      "apply absent",
      "initialize → backup startup",
    ]);
  });

  test("a backup that stops has none to keep", () => {
    const bench = new Bench([given()]);
    bench.take();
    expect(bench.command({ verb: "stop" }).wait(sec(5)).said()).toEqual(["backup → initialize shutdown"]);
  });
});

const stateOf = (bench: Bench) => bench.state as VrrpState;
const matches = (frame: Frame, conditions: readonly Condition[]) =>
  conditions.every(({ offset, octet, not }) => (frame.bytes[offset] === octet) !== (not === true));

describe("what is said for a master whose process has died", () => {
  test.each([
    ["IPv4", given(), "192.0.2.254"],
    ["IPv6", given6(), "fe80::fe"],
  ])("%s: priority 0, as it would say it itself", (_family, router) => {
    const bench = new Bench([router]).wait(sec(4));
    const [farewell] = kernel.farewells(stateOf(bench) as never);
    const said = bench.command({ verb: "stop" }).lastAdvert();
    const [frame] = farewell?.frames ?? [];
    expect(frame).toEqual(said.frame.bytes);
    const decoded = decodeAdvert(packetOf(Frame.of(frame ?? new Uint8Array(60))), 3);
    expect(decoded).toMatchObject({ ok: true, value: { advert: { priority: 0 } } });
  });

  test("only a master's, the same object until something in it changes", () => {
    const bench = new Bench([given()]);
    expect(kernel.farewells(stateOf(bench) as never)).toEqual([]);
    bench.wait(sec(4));
    const [first] = kernel.farewells(stateOf(bench) as never);
    expect(kernel.farewells(stateOf(bench.wait(sec(5))) as never)[0]).toBe(first);
    bench.addresses("eth0", ["192.0.2.7/24", "fe80::2/64"]).wait(sec(2));
    const [second] = kernel.farewells(stateOf(bench) as never);
    expect(second).not.toBe(first);
    expect(second?.frames).not.toEqual(first?.frames);
  });

  test("the successor is another's advert of this router, and no farewell, no other router's", () => {
    const bench = new Bench([given()]).wait(sec(4));
    const conditions = kernel.farewells(stateOf(bench) as never)[0]?.successor ?? [];
    expect(matches(adv(100), conditions)).toBe(true);
    expect(matches(adv(1), conditions)).toBe(true);
    expect(matches(adv(0), conditions)).toBe(false);
    expect(matches(adv(100, { vrid: 11 }), conditions)).toBe(false);
  });

  test("the host is told beforehand of every wish that may come, under the key of the wish itself", () => {
    const bench = new Bench([given()]);
    const config = stateOf(bench).routers.map((router) => router.config);
    const [wish] = kernel.prepares(config, { node: "gw1" });
    expect(wish).toMatchObject({ type: "ip.virtual", port: "eth0", vrid: 10, family: "ipv4", present: false });
    bench.wait(sec(4));
    const [farewell] = kernel.farewells(stateOf(bench) as never);
    expect(wish === undefined ? "" : kernel.key(wish)).toBe(farewell?.key);
  });

  test("the host knows whether a timer makes a backup master, or has been heard away", () => {
    const bench = new Bench([given()]).hear(200);
    const [router] = stateOf(bench).routers;
    const imminent = () => kernel.practice?.imminent(stateOf(bench) as never, router?.downAt ?? bench.now);
    expect(imminent()).toBe(true);
    // What only repeats the last advert is noted: the timer is moved when it fires.
    for (let time = 0; time < 3; time++) bench.wait(sec(0.5)).hear(200);
    expect(imminent()).toBe(false);
    bench.wait(sec(5));
    expect(router?.state).toBe("master");
    expect(kernel.practice?.imminent(stateOf(bench) as never, bench.now)).toBe(false);
  });
});
