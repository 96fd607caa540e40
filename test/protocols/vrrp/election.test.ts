import { describe, expect, test } from "vitest";
import { cs, ms, sec, us } from "../../../src/core/time.ts";
import { Bench, given, given6 } from "../../support/vrrp.ts";

const state = (bench: Bench, index = 0) => bench.router(index).state;
const MASTER = ["advert 100", "apply present", "garp 192.0.2.254", "backup → master master-timeout"];
/** Where another still answers, the addresses are there before switches send here what is for the virtual MAC. */
const taking = (at: string, reason: "preempt" | "priority-zero") =>
  ["apply present", "advert 100", "garp 192.0.2.254", `backup → master ${reason}`].map((line) => `${at} ${line}`);

/** Master since 3.609375 s, at 4 s. */
function master(more = {}): Bench {
  const bench = new Bench([given(more)]).wait(sec(4));
  bench.take();
  return bench;
}

function backup(more = {}): Bench {
  const bench = new Bench([given(more)]);
  bench.take();
  return bench;
}

describe("start-up and shutdown", () => {
  test("19 · RFC 9568 §6.4.1 · priority 255 advertises at once, then announces, then each interval", () => {
    const bench = new Bench([given({ priority: 255 })]);
    expect(bench.wait(ms(2500)).take()).toEqual([
      "0.000000 apply present",
      "0.000000 advert 255",
      "0.000000 garp 192.0.2.254",
      "0.000000 initialize → master owner",
      "1.000000 advert 255",
      "2.000000 advert 255",
    ]);
  });

  test("20 · RFC 9568 §6.1, §6.4.1 · priority 100 at 1 s: silence until 3.609375 s, then an advert", () => {
    const bench = new Bench([given()]);
    expect(bench.take()).toEqual(["0.000000 initialize → backup startup"]);
    expect(bench.wait(us(3_609_374)).take()).toEqual([]);
    expect(bench.wait(us(1)).take().slice(0, 1)).toEqual(["3.609375 advert 100"]);
  });

  test("21 · RFC 9568 §6.1 · priority 254 at 10 ms waits 30.078125 ms: the skew is not cut to nothing", () => {
    const bench = backup({ priority: 254, interval: "10ms" });
    expect(bench.wait(us(30_077)).take()).toEqual([]);
    expect(bench.wait(us(1)).take()[0]).toBe("0.030078 advert 254");
  });

  test("23 · RFC 9568 §6.4.2 · a backup that shuts down sends nothing", () => {
    expect(backup().command({ verb: "stop" }).wait(sec(20)).said()).toEqual(["backup → initialize shutdown"]);
  });

  test("24 · RFC 9568 §6.4.3 · a master that shuts down sends one advert of priority 0 with all addresses, then is silent", () => {
    const addresses = ["192.0.2.254/24", "192.0.2.253/24"];
    const bench = master({ addresses }).command({ verb: "stop" }).wait(sec(20));
    expect(bench.said()).toEqual(["advert 0", "master → initialize shutdown", "apply leaving", "apply absent"]);
    expect(bench.lastAdvert().advert).toMatchObject({ priority: 0, addresses: ["192.0.2.254", "192.0.2.253"] });
  });

  test("a router that was stopped starts again as a backup", () => {
    const bench = master().command({ verb: "stop" }).wait(sec(1)).command({ verb: "start" });
    bench.take();
    expect(bench.wait(sec(4)).said()).toEqual(["initialize → backup startup", ...MASTER]);
  });

  test("25 · RFC 9568 §8.1.2 · nothing is announced before the host was told to hold addresses and virtual MAC", () => {
    const bench = new Bench([given()]).wait(sec(4));
    const kinds = bench.said();
    expect(kinds.indexOf("apply present")).toBeLessThan(kinds.indexOf("garp 192.0.2.254"));
    const { change } = bench.outputs.map(({ output }) => output).find(({ kind }) => kind === "apply") as never as {
      change: object;
    };
    expect(change).toEqual({
      type: "ip.virtual",
      port: "eth0",
      vrid: 10,
      family: "ipv4",
      addresses: [{ address: "192.0.2.254", length: 24 }],
      mac: "00:00:5e:00:01:0a",
      accept: true,
      present: true,
    });
  });

  test("26 · RFC 9568 §6.4.1 · an interface that went down and up starts as a backup with a full down interval", () => {
    const bench = master().link("eth0", false);
    expect(bench.said()).toEqual(["master → fault interface-down", "apply absent"]);
    expect(bench.wait(sec(9)).take()).toEqual([]);
    bench.link("eth0", true).wait(us(3_609_374));
    expect(bench.said()).toEqual(["fault → backup interface-up"]);
    expect(bench.wait(us(1)).said()).toEqual(MASTER);
  });

  test("27 · RFC 9568 §5.1.1.1 · without a primary address it stays in initialize and is silent; an address starts it", () => {
    const bench = new Bench([given()], { idle: true })
      .link("eth0", true)
      .addresses("eth0", ["fe80::2/64"])
      .wait(sec(9));
    expect(bench.said()).toEqual([]);
    expect(state(bench)).toBe("initialize");
    expect(bench.addresses().wait(sec(1)).said()).toEqual(["initialize → backup startup"]);
    expect(bench.addresses("eth0", []).said()).toEqual(["backup → initialize no-address"]);
    expect(bench.addresses().wait(sec(1)).said()).toEqual(["initialize → backup address-added"]);
  });

  test("27 · an IPv6 router needs a link-local address", () => {
    const bench = new Bench([given6()], { idle: true }).link("eth0", true).addresses("eth0", ["2001:db8::2/64"]);
    expect(bench.wait(sec(9)).said()).toEqual([]);
    expect(bench.addresses().wait(sec(1)).said()).toEqual(["initialize → backup startup"]);
  });

  test("RFC 9568 §6.4.3 · a master that loses its address says priority 0 from the one that it had", () => {
    const bench = new Bench([given({ priority: 255 })]);
    bench.take();
    const from = (frame: Uint8Array) => [...frame.subarray(26, 30)];
    const own = from(bench.lastAdvert().frame.bytes);
    expect(bench.addresses("eth0", []).said()).toEqual(["advert 0", "master → initialize no-address", "apply absent"]);
    expect(from(bench.lastAdvert().frame.bytes)).toEqual(own);
  });
});

describe("addresses that somebody took away", () => {
  test("are announced again by a master, and in a flood of that five times a second", () => {
    const bench = new Bench([given(), given6()]).wait(sec(5));
    bench.take();
    expect(bench.restored().said()).toEqual(["garp 192.0.2.254"]);
    bench.restored(10, "ipv6").take();
    for (let i = 0; i < 100; i++) bench.restored().wait(ms(5));
    const said = bench.wait(ms(200)).said();
    expect(said.filter((line) => line.startsWith("garp"))).toHaveLength(3);
  });

  test("are no matter of a backup", () => {
    expect(backup().restored().said()).toEqual([]);
  });
});

describe("backup", () => {
  test("28 · RFC 9568 §6.4.2 · a higher priority each interval keeps it silent", () => {
    expect(backup().hearEach(sec(1), 10, 200).said()).toEqual([]);
  });

  test.each([
    ["29", "a lower", "192.0.2.1"],
    ["30", "a higher", "192.0.2.200"],
  ])("%s · RFC 9568 §6.4.2 · an equal priority from %s address keeps it silent", (_n, _how, source) => {
    expect(backup().hearEach(sec(1), 10, 100, { source }).said()).toEqual([]);
  });

  test("31 · RFC 9568 §6.4.2 · a lower priority is discarded: master after 3.609375 s, to preempt", () => {
    const bench = backup().hearEach(ms(1000), 4, 99);
    expect(bench.take().slice(0, 4)).toEqual(taking("3.609375", "preempt"));
  });

  test("32 · RFC 9568 §6.4.2 · without preemption a lower priority keeps it silent", () => {
    expect(backup({ preempt: false }).hearEach(sec(1), 50, 99).said()).toEqual([]);
  });

  test("33 · RFC 9568 §6.4.2 · without preemption it takes over when the lower master is silent", () => {
    const bench = backup({ preempt: false }).hearEach(sec(1), 3, 99).wait(sec(4));
    expect(bench.take()[3]).toBe("5.609375 backup → master master-timeout");
  });

  test("34 · RFC 9568 §6.4.2 · priority 0 makes it master after its skew time", () => {
    const bench = backup().hear(200).wait(sec(1)).hear(0).wait(sec(1));
    expect(bench.take().slice(0, 4)).toEqual(taking("1.609375", "priority-zero"));
  });

  test("35 · RFC 9568 §6.4.2 · a full advert after priority 0 restores the long timer", () => {
    const bench = backup().hear(0).wait(ms(300)).hear(200).wait(us(3_609_374));
    expect(bench.said()).toEqual([]);
    expect(bench.wait(us(1)).said()).toEqual(MASTER);
  });

  test("36 · RFC 9568 §6.4.2 · a lower advert after priority 0 does not: master at the skew time", () => {
    const bench = backup().hear(0).wait(ms(300)).hear(99).wait(sec(1));
    expect(bench.take()[3]).toBe("0.609375 backup → master priority-zero");
  });

  test("37, 38 · RFC 9568 §6.1 · the master's interval is learned for the timers, its own is sent", () => {
    const bench = backup().hear(200, { interval: 400 }).wait(us(14_437_499));
    expect(bench.said()).toEqual(["mismatch interval 4s"]);
    const sent = bench
      .wait(sec(3))
      .take()
      .filter((line) => line.endsWith("advert 100"));
    expect(sent).toEqual(["14.437500 advert 100", "15.437500 advert 100", "16.437500 advert 100"]);
    expect(bench.lastAdvert().advert?.interval).toBe(sec(1));
  });

  test("39 · RFC 9568 §5.2.7 · the longest interval is learned", () => {
    const bench = backup().hear(200, { interval: 4095 });
    // 3 × 40.95 s + 156 × 40.95 s / 256
    expect(bench.wait(us(147_803_905)).said()).toEqual(["mismatch interval 40.95s"]);
    expect(bench.wait(us(1)).said()).toEqual(MASTER);
  });

  test("40 · RFC 9568 §6.4.2 · the interval of a release is not learned", () => {
    const bench = backup().hear(0, { interval: 400 }).wait(ms(100)).hear(99);
    expect(bench.router().masterInterval).toBe(sec(1));
  });

  test("41 · RFC 9568 §6.4.2 · it obeys an owner", () => {
    expect(backup().hearEach(sec(1), 10, 255).said()).toEqual([]);
  });

  test("42 · RFC 9568 §6.1 · a change of priority at run time shifts the running timer", () => {
    const bench = backup().wait(sec(1)).command({ verb: "priority", vrid: 10, priority: 200 });
    expect(bench.said()).toEqual(["priority 100 → 200 command"]);
    // 3 s + 56/256 s from the start on.
    expect(bench.wait(us(2_218_749)).said()).toEqual([]);
    expect(bench.wait(us(1)).said()[0]).toBe("advert 200");
  });

  test("42 · lowering it lengthens the timer, and one that would already have fired fires at once", () => {
    const slow = backup({ priority: 200 }).wait(sec(3)).command({ verb: "priority", priority: 100 });
    slow.take();
    expect(slow.wait(us(609_374)).said()).toEqual([]);
    expect(slow.wait(us(1)).said()).toEqual(MASTER);
    const late = backup().wait(us(3_600_000)).command({ verb: "priority", priority: 254 });
    late.take();
    expect(late.wait(us(0)).take()[0]).toBe("3.600000 advert 254");
  });

  test("preempt delay · a lower master is let be for that long, then preempted after the skew time", () => {
    const bench = backup({ preempt: { delay: "30s" } }).hearEach(sec(1), 30, 99);
    expect(bench.said()).toEqual([]);
    bench.hearEach(sec(1), 3, 99);
    expect(bench.take().slice(0, 4)).toEqual(taking("30.609375", "preempt"));
  });

  test("preempt delay · a lower master that falls silent is replaced at once", () => {
    const bench = backup({ preempt: { delay: "30s" } })
      .hearEach(sec(1), 5, 99)
      .wait(sec(4));
    expect(bench.take()[3]).toBe("7.609375 backup → master master-timeout");
  });

  test("preempt delay · it begins again when a higher master has been there", () => {
    const bench = backup({ preempt: { delay: "10s" } })
      .hearEach(sec(1), 8, 99)
      .hear(200)
      .hearEach(sec(1), 10, 99);
    expect(bench.said()).toEqual([]);
    expect(bench.hearEach(sec(1), 1, 99).take()[3]).toBe("18.609375 backup → master preempt");
  });

  test("preempt delay · a higher master that comes when the delay is over makes it begin again", () => {
    const bench = backup({ preempt: { delay: "10s" } })
      .hearEach(sec(1), 10, 99)
      .wait(ms(300))
      .hear(200);
    expect(bench.hearEach(sec(1), 10, 99).said()).toEqual([]);
  });
});

describe("master", () => {
  test("43 · RFC 9568 §6.4.3 · priority 0 is answered at once, and the next advert is one interval later", () => {
    const bench = master().hear(0);
    expect(bench.take()).toEqual(["4.000000 advert 100"]);
    expect(bench.wait(us(1_000_000)).take()).toEqual(["5.000000 advert 100"]);
    expect(state(bench)).toBe("master");
  });

  test("44 · RFC 9568 §6.4.3 · a lower priority is answered at once, and so are hosts that have believed it", () => {
    const bench = master().hear(99);
    expect(bench.take()).toEqual(["4.000000 advert 100", "4.000000 garp 192.0.2.254"]);
    expect(state(bench)).toBe("master");
  });

  test("45 · RFC 9568 §6.4.3 · an equal priority from a lower address is answered at once", () => {
    expect(master().hear(100, { source: "192.0.2.1" }).said()).toEqual(["advert 100", "garp 192.0.2.254"]);
  });

  test("46 · RFC 9568 §6.4.3 · it yields to an equal priority from a higher address, and sends nothing", () => {
    const bench = master().hear(100, { source: "192.0.2.200" });
    expect(bench.said()).toEqual(["master → backup address-tiebreak", "apply absent"]);
  });

  test.each([
    ["200.0.0.1", "backup"],
    ["9.255.255.255", "master"],
    ["10.0.0.3", "backup"],
    ["10.0.0.1", "master"],
    ["127.0.0.1", "backup"],
    ["128.0.0.0", "backup"],
  ])("47 · RFC 9568 §6.4.3 · 10.0.0.2 against %s: unsigned, network order: %s", (source, expected) => {
    const bench = new Bench([given()], { idle: true })
      .link("eth0", true)
      .addresses("eth0", ["10.0.0.2/8"])
      .wait(sec(4));
    expect(state(bench.hear(100, { source }))).toBe(expected);
  });

  test("48 · RFC 9568 §6.4.3 · it yields to a higher priority, and comes back after the down interval", () => {
    const bench = master().hear(101);
    expect(bench.said()).toEqual(["master → backup higher-priority", "apply absent"]);
    expect(bench.wait(us(3_609_374)).said()).toEqual([]);
    expect(bench.wait(us(1)).said()).toEqual(MASTER);
  });

  test("49 · RFC 9568 §6.4.3 · it yields without preemption too", () => {
    expect(state(master({ preempt: false }).hear(101))).toBe("backup");
  });

  test("50 · RFC 9568 §6.4.3 · the new master's interval counts from the start", () => {
    const bench = master().hear(101, { interval: 20 });
    bench.take();
    // 3 × 200 ms + 156 × 200 ms / 256
    expect(bench.wait(us(721_874)).said()).toEqual([]);
    expect(bench.wait(us(1)).said()).toEqual(MASTER);
  });

  test.each([
    ["fe80::1", "master"],
    ["fe80::3", "backup"],
    ["fe80::ffff", "backup"],
    ["fe80::1:0", "backup"],
  ])("51 · RFC 9568 §6.4.3 · fe80::2 against %s: %s", (source, expected) => {
    expect(state(new Bench([given6()]).wait(sec(4)).hear(100, { source }))).toBe(expected);
  });

  test("52 · its own advert looped back changes nothing", () => {
    const bench = master().hear(100, { source: "192.0.2.2" });
    expect(bench.said()).toEqual(["drop own-address"]);
    expect(state(bench)).toBe("master");
    expect(bench.hear(255, { source: "192.0.2.2" }).said()).toEqual([]);
    expect(state(bench)).toBe("master");
  });

  test("53 · RFC 9568 §8.3.2, erratum 8298 · an owner hears another: it is logged, and the higher address wins", () => {
    const bench = new Bench([given({ priority: 255 })]);
    bench.take();
    const said = bench.hear(255, { source: "192.0.2.200" }).said();
    expect(said).toEqual(["mismatch owner-conflict 255", "master → backup address-tiebreak", "apply absent"]);
  });

  test("53 · `owner-conflict: hold` keeps it master", () => {
    const bench = new Bench([given({ priority: 255, "owner-conflict": "hold" })]);
    bench.take();
    expect(bench.hear(255, { source: "192.0.2.200" }).said()).toEqual(["mismatch owner-conflict 255"]);
    expect(state(bench)).toBe("master");
  });

  test("54 · a flood of losing adverts is answered at most every 10 ms, and the periodic advert goes on", () => {
    const bench = master();
    for (let i = 0; i < 1000; i++) bench.hear(99).wait(ms(1));
    const answers = bench.adverts().filter(({ at }) => at >= sec(4) && at < sec(5));
    expect(answers.length).toBeGreaterThanOrEqual(90);
    expect(answers.length).toBeLessThanOrEqual(101);
    bench.take();
    expect(bench.wait(sec(3)).said()).toEqual(["advert 100", "advert 100", "advert 100"]);
  });

  test("an answer that comes too soon after an advert is sent 10 ms after it", () => {
    const bench = new Bench([given()]).wait(us(3_609_375 + 4_000));
    bench.take();
    expect(bench.hear(99).wait(ms(50)).take()).toEqual(["3.619375 advert 100"]);
  });

  test("a change of priority is said at once", () => {
    const bench = master().command({ verb: "priority", vrid: 10, priority: 90 });
    expect(bench.said()).toEqual(["priority 100 → 90 command", "advert 90"]);
    expect(bench.wait(cs(100)).said()).toEqual(["advert 90"]);
  });

  test("a drained master stays until a peer takes over, and is a backup then", () => {
    const bench = master().command({ verb: "drain" });
    expect(bench.said()).toEqual(["priority 100 → 1 drain", "advert 1"]);
    bench.hearEach(sec(1), 3, 50);
    expect(bench.said()).toEqual(["master → backup higher-priority", "apply absent"]);
    expect(bench.command({ verb: "start" }).wait(ms(0)).said()).toEqual(["priority 1 → 100 command"]);
  });
});
