import { describe, expect, test } from "vitest";
import { schema } from "../../../protocols/vrrp/config.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { ms, sec, us } from "../../../src/core/time.ts";
import { Bench, given, given6, packetOf } from "../../support/vrrp.ts";

const two = { version: 2 } as const;

describe("version 2", () => {
  test("91 · RFC 3768 §5.3 · first octet 0x21, authentication type 0, eight zero octets, checksum over the message", () => {
    const bench = new Bench([given({ ...two, priority: 200 })]).wait(sec(4));
    expect(toHex(packetOf(bench.lastAdvert().frame).payload)).toBe("210ac801000153f4c00002fe0000000000000000");
  });

  test("92 · RFC 3768 §6.1 · at 10 s the skew is still a part of a second: 30.609375 s", () => {
    const bench = new Bench([given({ ...two, interval: "10s" })]).wait(us(30_609_374));
    expect(bench.adverts()).toEqual([]);
    bench.wait(us(1));
    expect(bench.adverts()).toHaveLength(1);
  });

  test("93 · RFC 3768 §7.1 · another interval is discarded", () => {
    const bench = new Bench([given(two)]).hearEach(sec(1), 5, 200, { ...two, interval: 300 });
    expect(bench.router().state).toBe("master");
    expect(bench.router().counters.dropped).toEqual({ "interval-mismatch": 5 });
  });

  test("94 · RFC 3768 §7.1 · authentication type 1 is discarded without a password, matched with one", () => {
    const open = new Bench([given(two)]).hearEach(sec(1), 5, 200, { ...two, auth: "secret" });
    expect(open.router().state).toBe("master");
    expect(open.router().counters.dropped).toEqual({ auth: 5 });
    const locked = [given({ ...two, password: "secret" })];
    expect(new Bench(locked).hearEach(sec(1), 5, 200, { ...two, auth: "secret" }).router().state).toBe("backup");
    expect(new Bench(locked).hearEach(sec(1), 5, 200, { ...two, auth: "geheim" }).router().state).toBe("master");
    expect(new Bench(locked).hearEach(sec(1), 5, 200, two).router().state).toBe("master");
    const sent = new Bench(locked).wait(sec(4)).lastAdvert();
    expect(toHex(packetOf(sent.frame).payload.subarray(12))).toBe("7365637265740000");
  });

  test("95 · version 2 refuses IPv6 and intervals that are not whole seconds", () => {
    expect(schema.safeParse([given6(two)]).success).toBe(false);
    for (const interval of ["100ms", "1500ms", "256s"]) {
      expect(schema.safeParse([given({ ...two, interval })]).success).toBe(false);
    }
    expect(schema.safeParse([given({ ...two, interval: "255s" })]).success).toBe(true);
  });

  test("RFC 3768 §7.1 · another address list is discarded unless the owner sent it", () => {
    const heard = { ...two, addresses: ["192.0.2.77"] };
    const bench = new Bench([given(two)]).hearEach(sec(1), 5, 200, heard);
    expect(bench.router().counters.dropped).toEqual({ "address-list": 5 });
    expect(new Bench([given(two)]).hearEach(sec(1), 5, 255, heard).router().state).toBe("backup");
  });

  test("elections work as in version 3: preemption, release, tie-break", () => {
    const bench = new Bench([given(two)]).hearEach(sec(1), 3, 200, two).hear(0, two).wait(ms(700));
    expect(bench.router().state).toBe("master");
    expect(bench.hear(100, { ...two, source: "192.0.2.200" }).router().state).toBe("backup");
  });
});

describe("migration", () => {
  const migrating = () => new Bench([given({ migration: true, interval: "500ms", priority: 200 })]);

  test("96 · RFC 9568 §8.4.2 · a master sends both versions at the configured rate, also below a second", () => {
    const bench = migrating().wait(sec(4));
    const versions = bench.adverts().map(({ advert }) => advert?.version);
    expect(versions.slice(0, 4)).toEqual([3, 2, 3, 2]);
    const at = bench.adverts().map((sent) => sent.at);
    expect((at[2] ?? 0) - (at[0] ?? 0)).toBe(ms(500));
    expect(bench.adverts()[1]?.advert).toMatchObject({ version: 2, interval: sec(1), authType: 0 });
  });

  test("96 · RFC 9568 §8.4.2 · a backup takes the seconds of a version-2 master as its interval", () => {
    const bench = migrating().hear(250, { ...two, interval: 200 });
    expect(bench.router().masterInterval).toBe(sec(2));
    bench.wait(sec(6));
    expect(bench.router().state).toBe("backup");
  });

  test("96 · RFC 9568 §8.4.2 · a backup ignores version 2 of a router that it hears in version 3 too", () => {
    const bench = migrating();
    for (let i = 0; i < 6; i++)
      bench
        .hear(250, { interval: 50 })
        .hear(250, { ...two, interval: 500 })
        .wait(ms(500));
    expect(bench.router().masterInterval).toBe(ms(500));
    expect(bench.router().counters.dropped).toEqual({ migration: 6 });
  });

  test("96 · it hears version 2 again when version 3 has stopped", () => {
    const bench = migrating()
      .hear(250, { interval: 50 })
      .wait(ms(1_600))
      .hear(250, { ...two, interval: 100 });
    expect(bench.router().masterInterval).toBe(sec(1));
  });

  test("without migration a version-3 router does not hear version 2", () => {
    const bench = new Bench([given()]).hearEach(sec(1), 5, 250, two);
    expect(bench.router().counters.dropped).toEqual({ version: 5 });
  });
});
