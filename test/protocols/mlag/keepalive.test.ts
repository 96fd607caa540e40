import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeKeepalive, encodeKeepalive, hex32, type Keepalive } from "../../../protocols/mlag/codec.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import * as core from "../../../protocols/mlag/core.ts";
import { newKeepalive, openPath, receive, tick } from "../../../protocols/mlag/keepalive.ts";
import { initialState } from "../../../protocols/mlag/state.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { createRng } from "../../../src/core/rng.ts";
import { instant } from "../../../src/core/time.ts";
import { mac } from "../../support/probe.ts";

const anyMessage: fc.Arbitrary<Keepalive> = fc.record({
  kind: fc.constantFrom("hello", "probe", "answer"),
  domain: fc.integer({ min: 1, max: 0xffff }),
  sequence: fc.integer({ min: 0, max: 0xffffffff }),
  system: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFrom(bytes)),
  priority: fc.integer({ min: 1, max: 0xffff }),
  rank: fc.integer({ min: -1, max: 2 }),
  nonce: fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => hex32(a) + hex32(b)),
});

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
    ["keepalive-length", (bytes: Uint8Array) => bytes.subarray(0, 31)],
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
    };
    expect(decodeKeepalive(spoil(encodeKeepalive(message)))).toEqual({ ok: false, reason });
  });
});

/** A node that had a session and a keepalive, and has lost the session at 10 s. */
function bereaved() {
  const keepalive = { port: "ka", address: "10.99.0.2/30", peer: "10.99.0.1" };
  const config = mlagSchema.parse({ domain: 10, priority: 200, "peer-link": "peer", keepalive });
  const state = initialState(config, mac("02:00:00:00:00:0b"));
  const path = newKeepalive(createRng(1, "b"));
  const peer = { domain: 10, system: mac("02:00:00:00:00:0a"), priority: 100, rank: 2, sequence: 1 };
  const hello: Keepalive = { kind: "hello", nonce: "0000000000000000", ...peer };
  core.start(state, instant(0));
  openPath(state, path, true, instant(0));
  core.sessionUp(state, instant(1e6));
  const role = { role: "primary", priority: 100, system: peer.system, sticky: true, preempt: false } as const;
  core.heardItems(state, [{ kind: "role", ...role }], instant(1e6));
  receive(state, path, hello, instant(9.9e6));
  path.sends = [];
  core.sessionLost(state, "session-lost", instant(10e6));
  tick(state, path, instant(10e6));
  return { state, path, peer, hello, probe: path.sends.find(({ kind }) => kind === "probe") };
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
    const { state, path, peer, hello, probe } = bereaved();
    receive(state, path, hello, instant(10.001e6));
    receive(state, path, { ...peer, kind: "answer", nonce: "0123456789abcdef" }, instant(10.001e6));
    expect([state.proven, state.situation]).toEqual([false, "deciding"]);
    receive(state, path, { ...peer, kind: "answer", nonce: probe?.nonce ?? "" }, instant(10.002e6));
    expect([state.proven, state.situation]).toEqual([true, "peer-alive"]);
  });

  it("an answer to the question of an earlier loss proves nothing about a later one", () => {
    const { state, path, peer, probe } = bereaved();
    core.sessionUp(state, instant(11e6));
    core.sessionLost(state, "session-lost", instant(12e6));
    tick(state, path, instant(12e6));
    receive(state, path, { ...peer, kind: "answer", nonce: probe?.nonce ?? "" }, instant(12.001e6));
    expect(state.proven).toBe(false);
  });

  it("a probe is answered with its own nonce, whatever is thought of the peer", () => {
    const { state, path, peer } = bereaved();
    path.sends = [];
    receive(state, path, { ...peer, kind: "probe", nonce: "00000000000000ff" }, instant(10.1e6));
    expect(path.sends).toContainEqual(expect.objectContaining({ kind: "answer", nonce: "00000000000000ff" }));
  });

  it("messages of another domain, and its own that came back, are counted and not heard", () => {
    const { state, path, peer } = bereaved();
    path.sends = [];
    const before = state.heardAt;
    receive(state, path, { ...peer, kind: "probe", nonce: "00000000000000ff", domain: 11 }, instant(10.1e6));
    receive(state, path, { ...peer, kind: "probe", nonce: "00000000000000ff", system: state.system }, instant(10.1e6));
    expect([path.foreign, path.sends, state.heardAt]).toEqual([2, [], before]);
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
