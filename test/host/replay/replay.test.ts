import { describe, expect, test } from "vitest";
import { BROADCAST, type Mac, macBytes, macFrom } from "../../../src/core/addr.ts";
import type { Frame } from "../../../src/core/frame.ts";
import { Log } from "../../../src/core/log.ts";
import { type Machine, mount, NOTHING, type Port } from "../../../src/core/machine.ts";
import { after, type Instant, NEVER, sec, toSeconds } from "../../../src/core/time.ts";
import { MAX_PORTS } from "../../../src/host/replay/ports.ts";
import { CAPTURE_NODE, type CapturedPacket, Replay } from "../../../src/host/replay/replay.ts";

interface Heard {
  readonly at: number;
  readonly port: string;
  readonly what: Frame | "timer" | "stop";
}

/** Notes what it is given; wants its timer `patience` after each frame. */
function listener(heard: Heard[], patience = NEVER as number): Machine<string, { port: Port; due: Instant }> {
  return {
    name: "listener",
    ports: (name) => ({ uses: [name] }),
    init: (name, env) => ({ port: env.port(name), due: NEVER }),
    claims: () => true,
    step: (state, input, now) => {
      const note = (what: Heard["what"]) => heard.push({ at: toSeconds(now), port: state.port.name, what });
      if (input.kind === "frame") {
        note(input.frame);
        state.due = after(now, sec(patience / 1e6));
      } else if (input.kind === "timer" && state.due <= now) {
        note("timer");
        state.due = NEVER;
      } else if (input.kind === "command") note("stop");
      return NOTHING;
    },
    deadline: ({ due }) => due,
  };
}

function replaying(patience?: number) {
  const heard: Heard[] = [];
  const said: unknown[] = [];
  const log = new Log();
  log.follow({
    everything: false,
    read: ({ at, node, what }) => {
      if (what.kind === "event") said.push({ t: toSeconds(at), node, ...what.event });
    },
  });
  const machine = listener(heard, patience);
  const replay = new Replay({ log, observe: (port, env) => [mount(machine, port, env)] });
  return { replay, heard, said, frames: () => heard.flatMap(({ what }) => (typeof what === "string" ? [] : [what])) };
}

const GROUP = "01:00:5e:00:00:12" as Mac;
const SENDER = "02:00:00:00:00:01" as Mac;
const PAYLOAD = Uint8Array.from({ length: 30 }, (_, i) => 0x45 + i);

const octets = (...parts: readonly (readonly number[] | Uint8Array)[]) =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
const tagged = (...tags: readonly (readonly [number, number])[]) =>
  octets(
    macBytes(GROUP),
    macBytes(SENDER),
    ...tags.map(([tpid, tci]) => [tpid >> 8, tpid & 255, tci >> 8, tci & 255]),
    [8, 0],
    PAYLOAD,
  );

function packet(bytes: Uint8Array, t = 0, number = 1, tap: Partial<CapturedPacket["interface"]> = {}): CapturedPacket {
  const us = 1_600_000_000_000_000 + Math.round(t * 1e6);
  return {
    number,
    seconds: Math.floor(us / 1e6),
    nanoseconds: (us % 1e6) * 1000,
    length: bytes.length,
    bytes,
    interface: { index: 0, name: "eth0", linkType: 1, fcsLength: 0, ...tap },
  };
}

describe("time", () => {
  test("whole microseconds since the first packet; timers fire between packets, each at its own time", () => {
    const { replay, heard } = replaying(1_500_000);
    for (const [i, t] of [0, 1, 2.000001, 9].entries()) replay.feed(packet(tagged(), t, i + 1));
    replay.end();
    expect(heard.map(({ at, what }) => [at, typeof what === "string" ? what : what.sequence])).toEqual([
      [0, 1],
      [1, 2],
      [2.000001, 3],
      [3.500001, "timer"],
      [9, 4],
      [9, "stop"],
    ]);
    expect(replay.frames).toBe(4);
  });

  test("what is due at the time of a packet comes before it", () => {
    const { replay, heard } = replaying(1_000_000);
    replay.feed(packet(tagged(), 0));
    replay.feed(packet(tagged(), 1));
    expect(heard.map(({ at, what }) => [at, typeof what])).toEqual([
      [0, "object"],
      [1, "string"],
      [1, "object"],
    ]);
  });

  test("a packet a little earlier than the one before it is at the same time; it is said and counted", () => {
    const { replay, heard, said } = replaying();
    for (const [i, t] of [0, 1, 0.9995, 1.2].entries()) replay.feed(packet(tagged(), t, i + 1));
    expect(heard.map(({ at }) => at)).toEqual([0, 1, 1, 1.2]);
    expect(said).toMatchObject([{ t: 1, node: CAPTURE_NODE, type: "anomaly", kind: "time-backwards", frame: 3 }]);
    for (let i = 0; i < 100; i++) replay.feed(packet(tagged(), 0.9995, 5 + i));
    expect(replay.counts.get("time-backwards")).toBe(101);
    expect(said).toHaveLength(16);
  });

  test("a clock that is set back: time goes on from where it was and keeps the distances", () => {
    const { replay, heard, said } = replaying();
    for (const [i, t] of [0, 100, 40, 41, 42.5].entries()) replay.feed(packet(tagged(), t, i + 1));
    expect(heard.map(({ at }) => at)).toEqual([0, 100, 100, 101, 102.5]);
    expect(said).toMatchObject([{ kind: "clock-step", frame: 3 }]);
  });
});

describe("ports: one for each interface and VLAN", () => {
  test("names: the interface's, the VLAN's identifier after a dot, and capture where there is no name", () => {
    const { replay, heard } = replaying();
    replay.feed(packet(tagged()));
    replay.feed(packet(tagged([0x8100, 0x600a])));
    replay.feed(packet(tagged([0x88a8, 100], [0x8100, 7])));
    replay.feed(packet(tagged([0x8100, 0xe000])));
    replay.feed(packet(tagged(), 0, 1, { name: undefined }));
    replay.feed(packet(tagged(), 0, 1, { index: 1, name: undefined }));
    replay.feed(packet(tagged(), 0, 1, { index: 2 }));
    expect(heard.map(({ port }) => port)).toEqual([
      "eth0",
      "eth0.10",
      "eth0.100.7",
      "eth0",
      "eth0",
      "capture1",
      "eth0",
    ]);
  });

  test("what is behind the tags is found as in an untagged frame; sizes are those of the wire", () => {
    const { replay, frames } = replaying();
    const all = [tagged(), tagged([0x8100, 10]), tagged([0x88a8, 100], [0x8100, 7]), tagged([0x8100, 1], [0x8100, 2])];
    for (const bytes of all) replay.feed({ ...packet(bytes), length: bytes.length + 100 });
    for (const frame of frames()) {
      expect(frame.header.type).toBe(0x0800);
      expect(frame.bytes.subarray(frame.payload)).toEqual(PAYLOAD);
      expect(frame.size - frame.payload).toBe(PAYLOAD.length + 100);
    }
    expect(frames()).toHaveLength(4);
  });

  test("cooked headers: the sender they name, broadcast where they say so, and for version 2 a port for each device", () => {
    const { replay, heard, frames } = replaying();
    const sll = (kind: number) => octets([0, kind, 0, 1, 0, 6], macBytes(SENDER), [0, 0, 8, 0], PAYLOAD);
    const sll2 = (device: number) =>
      octets([8, 0, 0, 0, 0, 0, 0, device, 0, 1, 2, 6], macBytes(SENDER), [0, 0], PAYLOAD);
    replay.feed(packet(sll(2), 0, 1, { linkType: 113, name: undefined }));
    replay.feed(packet(sll(1), 0, 2, { linkType: 113, name: undefined }));
    replay.feed(packet(sll2(2), 0, 3, { linkType: 276, name: "any", index: 1 }));
    replay.feed(packet(sll2(5), 0, 4, { linkType: 276, name: "any", index: 1 }));
    expect(heard.map(({ port }) => port)).toEqual(["capture", "capture", "any#2", "any#5"]);
    expect(frames().map(({ bytes }) => macFrom(bytes, 6))).toEqual(new Array(4).fill(SENDER));
    const none = "00:00:00:00:00:00";
    expect(frames().map(({ bytes }) => macFrom(bytes))).toEqual([none, BROADCAST, none, none]);
    for (const frame of frames()) expect(frame.bytes.subarray(frame.payload)).toEqual(PAYLOAD);
  });

  test("a tag behind a cooked header, and raw IP of both families", () => {
    const { replay, heard, frames } = replaying();
    const cooked = octets([0, 2, 0, 1, 0, 6], macBytes(SENDER), [0, 0, 0x81, 0], [0, 20, 8, 0], PAYLOAD);
    replay.feed(packet(cooked, 0, 1, { linkType: 113 }));
    replay.feed(packet(PAYLOAD, 0, 2, { linkType: 101, name: "tun0", index: 1 }));
    replay.feed(packet(octets([0x60], PAYLOAD), 0, 3, { linkType: 101, name: "tun0", index: 1 }));
    expect(heard.map(({ port }) => port)).toEqual(["eth0.20", "tun0", "tun0"]);
    expect(frames().map(({ header }) => header.type)).toEqual([0x0800, 0x0800, 0x86dd]);
  });

  test("a link type that cannot be read is said once, packets too short for their headers some times; nothing is lost of the count", () => {
    const { replay, heard, said } = replaying();
    for (let i = 1; i <= 40; i++) {
      replay.feed(packet(PAYLOAD, 0, i, { linkType: 147 }));
      replay.feed(packet(PAYLOAD.subarray(0, 13), 0, i));
    }
    expect(heard).toEqual([]);
    expect(replay.counts).toEqual(
      new Map([
        ["link-type", 40],
        ["too-short", 40],
      ]),
    );
    expect(said).toHaveLength(17);
  });

  test("bounded: beyond the maximum of ports their frames are counted, the others go on", () => {
    const { replay, heard } = replaying();
    for (let index = 0; index < MAX_PORTS + 10; index++)
      replay.feed(packet(tagged(), 0, 1, { index, name: `if${index}` }));
    replay.feed(packet(tagged(), 0, 1, { index: 3, name: "if3" }));
    expect(heard).toHaveLength(MAX_PORTS + 1);
    expect(replay.counts.get("too-many-ports")).toBe(10);
  });

  test("a frame check sequence is not on the wire's account; a length below what was captured is not believed", () => {
    const { replay, frames } = replaying();
    replay.feed({ ...packet(tagged(), 0, 1, { fcsLength: 4 }), length: tagged().length + 4 });
    replay.feed({ ...packet(tagged()), length: 3 });
    expect(frames().map(({ size }) => size)).toEqual([tagged().length, tagged().length]);
  });
});
