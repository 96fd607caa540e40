import { expect, it } from "vitest";
import { Frame } from "../../src/core/frame.ts";
import { type Entry, entryLine, Log, WORLD } from "../../src/core/log.ts";
import { instant, NEVER } from "../../src/core/time.ts";
import type { View } from "../../src/core/view.ts";
import { Folded } from "../../src/core/view.ts";

const port = { name: "eth0", index: 0 };
const frame = Frame.of(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x00, 0xff));
const at = instant(1_500_001);

const entry = (what: Entry["what"], way: Entry["way"] = "out", node = "sw1"): Entry => ({ at, node, way, what });

const EVENT = entry({ kind: "event", event: { type: "mac.learned", vlan: 10 } as never });
const APPLY = entry({ kind: "apply", change: { type: "address.add", address: "10.0.0.1" } as never });
const COMMAND = entry({ kind: "command", to: "vrrp", command: { verb: "start" } }, "in");
const LINK = entry({ kind: "link", port, up: true }, "in");
const FRAME = entry({ kind: "frame", port, frame }, "in");
const SEND = entry({ kind: "send", port, frame });
const TIMER = entry({ kind: "timer" }, "in");
const HEARD = entry({ kind: "heard", event: { type: "host.address" } }, "in");
const ALARM = entry({ kind: "alarm", at: instant(2_000_000) });
const STOPPED = entry({ kind: "alarm", at: NEVER });
const FACTS = [EVENT, APPLY, COMMAND, LINK];
const ALL = [...FACTS, FRAME, SEND, TIMER, HEARD, ALARM];

const reader = (everything: boolean) => {
  const entries: Entry[] = [];
  return { everything, entries, read: (one: Entry) => void entries.push(one) };
};

it("a reader of facts gets events, changes, commands and links; a reader of everything gets all, in order", () => {
  const log = new Log();
  const facts = reader(false);
  const everything = reader(true);
  log.follow(facts);
  log.follow(everything);
  for (const one of ALL) log.append(one);
  expect(facts.entries).toEqual(FACTS);
  expect(everything.entries).toEqual(ALL);
});

it("the log says whether anybody reads everything, as readers come and go", () => {
  const log = new Log();
  expect(log.everything).toBe(false);
  const leaveFacts = log.follow(reader(false));
  expect(log.everything).toBe(false);
  const [first, second] = [log.follow(reader(true)), log.follow(reader(true))];
  expect(log.everything).toBe(true);
  first();
  expect(log.everything).toBe(true);
  second();
  leaveFacts();
  expect(log.everything).toBe(false);
});

it("who has left reads no more, even when it leaves while it is reading", () => {
  const log = new Log();
  const seen: string[] = [];
  const leave = log.follow({
    everything: false,
    read() {
      seen.push("first");
      leave();
    },
  });
  log.follow({ everything: false, read: () => void seen.push("second") });
  log.append(EVENT);
  log.append(EVENT);
  expect(seen).toEqual(["first", "second", "second"]);
});

it.each([
  ["an event, whose type stands by itself", EVENT, { type: "mac.learned", vlan: 10 }],
  ["a change", APPLY, { type: "apply.address.add", address: "10.0.0.1" }],
  ["a command", COMMAND, { type: "command", to: "vrrp", command: { verb: "start" } }],
  ["a link", LINK, { type: "link", port: "eth0", up: true }],
  ["a frame", FRAME, { type: "frame", port: "eth0", bytes: "0102030405060708090a0b0c0800ff" }],
  ["a send", SEND, { type: "send", port: "eth0", bytes: "0102030405060708090a0b0c0800ff" }],
  ["a timer", TIMER, { type: "timer" }],
  ["what was heard", HEARD, { type: "heard", event: { type: "host.address" } }],
  ["an alarm", ALARM, { type: "alarm", at: 2 }],
  ["an alarm that was stopped", STOPPED, { type: "alarm", at: null }],
])("the line of %s has the time in seconds with its microseconds, the node and the type", (_what, one, expected) => {
  expect(entryLine(one)).toEqual({ t: 1.500001, node: "sw1", ...expected });
});

it("the line of an order to the world keeps the world as its node beside the node that the order means", () => {
  const order = entry(
    { kind: "command", to: WORLD, command: { verb: "power-off", node: "sw1" } as never },
    "in",
    WORLD,
  );
  expect(entryLine(order)).toMatchObject({ node: WORLD, to: WORLD, command: { verb: "power-off", node: "sw1" } });
});

it("a view is a fold: it starts at its beginning and takes entries as they come", () => {
  const count: View<number> = { initial: () => 0, fold: (sum, { what }) => (what.kind === "event" ? sum + 1 : sum) };
  const folded = new Folded(count);
  const log = new Log();
  log.follow(folded);
  for (const one of [EVENT, LINK, EVENT]) log.append(one);
  expect([folded.value, log.everything]).toEqual([2, false]);
});

it("who holds it has readers wait; what these cause comes behind what they are shown", () => {
  const log = new Log();
  const seen: string[] = [];
  log.follow({
    everything: true,
    read: ({ what }) => {
      seen.push(what.kind);
      if (what.kind !== "event") return;
      // As a reader that sends an order: it is an input of its own.
      log.hold();
      log.append(COMMAND);
      log.release();
    },
  });
  log.hold();
  log.hold();
  for (const one of [EVENT, APPLY]) log.append(one);
  log.release();
  expect(seen).toEqual([]);
  log.release();
  expect(seen).toEqual(["event", "apply", "command"]);
  log.append(LINK);
  expect(seen.at(-1)).toBe("link");
});
