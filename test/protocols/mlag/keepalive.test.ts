import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeKeepalive, encodeKeepalive, hex32, type Keepalive } from "../../../protocols/mlag/codec.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import * as core from "../../../protocols/mlag/core.ts";
import { mlagProtocol } from "../../../protocols/mlag/index.ts";
import { newKeepalive, openPath, receive, receiveOctets, tick } from "../../../protocols/mlag/keepalive.ts";
import { initialState } from "../../../protocols/mlag/state.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { createRng } from "../../../src/core/rng.ts";
import { instant } from "../../../src/core/time.ts";
import { compileNodeFile } from "../../../src/node/node-file.ts";
import { formatProblem } from "../../../src/node/source.ts";
import { mac } from "../../support/probe.ts";

const anyMessage: fc.Arbitrary<Keepalive> = fc.record({
  kind: fc.constantFrom("hello", "probe", "answer"),
  domain: fc.integer({ min: 1, max: 0xffff }),
  sequence: fc.integer({ min: 0, max: 0xffffffff }),
  system: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFrom(bytes)),
  priority: fc.integer({ min: 1, max: 0xffff }),
  rank: fc.integer({ min: -1, max: 2 }),
  nonce: fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => hex32(a) + hex32(b)),
  boot: fc.integer({ min: 0, max: 0xffffffff }),
});
const KEYS = [
  { id: 7, secret: new TextEncoder().encode("the first of two secrets") },
  { id: 8, secret: new TextEncoder().encode("the other of two secrets") },
];

describe("the datagram", () => {
  it("what is encoded is decoded, also with octets of a later version behind it", () => {
    fc.assert(
      fc.property(anyMessage, fc.uint8Array({ maxLength: 40 }), (message, more) => {
        const bytes = encodeKeepalive(message);
        expect(decodeKeepalive(bytes)).toEqual({ ok: true, value: message });
        expect(decodeKeepalive(Uint8Array.of(...bytes, ...more))).toEqual({ ok: true, value: message });
      }),
    );
  });

  it("any octets give a message or a reason, and never an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(decodeKeepalive(bytes).ok).toBeTypeOf("boolean");
      }),
    );
  });

  it.each([
    ["keepalive-length", (bytes: Uint8Array) => bytes.subarray(0, 35)],
    ["keepalive-length", (bytes: Uint8Array) => bytes.with(21, 1)],
    ["keepalive-magic", (bytes: Uint8Array) => bytes.with(0, 0)],
    ["keepalive-version", (bytes: Uint8Array) => bytes.with(4, 0)],
    ["keepalive-field", (bytes: Uint8Array) => bytes.with(5, 4)],
    ["keepalive-field", (bytes: Uint8Array) => bytes.with(20, 4)],
  ])("%s", (reason, spoil) => {
    const message: Keepalive = {
      kind: "hello",
      domain: 10,
      sequence: 1,
      system: mac("02:00:00:00:00:0b"),
      priority: 1,
      rank: 0,
      nonce: "0000000000000000",
      boot: 1,
    };
    expect(decodeKeepalive(spoil(encodeKeepalive(message)))).toEqual({ ok: false, reason });
  });
});

/** A node that had a session and a keepalive, and has lost the session at 10 s. */
function bereaved(more: object = {}) {
  const keepalive = { port: "ka", address: "10.99.0.2/30", peer: "10.99.0.1" };
  const config = mlagSchema.parse({ domain: 10, priority: 200, "peer-link": "peer", keepalive, ...more });
  const state = initialState(config, mac("02:00:00:00:00:0b"));
  const path = newKeepalive(createRng(1, "b"));
  const peer = { domain: 10, system: mac("02:00:00:00:00:0a"), priority: 100, rank: 2, boot: 77 };
  let sequence = 1;
  const next = () => ({ ...peer, sequence: ++sequence });
  const hello = (): Keepalive => ({ kind: "hello", nonce: "0000000000000000", ...next() });
  core.start(state, instant(0));
  openPath(state, path, true, instant(0));
  core.sessionUp(state, instant(1e6));
  const lacpSystem = config.system;
  const role = {
    role: "primary",
    priority: 100,
    system: peer.system,
    lacpSystem,
    sticky: true,
    preempt: false,
  } as const;
  core.heardItems(state, [{ kind: "role", ...role }], instant(1e6));
  receive(state, path, hello(), instant(9.9e6));
  path.sends = [];
  core.sessionLost(state, "session-lost", instant(10e6));
  tick(state, path, instant(10e6));
  return { state, path, next, hello, probe: path.sends.find(({ kind }) => kind === "probe") };
}

describe("dual-active detection (M18)", () => {
  it("the loss of the session is asked about at once, and every 200 ms, with one fresh nonce", () => {
    const { state, path, probe } = bereaved();
    expect(probe?.nonce).toMatch(/^[0-9a-f]{16}$/);
    path.sends = [];
    for (const at of [10.1, 10.2, 10.3, 10.4]) tick(state, path, instant(at * 1e6));
    const probes = path.sends.filter(({ kind }) => kind === "probe");
    expect(probes.map(({ nonce }) => nonce)).toEqual([probe?.nonce, probe?.nonce]);
  });

  it("hellos after the loss, and answers with another nonce, prove nothing; the answer to the question does", () => {
    const { state, path, next, hello, probe } = bereaved();
    receive(state, path, hello(), instant(10.001e6));
    receive(state, path, { ...next(), kind: "answer", nonce: "0123456789abcdef" }, instant(10.001e6));
    expect([state.proven, state.situation]).toEqual([false, "deciding"]);
    receive(state, path, { ...next(), kind: "answer", nonce: probe?.nonce ?? "" }, instant(10.002e6));
    expect([state.proven, state.situation]).toEqual([true, "peer-alive"]);
  });

  it("an answer to the question of an earlier loss proves nothing about a later one", () => {
    const { state, path, next, probe } = bereaved();
    core.sessionUp(state, instant(11e6));
    core.sessionLost(state, "session-lost", instant(12e6));
    tick(state, path, instant(12e6));
    receive(state, path, { ...next(), kind: "answer", nonce: probe?.nonce ?? "" }, instant(12.001e6));
    expect(state.proven).toBe(false);
  });

  it("a probe is answered with its own nonce, whatever is thought of the peer", () => {
    const { state, path, next } = bereaved();
    path.sends = [];
    receive(state, path, { ...next(), kind: "probe", nonce: "00000000000000ff" }, instant(10.1e6));
    expect(path.sends).toContainEqual(expect.objectContaining({ kind: "answer", nonce: "00000000000000ff" }));
  });

  it("messages of another domain, and its own that came back, are dropped under a reason", () => {
    const { state, path, next } = bereaved();
    path.sends = [];
    state.says = [];
    const before = state.heardAt;
    const probe = { kind: "probe", nonce: "00000000000000ff" } as const;
    receive(state, path, { ...next(), ...probe, domain: 11 }, instant(10.1e6));
    receive(state, path, { ...next(), ...probe, system: state.system }, instant(10.1e6));
    expect([path.sends, state.heardAt]).toEqual([[], before]);
    expect(state.says).toEqual([
      { type: "mlag.drop", reason: "keepalive-domain", count: 1 },
      { type: "mlag.drop", reason: "keepalive-own", count: 1 },
    ]);
  });

  it("M16: silence of 5 s makes it down, and a port without carrier at once", () => {
    const { state, path } = bereaved();
    tick(state, path, instant(14.899999e6));
    expect(state.keepalive).toBe(true);
    tick(state, path, instant(14.9e6));
    expect(state.keepalive).toBe(false);
    const other = bereaved();
    openPath(other.state, other.path, false, instant(10.1e6));
    expect(other.state.keepalive).toBe(false);
  });
});

describe("M12: what is old, foreign or not signed does not count", () => {
  it("a hello that is not newer than the newest is dropped, and does not make the silence shorter", () => {
    const { state, path, hello } = bereaved();
    const old = hello();
    receive(state, path, hello(), instant(11e6));
    for (const at of [12e6, 13e6, 14e6]) receive(state, path, old, instant(at));
    expect(state.heardAt).toBe(11e6);
    expect(path.drops.get("keepalive-replayed")?.count).toBe(3);
  });

  it("the sequence wraps at 2^32", () => {
    const { state, path, hello } = bereaved();
    path.peer = { boot: 77, sequence: 0xffffffff };
    receive(state, path, { ...hello(), sequence: 0 }, instant(11e6));
    expect([state.heardAt, path.drops.size]).toEqual([11e6, 0]);
  });

  it("a drop is said once a second and reason, with the number of all so far", () => {
    const { state, path, hello } = bereaved();
    const old = hello();
    receive(state, path, old, instant(11e6));
    state.says = [];
    for (let at = 12e6; at < 14e6; at += 1e5) receive(state, path, old, instant(at));
    expect(state.says.filter(({ type }) => type === "mlag.drop")).toEqual([
      { type: "mlag.drop", reason: "keepalive-replayed", count: 1 },
      { type: "mlag.drop", reason: "keepalive-replayed", count: 11 },
    ]);
  });

  it("a peer that has started anew is asked first, and heard from its answer on; a recording of it cannot answer", () => {
    const { state, path, hello } = bereaved();
    path.sends = [];
    const reborn = { boot: 78, sequence: 1 };
    receive(state, path, { ...hello(), ...reborn }, instant(11e6));
    receive(state, path, { ...hello(), ...reborn, sequence: 2 }, instant(11.05e6));
    expect(path.drops.get("keepalive-stale")?.count).toBe(2);
    const asked = path.sends.filter(({ kind, nonce }) => kind === "probe" && nonce === path.challenge);
    expect(asked).toHaveLength(1);
    const answer = { ...hello(), ...reborn, kind: "answer", sequence: 3 } as const;
    receive(state, path, { ...answer, nonce: "00000000000000aa" }, instant(11.06e6));
    expect(state.heardAt).toBe(9.9e6);
    receive(state, path, { ...answer, nonce: path.challenge ?? "" }, instant(11.07e6));
    expect([state.heardAt, path.peer]).toEqual([11.07e6, { boot: 78, sequence: 3 }]);
    // Its former life is over: what is recorded of it is another's.
    receive(state, path, hello(), instant(12e6));
    expect(state.heardAt).toBe(11.07e6);
  });

  it("with keys, every message is signed by the first and must be signed by one of them", () => {
    const signed = (key: (typeof KEYS)[number] | undefined, spoil?: (bytes: Uint8Array) => Uint8Array) => {
      const { state, path, hello } = bereaved({
        authentication: [{ "key-id": 7, secret: "the first of two secrets" }],
      });
      state.says = [];
      const bytes = encodeKeepalive(hello(), key);
      receiveOctets(state, path, spoil?.(bytes) ?? bytes, instant(11e6));
      const dropped = state.says.flatMap((event) => (event.type === "mlag.drop" ? [event.reason] : []));
      return [state.heardAt === 11e6, ...dropped];
    };
    expect(signed(KEYS[0])).toEqual([true]);
    expect(signed(KEYS[1])).toEqual([false, "keepalive-unknown-key"]);
    expect(signed(undefined)).toEqual([false, "keepalive-unsigned"]);
    expect(signed(KEYS[0], (bytes) => bytes.with(20, 0))).toEqual([false, "keepalive-signature"]);
    expect(signed(KEYS[0], (bytes) => bytes.with(71, (bytes[71] ?? 0) ^ 1))).toEqual([false, "keepalive-signature"]);
  });

  it.each([
    "[{ key-id: 1, secret: s3cret }]",
    `[{ key-id: 1, secret: ${"s3cret".repeat(40)} }]`,
    "[{ key-id: 1, secret: s3cret-\u00e9-s3cret-s3cret }]",
    "[{ key-id: 1, secret: [s3cret] }]",
    "[s3cret]",
    "s3cret",
    "{ secret: s3cret }",
  ])("what is said of a file with the wrong authentication %s does not quote the secret", (authentication) => {
    const text = `node: sw1\nmlag:\n  domain: 1\n  authentication: ${authentication}\n`;
    const compiled = compileNodeFile(text, "sw1.yaml", [mlagProtocol]);
    const problems = compiled.ok ? expect.fail("accepted") : compiled.problems.map(formatProblem);
    expect(problems.some((line) => line.includes("authentication"))).toBe(true);
    expect(problems.join("\n")).not.toContain("s3cret");
  });
});
