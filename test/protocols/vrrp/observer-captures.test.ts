/** The observer against the captures of real routers: who was master, from when on and why, as their own logs say. */
import { describe, expect, test } from "vitest";
import type { CapturedPacket } from "../../../src/host/replay/replay.ts";
import { type Json, recordsOf, type Sidecar, sidecars } from "../../support/ground-truth.ts";
import { only, replayPackets, type Seen } from "../../support/replay.ts";

interface Run extends Json {
  readonly vlan?: readonly number[];
  readonly family: string;
  readonly vrid: number;
  readonly version: number;
  readonly src: string;
  readonly priority: number;
  readonly first_frame: number;
  readonly last_frame: number;
}

interface Log extends Json {
  readonly t: number;
  readonly to: string;
  readonly why: string;
  readonly first_advert_frame?: number;
}

interface Change {
  readonly router: string;
  readonly address: string;
  readonly priority: number;
  readonly frame: number;
}

const all = sidecars().filter((sidecar) => sidecar["kind"] === "vrrp");
const withMasters = all.filter((sidecar) => runsOf(sidecar).length > 0);
const recorded = withMasters.filter((sidecar) => logOf(sidecar).length > 0);

function runsOf(sidecar: Sidecar): readonly Run[] {
  return (sidecar["masters"] as Run[] | undefined) ?? [];
}

function logOf(sidecar: Sidecar): readonly Log[] {
  return (sidecar["elections"] as Log[] | undefined) ?? [];
}

/** The runs of adverts by one sender, without those that only change the priority and without releases. */
function changesOf(sidecar: Sidecar): Change[] {
  const last = new Map<string, Run>();
  return runsOf(sidecar).flatMap((run) => {
    const { vlan = [], family, vrid, version, src, priority, first_frame } = run;
    const router = `${["", ...vlan].join(".")} ${family.toLowerCase()} ${vrid} ${version}`;
    const before = last.get(router);
    last.set(router, run);
    // What no receiver takes elects nobody.
    const rx = sidecar.frames[first_frame - 1]?.["rx"] as Json | undefined;
    if (rx?.["v3"] === "drop" && rx["v2"] === "drop") return [];
    if (priority === 0 || (before?.src === src && before.priority !== 0)) return [];
    return [{ router, address: src, priority, frame: first_frame }];
  });
}

/** The same of what was observed, in the order of the frames. */
function observedOf(seen: readonly Seen[]): Change[] {
  return only(seen, "vrrp.master")
    .map(({ interface: name, family, vrid, version, address, priority, frame }) => {
      const router = `${name.replace(/^[a-z]+\d*(#\d+)?/, "")} ${family} ${vrid} ${version}`;
      return { router, address, priority, frame };
    })
    .sort((a, b) => a.frame - b.frame);
}

/** Why, by the daemons' logs: who yielded to the new master, and whether it says that it heard priority 0. */
function reasonOf(sidecar: Sidecar, { router, frame }: Change, at: number, address: string): string {
  const yielded = logOf(sidecar).find(
    ({ to, t, why }) =>
      to === "backup" && why.startsWith("heard") && why.endsWith(` ${address}`) && Math.abs(t - at) < 0.25,
  );
  if (yielded !== undefined) return yielded.why.includes("same priority") ? "address-tiebreak" : "higher-priority";
  const own = logOf(sidecar).find(({ to, first_advert_frame }) => to === "master" && first_advert_frame === frame);
  if (own?.why.startsWith("priority 0") === true) return "priority-zero";
  const before = changesOf(sidecar).filter((change) => change.router === router && change.frame < frame);
  if (before.length === 0) return "first-seen";
  // Nobody yielded: the old master is gone, or, where the two do not understand each other, goes on.
  const old = before.at(-1)?.address;
  return own !== undefined && runsOf(sidecar).some(({ src, first_frame }) => src === old && first_frame > frame)
    ? "not heard by the other"
    : "master-timeout";
}

describe("the master on the wire, in every capture of VRRP routers", () => {
  test.each(withMasters.map((sidecar) => [sidecar.file, sidecar] as const))(
    "%s: each change with its first frame, address, priority, family and VRID, and no other",
    async (file, sidecar) => {
      const seen = replayPackets(await recordsOf(file));
      expect(observedOf(seen)).toEqual(changesOf(sidecar));
      for (const { to, first_advert_frame } of logOf(sidecar)) {
        if (to !== "master" || first_advert_frame === undefined) continue;
        expect(only(seen, "vrrp.master").map(({ frame }) => frame)).toContain(first_advert_frame);
      }
    },
  );

  test.each(recorded.map((sidecar) => [sidecar.file, sidecar] as const))(
    "%s: the reason of each change is that of the daemons' logs",
    async (file, sidecar) => {
      const events = only(replayPackets(await recordsOf(file)), "vrrp.master").sort((a, b) => a.frame - b.frame);
      const changes = changesOf(sidecar);
      expect(events).toHaveLength(changes.length);
      for (const [i, { reason, t, address }] of events.entries()) {
        const why = reasonOf(sidecar, changes[i] as Change, t, address);
        const goesOn = why === "not heard by the other" || (file.includes("mismatch-") && why === "master-timeout");
        if (goesOn) expect(["higher-priority", "master-timeout"]).toContain(reason);
        else expect(`${i}: ${reason}`).toBe(`${i}: ${why}`);
      }
    },
  );

  test("two masters at once are said where routers do not understand each other or were made so, and nowhere else", async () => {
    const found: string[] = [];
    for (const { file } of all) {
      if (/fuzz|faults/.test(file)) continue;
      if (only(replayPackets(await recordsOf(file)), "vrrp.duplicate-master").length > 0) found.push(file);
    }
    expect(found).toEqual([
      "craft-vrrp3-duplicate-master-tie.pcap",
      "craft-vrrp3-duplicate-master.pcap",
      "keepalived-mismatch-version.pcap",
      "keepalived-v3-mismatch-vip-address.pcap",
      "keepalived-v3-mismatch-vip-list.pcap",
    ]);
  });

  test.each(["craft-vrrp3-duplicate-master.pcap", "craft-vrrp3-duplicate-master-tie.pcap"])(
    "%s: from frame 2 on, with the one that is right, until one gives up",
    async (file) => {
      const seen = replayPackets(await recordsOf(file));
      const truth = all.find((sidecar) => sidecar.file === file)?.["duplicate_master"] as Json;
      expect(only(seen, "vrrp.duplicate-master")).toMatchObject([
        { vrid: truth["vrid"], addresses: truth["sources"], rightful: truth["rightful"], frame: 2, since: 0.03 },
      ]);
      expect(only(seen, "vrrp.duplicate-end")).toMatchObject([{ remaining: ["192.0.2.3"], frame: 11, until: 5 }]);
    },
  );
});

describe("broken adverts", () => {
  /** What depends on the receiver's configuration is not for a listener that has none. */
  const OF_RECEIVER = new Set(["vrid", "version", "own-address", "vlan", "encapsulation", "interval-mismatch", "auth"]);

  test.each(all.map((sidecar) => [sidecar.file, sidecar] as const))(
    "%s: dropped with the reason of the ground truth; what any receiver takes is not",
    async (file, sidecar) => {
      const seen = replayPackets(await recordsOf(file));
      const drops = new Map(only(seen, "vrrp.drop").map(({ frame, reason }) => [frame, reason as string]));
      for (const frame of sidecar.frames) {
        const found = drops.get(Number(frame["n"]));
        const { accepted, reasons } = verdictOf(frame);
        if (accepted) expect([frame["n"], found]).toEqual([frame["n"], undefined]);
        else if (reasons.length > 0 && !reasons.some((reason) => OF_RECEIVER.has(reason))) {
          expect([frame["n"], reasons]).toEqual([frame["n"], expect.arrayContaining([found])]);
        }
      }
    },
  );

  test("they have no effect: a capture of nothing else tells no master", async () => {
    for (const { file, frames } of all) {
      const records = await recordsOf(file);
      const broken = records.filter(({ number }) => {
        const { accepted, reasons } = verdictOf(frames[number - 1] ?? {});
        return !accepted && reasons.length > 0 && !reasons.some((reason) => OF_RECEIVER.has(reason));
      });
      const types = new Set(replayPackets(broken).map(({ type }) => type));
      expect([file, ...types].filter((type) => type !== "vrrp.drop" && type !== "anomaly")).toEqual([file]);
    }
  });

  /** By a version 3 receiver or a version 2 one; where the truth leaves it open, nothing is said. */
  function verdictOf(frame: Json): { accepted: boolean; reasons: string[] } {
    const rx = frame["rx"] as Json | undefined;
    if (rx !== undefined && typeof rx === "object") {
      const accepted = rx["v3"] === "accept" || rx["v2"] === "accept";
      return {
        accepted,
        reasons: [rx["v3_reason"], rx["v2_reason"], rx["reason"]].filter((r) => r !== undefined).map(String),
      };
    }
    const verdicts = [frame["expect"], frame["expect_v2"]];
    if (!verdicts.includes("accept") && !verdicts.includes("drop")) return { accepted: false, reasons: [] };
    const words = [frame["reason"], frame["reason_v2"]].filter((reason) => reason !== undefined).join(" or ");
    const accepted = verdicts.includes("accept");
    return { accepted, reasons: accepted || words === "" ? [] : words.split(/ or |, /) };
  }
});

describe("captures that are not whole", () => {
  const steadyOnes = recorded.filter(({ file }) => !/mismatch|10ms|interval-change/.test(file));
  const sequence = (seen: readonly Seen[]) =>
    only(seen, "vrrp.master").map(
      ({ interface: name, family, vrid, address }) => `${name} ${family} ${vrid} ${address}`,
    );

  test("each frame twice: the same masters and reasons, none of them twice, and it is said once", async () => {
    for (const { file } of recorded) {
      const records = await recordsOf(file);
      const twice = records.flatMap((record): CapturedPacket[] => [
        { ...record, number: 2 * record.number - 1 },
        { ...record, number: 2 * record.number, nanoseconds: Math.min(999_999_999, record.nanoseconds + 60_000) },
      ]);
      const plain = replayPackets(records);
      const seen = replayPackets(twice);
      const facts = (events: readonly Seen[], factor: number) =>
        only(events, "vrrp.master").map(({ address, reason, frame }) => [address, reason, factor * frame]);
      expect([file, facts(seen, 1)]).toEqual([file, facts(plain, 2).map(([a, r, f]) => [a, r, Number(f) - 1])]);
      expect(only(seen, "vrrp.released")).toHaveLength(only(plain, "vrrp.released").length);
      const copies = only(seen, "anomaly").filter(({ kind }) => kind === "copies");
      const ports = new Set(only(seen, "vrrp.master").map((event) => event.interface));
      expect(copies.length).toBe(ports.size);
    }
  });

  test("one advert lost, whichever: the same masters in the same order, and no second master", async () => {
    for (const sidecar of steadyOnes) {
      const records = await recordsOf(sidecar.file);
      const plain = sequence(replayPackets(records));
      const firsts = new Set(runsOf(sidecar).map(({ first_frame }) => first_frame));
      const adverts = sidecar.frames.filter(({ vrrp, n }) => vrrp !== undefined && !firsts.has(Number(n)));
      for (const { n } of adverts.slice(0, 40)) {
        const seen = replayPackets(records.filter(({ number }) => number !== n));
        expect([sidecar.file, n, sequence(seen)]).toEqual([sidecar.file, n, plain]);
        expect(only(seen, "vrrp.duplicate-master")).toEqual([]);
      }
    }
  });

  test("the releases lost: the new masters are found all the same", async () => {
    for (const sidecar of steadyOnes) {
      const releases = new Set(runsOf(sidecar).flatMap((run) => (run.priority === 0 ? [run.first_frame] : [])));
      const records = await recordsOf(sidecar.file);
      const seen = replayPackets(records.filter(({ number }) => !releases.has(number)));
      expect([sidecar.file, sequence(seen)]).toEqual([sidecar.file, sequence(replayPackets(records))]);
      expect(only(seen, "vrrp.duplicate-master")).toEqual([]);
    }
  });

  test("begun in the middle: the first master is first-seen, the later changes are the same", async () => {
    for (const sidecar of steadyOnes) {
      const [first] = runsOf(sidecar);
      if (first === undefined || first.last_frame === first.first_frame) continue;
      const records = await recordsOf(sidecar.file);
      const seen = replayPackets(records.filter(({ number }) => number > first.first_frame));
      expect([sidecar.file, sequence(seen).sort()]).toEqual([sidecar.file, sequence(replayPackets(records)).sort()]);
      expect(only(seen, "vrrp.master")[0]?.reason).toBe("first-seen");
    }
  });

  test("the clock set back by an hour in the middle: the same masters and reasons, and it is said", async () => {
    for (const { file } of recorded) {
      const records = await recordsOf(file);
      const middle = Math.floor(records.length / 2);
      const stepped = records.map((record, i) =>
        i < middle ? record : { ...record, seconds: record.seconds - 3_600 },
      );
      const facts = (seen: readonly Seen[]) => only(seen, "vrrp.master").map(({ address, frame }) => [address, frame]);
      const seen = replayPackets(stepped);
      expect([file, facts(seen)]).toEqual([file, facts(replayPackets(records))]);
      expect(only(seen, "anomaly").filter(({ kind }) => (kind as string) === "clock-step")).toHaveLength(1);
    }
  });
});
