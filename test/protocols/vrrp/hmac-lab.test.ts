import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createDissector, dissect } from "../../../protocols/dissect/dissect.ts";
import { formatFrame } from "../../../protocols/dissect/format.ts";
import { protocols } from "../../../protocols/index.ts";
import { check, compare } from "../../../protocols/vrrp/check.ts";
import { schema } from "../../../protocols/vrrp/config.ts";
import { AUTH_REASONS, type VrrpEvent } from "../../../protocols/vrrp/events.ts";
import { describe as words } from "../../../protocols/vrrp/view.ts";
import { sec } from "../../../src/core/time.ts";
import { compileNodeFile } from "../../../src/node/node-file.ts";
import { packetOf } from "../../support/adverts.ts";
import { flawOf, labOf, storyOf, told } from "../../support/explain.ts";
import { runLab } from "../../support/lab.ts";
import { only, replayPackets } from "../../support/replay.ts";
import { authentication, OTHER_SECRET, SECRET, signed } from "../../support/signed.ts";
import { Bench, type Given, given } from "../../support/vrrp.ts";

const keys = (...ids: readonly number[]) => ids.map((id) => `{ id: ${id}, secret: "${SECRET}" }`).join(", ");
const auth = (mode = "enforce", list = keys(1)) => `, authentication: { keys: [${list}], mode: ${mode} }`;

/** gw1 is the better of two routers on one segment; each with what its line says of authentication. */
function lab(one: string, two: string, script = ""): string {
  return `
name: signed
nodes:
  gw1:
    interfaces: { eth0: { addresses: [10.0.0.2/24] } }
    vrrp: [{ interface: eth0, vrid: 1, priority: 150, addresses: [10.0.0.1/24]${one} }]
  gw2:
    interfaces: { eth0: { addresses: [10.0.0.3/24] } }
    vrrp: [{ interface: eth0, vrid: 1, priority: 100, addresses: [10.0.0.1/24]${two} }]
  sw: { bridge: { ports: [p1, p2] } }
links:
  - { id: gw1-sw, ends: [gw1:eth0, sw:p1], delay: 5us, rate: 1Gbps }
  - { id: gw2-sw, ends: [gw2:eth0, sw:p2], delay: 5us, rate: 1Gbps }
script:
${script}  - { at: 12s, heal: gw1-sw }
`;
}

/** "9 gw1 master", and of drops "4 gw2 auth-key". */
function story(text: string): { readonly ok: boolean; readonly lines: readonly string[] } {
  const { result, log } = runLab(text);
  const lines = log.flatMap(({ at, node, what }) => {
    if (what.kind !== "event" || !what.event.type.startsWith("vrrp.")) return [];
    const event = what.event as VrrpEvent;
    if (event.type === "vrrp.state") return [`${Math.floor(at / 1e6)} ${node} ${event.to}`];
    return event.type === "vrrp.drop" ? [`${Math.floor(at / 1e6)} ${node} ${event.reason}`] : [`${node} ${event.type}`];
  });
  return { ok: result.ok, lines };
}

/** gw1 loses power and comes back, with what else is in the timeline. */
const POWER = "  - { at: 10s, power-off: gw1 }\n  - { at: 20s, power-on: gw1 }\n";
const ELECTED = ["0 gw1 backup", "0 gw2 backup", "3 gw1 master"];
const FAILED_OVER = [...ELECTED, "13 gw2 master", "20 gw1 backup", "23 gw1 master", "23 gw2 backup"];

describe("two routers in a lab", () => {
  test("with equal keys elect, fail over and come back: a restarted sender is heard at once", () => {
    expect(story(lab(auth(), auth(), POWER))).toEqual({ ok: true, lines: FAILED_OVER });
  });

  test("with different secrets under one id are both master, and say why", () => {
    const other = `{ id: 1, secret: "${OTHER_SECRET}" }`;
    const { ok, lines } = story(lab(auth(), auth("enforce", other)));
    expect(ok).toBe(false);
    expect(lines.filter((line) => line.endsWith("master"))).toEqual(["3 gw1 master", "3 gw2 master"]);
    expect(
      new Set(lines.filter((line) => line.includes("auth-")).map((line) => line.slice(line.indexOf(" ") + 1))),
    ).toEqual(new Set(["gw1 auth-signature", "gw2 auth-signature"]));
  });

  test.each([
    ["permissive", "permissive"],
    ["receive-only", "receive-only"],
    ["permissive", "receive-only"],
    ["receive-only", "permissive"],
    ["enforce", "permissive"],
    ["permissive", "enforce"],
  ])("%s beside %s elect one master", (one, two) => {
    const { ok, lines } = story(lab(auth(one), auth(two), POWER));
    expect(ok).toBe(true);
    expect(lines.filter((line) => !line.endsWith("mismatch"))).toEqual(FAILED_OVER);
  });

  test("receive-only beside one without authentication elect one master", () => {
    expect(story(lab(auth("receive-only"), "")).ok).toBe(true);
    expect(story(lab("", auth("receive-only"))).ok).toBe(true);
  });

  test("with the new key behind the old one, and before it: the key can be changed", () => {
    expect(story(lab(auth("enforce", keys(1, 2)), auth("enforce", keys(2, 1)), POWER))).toEqual({
      ok: true,
      lines: FAILED_OVER,
    });
  });

  test("why the second is master too: it does not believe the first, because of its own configuration", () => {
    const { why } = told(labOf(lab(auth(), auth("enforce", keys(2)))));
    const explanation = why("gw2:vrrp1", 10);
    expect(explanation).toMatchObject({ state: "master", reason: "master-timeout" });
    expect(storyOf(explanation).join("\n")).toMatch(
      /auth-key[\s\S]*does not know the sender's key: authentication enforce with key 2/,
    );
    expect(flawOf(explanation)).toBeUndefined();
  });
});

describe("words", () => {
  const page = (name: string) => readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), "utf8");

  test.each(AUTH_REASONS)("%s is explained in the docs", (reason) => {
    expect(page("vrrp-reasons")).toContain(`| \`${reason}\` |`);
  });

  test("the timeline says what will not be taken, and whose clock drifts", () => {
    const of = { type: "vrrp.mismatch", interface: "eth0", vrid: 1, family: "ipv4", peer: "10.0.0.3" } as const;
    const unsigned = { ...of, what: "authentication", ours: "permissive", theirs: "unsigned" };
    expect(words(unsigned)).toBe("eth0 vrid 1 ipv4: 10.0.0.3 sends unsigned adverts, taken in mode permissive");
    const clock = { ...of, what: "clock", ours: "window 5s", theirs: "behind" };
    expect(words(clock)).toBe("eth0 vrid 1 ipv4: the clock of 10.0.0.3 is behind, beyond half of the window 5s");
  });

  test("the file that the documentation shows is valid as it stands", () => {
    const [, text = ""] = page("vrrp-authentication").match(/```yaml\n([\s\S]*?)```/) ?? [];
    const compiled = compileNodeFile(text, "gw1.yaml", protocols);
    expect(compiled.ok ? "" : compiled.problems).toBe("");
  });
});

describe("captures of signed adverts", () => {
  const frame = () => signed(new Bench([given()]), 200, { sequence: { seconds: 0x68000000, rest: 0x80000001 } }).bytes;

  test("decode shows key and sequence, and judges the checksum without the trailer", () => {
    const record = { ...packetOf(frame(), 1, 0), capturedLength: frame().length };
    const shown = dissect(createDissector(), record);
    expect(shown.vrrp).toMatchObject({
      checksum_covers: ["message"],
      trailer: {
        key: 1,
        sequence: "6800000080000001",
        time: "1744830464.500000",
        hmac: expect.stringMatching(/^\w{32}$/),
      },
    });
    // What a receiver without authentication does with it.
    expect(shown.rx).toMatchObject({ v3: "drop", v3_reason: "length" });
    expect(formatFrame(shown)).toContain("signed with key 1 sequence 6800000080000001");
  });

  test("replay follows their elections, unverified", () => {
    const bench = new Bench([given()]);
    const packets = Array.from({ length: 5 }, (_, i) => {
      const packet = packetOf(signed(bench, 200).bytes, i + 1, i * 1_000_000);
      bench.wait(sec(1));
      return packet;
    });
    const seen = replayPackets(packets);
    expect(only(seen, "vrrp.master").map(({ address, frame: first }) => [address, first])).toEqual([["192.0.2.1", 1]]);
    expect(only(seen, "vrrp.drop")).toEqual([]);
  });
});

describe("files", () => {
  const problems = (more: Given): string[] => {
    const result = schema.safeParse([given(more)]);
    return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  };
  const secret = (text: unknown) => problems({ authentication: { keys: [{ id: 1, secret: text }] } });
  const HEX = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

  test("off is the default; on, adverts are enforced and their times compared", () => {
    expect(schema.parse([given()])[0]?.authentication).toBeUndefined();
    expect(schema.parse([given({ authentication: { keys: [{ id: 1, secret: HEX }] } })])[0]?.authentication).toEqual({
      keys: [{ id: 1, secret: Uint8Array.from({ length: 32 }, (_, i) => i) }],
      mode: "enforce",
      replay: "time",
      window: sec(5),
    });
  });

  test("secrets of 32 to 64 octets, as text or as hex digits", () => {
    for (const text of [SECRET, "x".repeat(64), HEX, `hex:${"Ab".repeat(64)}`]) expect(secret(text)).toEqual([]);
    for (const text of [
      "x".repeat(31),
      "x".repeat(65),
      "hex:00",
      `hex:${"0".repeat(65)}`,
      `hex:${"ab".repeat(65)}`,
      5,
    ]) {
      expect(secret(text)[0]).toMatch(/^0\.authentication\.keys\.0\.secret: found something else, allowed: hex: and/);
    }
    // A key of keepalived that stands in a file of its own is no text.
    expect(secret("file:/etc/keepalived/keys/vrrp51-and-more")).toHaveLength(1);
    expect(secret(`${"ä".repeat(32)}`)).toHaveLength(1);
  });

  test.each([
    ["a list of secrets", { keys: ["SECRET"] }],
    ["a secret for the list", { keys: "SECRET" }],
    ["a secret for the key id", { keys: [{ id: "SECRET", secret: "x" }] }],
    ["a secret that is too short", { keys: [{ id: 1, secret: "SECRET" }] }],
    ["a secret for all", "SECRET"],
  ])("no message quotes what may be a secret: %s", (_name, value) => {
    const found = problems({ authentication: value });
    expect(found.length).toBeGreaterThan(0);
    expect(found.join("\n")).not.toContain("SECRET");
  });

  test("version 2, migration, a key id twice, no key, and a window that nobody has are refused", () => {
    expect(problems({ ...authentication(), version: 2 })[0]).toMatch(/^0\.authentication: .*version 3 alone/);
    expect(problems({ ...authentication(), migration: true })[0]).toMatch(/^0\.authentication/);
    const twice = [
      { id: 1, secret: SECRET },
      { id: 1, secret: OTHER_SECRET },
    ];
    expect(problems(authentication({ keys: twice }))[0]).toMatch(/^0\.authentication\.keys\.1\.id: found 1 twice/);
    expect(problems({ authentication: { keys: [] } })[0]).toMatch(/^0\.authentication\.keys/);
    expect(problems(authentication({ keys: [{ id: 256, secret: SECRET }] }))[0]).toMatch(/allowed: 1 to 255/);
    expect(problems(authentication({ window: "500ms" }))[0]).toMatch(/^0\.authentication\.window/);
    expect(problems(authentication({ mode: "off" }))[0]).toMatch(/^0\.authentication\.mode/);
  });

  test("what two nodes do not agree on is said, and no secret", () => {
    const node = (name: string, more: Given) => ({ node: name, vrrp: schema.parse([given(more)]) });
    const found = (one: Given, two: Given) =>
      compare([node("gw1", one), node("gw2", two)]).map(({ path, message }) => `${path.join(".")}: ${message}`);
    const other = authentication({ keys: [{ id: 1, secret: OTHER_SECRET }] });
    expect(found(authentication(), authentication({ mode: "permissive", window: "9s" }))).toEqual([]);
    expect(found(authentication(), {})).toEqual([
      "vrrp.0.authentication: gw1 drops what this router sends: it is unsigned (auth-missing)",
      "vrrp.0.authentication: this router drops what gw1 sends: it is signed, and authentication is off here (length)",
    ]);
    const secrets = found(authentication(), other).join("\n");
    expect(secrets).toMatch(/gw1 drops what this router sends: key 1 has another secret there \(auth-signature\)/);
    expect(secrets).not.toMatch(/secret of these|nobody knows/);
    expect(found(authentication({ mode: "receive-only" }), authentication())[0]).toMatch(/gw1 sends: it is unsigned/);
    expect(check(schema.parse([given(authentication())]), node("gw1", authentication()))).toEqual([]);
  });
});
