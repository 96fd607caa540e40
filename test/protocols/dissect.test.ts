/** `hotpair decode` against the ground truth of every capture, and against octets that nobody meant. */
import { describe, expect, it } from "vitest";
import { createDissector, type DissectedRecord, dissect } from "../../protocols/dissect/dissect.ts";
import { formatFrame } from "../../protocols/dissect/format.ts";
import type { Dissected, VersionedVerdict } from "../../protocols/dissect/types.ts";
import { ethernet } from "../../protocols/ethernet/codec.ts";
import { MAX_STREAMS } from "../../protocols/iccp/events.ts";
import { encodeIp, ipPacket } from "../../protocols/ip/codec.ts";
import type { CaptureRecord } from "../../src/capture/record.ts";
import type { Ip4, Mac } from "../../src/core/addr.ts";
import { Writer } from "../../src/core/bytes.ts";
import { below, createRng, type Rng } from "../../src/core/rng.ts";
import { type Json, recordsOf, type Sidecar, sidecars, truthOf } from "../support/ground-truth.ts";

/** Mutated frames that the fuzz makes; a million takes less than a minute. */
const FUZZED = Number(process.env["HOTPAIR_FUZZ"] ?? 1_000_000);

/** What a sidecar says about a frame that we say too. `info` is prose, `link` is where the recorder stood. */
const LAYERS = [
  ["len", "caplen", "if", "eth", "sll", "vlan", "ip"],
  ["vrrp", "carp", "arp", "lacp", "marker", "slow_subtype", "tcp", "udp", "ldp", "rx"],
].flat();

const ALL = sidecars();

/** The frames of a capture as JSON, as they are printed. */
async function printed(file: string): Promise<readonly (Dissected & Json)[]> {
  const dissector = createDissector();
  const records = await recordsOf(file);
  return records.map((record) => JSON.parse(JSON.stringify(dissect(dissector, record))) as Dissected & Json);
}

/** tshark's name for what we call so, where the two differ; see `protocols/dissect/types.ts`. */
function columnOf(frame: Dissected, truth: Json): unknown {
  const column = String(truth["proto"]);
  switch (frame.proto) {
    case "MARKER":
      return "Marker";
    case "ND":
      return "ICMPv6";
    case "ICCP":
      return "TCP";
    case "TCP":
      return column === "HTTP" ? column : "TCP";
    case "other":
      return /^0x[0-9a-f]{4}$/.test(column) || column === "Netlink route" ? column : "other";
    default:
      return frame.proto;
  }
}

/** A sidecar takes `router` from a field that tshark 4.0 never sets; its own words have the R bit right. */
function icmpv6Of(truth: Json): Json | undefined {
  const icmpv6 = truth["icmpv6"] as Json | undefined;
  const na = icmpv6?.["na"] as Json | undefined;
  return na === undefined ? icmpv6 : { ...icmpv6, na: { ...na, router: String(truth["info"]).includes("(rtr") } };
}

describe.each(ALL.map((sidecar) => ({ sidecar, file: sidecar.file })))("decode of $file", ({ sidecar, file }) => {
  it("agrees with the ground truth, frame by frame and field by field", async () => {
    const frames = await printed(file);
    expect(frames.length).toBe(sidecar.frames.length);
    for (const [i, frame] of frames.entries()) {
      const where = `${file} #${i + 1}`;
      const said = sidecar.frames[i] ?? {};
      const truth = truthOf(said);
      expect(frame.n, where).toBe(said["n"]);
      if (typeof truth["t"] === "number") expect(frame.t, where).toBeCloseTo(truth["t"], 6);
      if ("linktype" in truth) {
        expect([frame.proto, frame.note], where).toEqual(["other", `unsupported link type ${truth["linktype"]}`]);
        continue;
      }
      for (const layer of LAYERS.filter((name) => name in truth)) {
        expect({ [layer]: frame[layer] }, where).toMatchObject({ [layer]: truth[layer] });
      }
      const icmpv6 = icmpv6Of(truth);
      if (icmpv6 !== undefined) expect(frame.icmpv6, where).toEqual(icmpv6);
      expect(columnOf(frame, truth), where).toBe(truth["proto"]);
    }
  });
});

/** What a receiver of the sidecar's own configuration does, given what one does that fits every frame. */
function received(frame: Dissected, version: 2 | 3, sidecar: Sidecar): { verdict: string; reason: string | undefined } {
  const receiver = (sidecar["receiver"] ?? {}) as Json;
  const rx: VersionedVerdict | undefined = typeof frame.rx === "object" ? frame.rx : undefined;
  const { vrrp } = frame;
  if (typeof frame.rx === "string") {
    const rg = frame.iccp_messages?.[0]?.tlvs.find((tlv) => tlv.type === "0x0005")?.decoded ?? receiver["rg"];
    if (frame.rx === "accept" && rg !== receiver["rg"]) return { verdict: "drop", reason: "rg" };
    return { verdict: frame.rx, reason: frame.reason };
  }
  const verdict = version === 3 ? rx?.v3 : rx?.v2;
  const reason = rx?.reason ?? (version === 3 ? rx?.v3_reason : rx?.v2_reason);
  if (verdict !== "accept" || vrrp === undefined) return { verdict: String(verdict), reason };
  if ((frame.vlan?.[0]?.vid ?? 0) !== 0) return { verdict: "ignore", reason: "vlan" };
  if (`IPv${frame.ip?.v}` !== receiver["family"]) return { verdict: "ignore", reason: "family" };
  if (vrrp.vrid !== receiver["vrid"]) return { verdict: "drop", reason: "vrid" };
  // RFC 3768 §7.1: what is configured locally must match; this receiver has 1 s and no authentication.
  if (version === 2 && vrrp.auth_type !== 0) return { verdict: "drop", reason: "auth" };
  if (version === 2 && vrrp.adv_s !== receiver["advertisement_interval_s"]) {
    return { verdict: "drop", reason: "interval-mismatch" };
  }
  return { verdict, reason };
}

function agrees(frame: Dissected, found: { verdict: string; reason: string | undefined }, expected: Json): boolean {
  if (expected["verdict"] === "either") return true;
  // A receiver that knows CARP ignores it; one that does not drops it for its version or length.
  if (frame.proto === "CARP") return found.verdict === "ignore" && found.reason === "carp";
  const reasons = String(expected["reason"]).split(" or ");
  return (
    found.verdict === expected["verdict"] && (found.verdict === "accept" || reasons.includes(String(found.reason)))
  );
}

const CRAFTED = ALL.filter(({ frames }) => frames.some((frame) => "expect" in frame));

describe.each(CRAFTED.map((sidecar) => ({ sidecar, file: sidecar.file })))("verdicts on $file", ({ sidecar, file }) => {
  it("are those of the standards, with the reason (RFC 9568 §7.1, RFC 3768 §7.1, IEEE 802.1AX §6.4.12)", async () => {
    for (const [i, frame] of (await printed(file)).entries()) {
      const said = sidecar.frames[i] ?? {};
      const where = `${file} #${i + 1} ${said["label"]}`;
      const v3 = received(frame, 3, sidecar);
      expect([v3, agrees(frame, v3, { verdict: said["expect"], reason: said["reason"] })], where).toEqual([v3, true]);
      if (said["expect_v2"] === undefined) continue;
      const v2 = received(frame, 2, sidecar);
      expect([v2, agrees(frame, v2, { verdict: said["expect_v2"], reason: said["reason_v2"] })], where).toEqual([
        v2,
        true,
      ]);
    }
  });
});

describe("ICCP sessions", () => {
  const sessions = ALL.filter((sidecar) => "iccp_messages" in sidecar);

  it.each(sessions.map((sidecar) => ({ sidecar, file: sidecar.file })))(
    "of $file: every message, in the frame that completes it, with every value",
    async ({ sidecar, file }) => {
      const messages = (await printed(file)).flatMap((frame) => frame.iccp_messages ?? []);
      const truth = sidecar["iccp_messages"] as readonly Json[];
      expect(messages.length).toBe(truth.length);
      for (const [i, { t, ...message }] of truth.entries()) {
        expect(messages[i]?.t).toBeCloseTo(Number(t), 6);
        expect(messages[i]).toMatchObject(message);
      }
    },
  );

  it("cut into odd segments, repeated and out of order, give each message once (RFC 9293 §3.4)", async () => {
    const [sidecar] = ALL.filter(({ file }) => file.startsWith("craft-iccp"));
    if (sidecar === undefined) expect.fail("the crafted session is missing");
    for (const [i, frame] of (await printed(sidecar.file)).entries()) {
      const { messages_complete: truth, label } = sidecar.frames[i] ?? {};
      if (truth === undefined) continue;
      expect(frame.iccp_messages?.length ?? 0, String(label)).toBe((truth as readonly unknown[]).length);
    }
  });
});

describe("what real software sent", () => {
  it("is refused nowhere but for what the capture cut off", async () => {
    // The two tcpdump files are fuzzed, whatever they say of themselves.
    const recorded = ALL.filter(({ file, frames }) => !file.includes("oobr") && !frames.some((f) => "expect" in f));
    for (const { file } of recorded) {
      for (const frame of await printed(file)) {
        if (frame.rx === "drop") expect(frame.reason, `${file} #${frame.n}`).toBe("capture-cut");
        if (typeof frame.rx === "string") continue;
        const { v3, v2, reason, v2_reason: why } = frame.rx;
        const taken = v3 === "accept" || v2 === "accept" || reason !== undefined;
        // One library's sample of VRRPv2 lacks the authentication data.
        expect(taken || why === "length", `${file} #${frame.n}`).toBe(true);
      }
    }
  });
});

const GROUP = "01:00:5e:00:00:12" as Mac;
const MAC = "02:00:00:00:00:01" as Mac;
const ETHERNET = { linkType: 1, name: undefined, fcsLength: 0 };

function recordOf(bytes: Uint8Array, length = bytes.length, linkType = 1): DissectedRecord {
  const time = { number: 1, seconds: 0, nanoseconds: 0 };
  return { ...time, length, capturedLength: bytes.length, bytes, interface: { ...ETHERNET, linkType } };
}

function segmentFrame(port: number, sequence: number, payload: Uint8Array): Uint8Array {
  const tcp = new Writer(20 + payload.length).u16(port).u16(8888).u32(sequence).u32(0).u16(0x5018).u16(0).u32(0);
  const [source, destination] = ["10.0.0.1" as Ip4, "10.0.0.2" as Ip4];
  const packet = ipPacket({ source, destination, protocol: 6, payload: tcp.put(payload).bytes });
  return ethernet(MAC, MAC, 0x0800, encodeIp(packet));
}

const HEARTBEAT = Uint8Array.of(7, 3, 0, 17, 0, 0, 0, 3, 0, 5, 0, 4, 0, 0, 0, 1, 0, 0x3a, 0, 1, 0xff);

describe("dissector", () => {
  it("answers on every length of a frame, cut by the capture or short on the wire", () => {
    const advert = Uint8Array.of(0x31, 51, 150, 1, 0, 100, 0xd3, 0x71, 192, 0, 2, 100);
    const [source, destination] = ["192.0.2.1" as Ip4, "224.0.0.18" as Ip4];
    const packet = encodeIp(ipPacket({ source, destination, protocol: 112, ttl: 255, payload: advert }));
    const whole = ethernet(GROUP, MAC, 0x0800, packet);
    expect(dissect(createDissector(), recordOf(whole)).rx).toEqual({ v3: "accept", v2: "drop", v2_reason: "version" });
    for (let length = 0; length < whole.length; length++) {
      const cut = dissect(createDissector(), recordOf(whole.subarray(0, length), whole.length));
      const reason = typeof cut.rx === "string" ? cut.reason : cut.rx.reason;
      expect([cut.caplen, reason], `cut to ${length}`).toEqual([length, "capture-cut"]);
      const short = dissect(createDissector(), recordOf(whole.subarray(0, length)));
      const refused = typeof short.rx === "string" ? short.rx : short.rx.v3;
      expect(refused, `${length} octets`).toBe("drop");
    }
  });

  it("drops an advert to a group that no VRRP router joins (RFC 9568 §5.1.1.2)", () => {
    const advert = Uint8Array.of(0x31, 51, 150, 1, 0, 100, 0x76, 0x02, 192, 0, 2, 100);
    const [source, destination] = ["192.0.2.1" as Ip4, "224.0.0.19" as Ip4];
    const packet = encodeIp(ipPacket({ source, destination, protocol: 112, ttl: 255, payload: advert }));
    const { rx } = dissect(createDissector(), recordOf(ethernet(GROUP, MAC, 0x0800, packet)));
    expect(rx).toMatchObject({ v3: "drop", v3_reason: "destination" });
  });

  it("finds the messages of an ICCP session whose beginning was not recorded", () => {
    const dissector = createDissector();
    const middle = dissect(dissector, recordOf(segmentFrame(40000, 100, HEARTBEAT.subarray(5))));
    expect(middle.iccp_messages).toBeUndefined();
    const next = dissect(dissector, recordOf(segmentFrame(40000, 116, HEARTBEAT)));
    expect(next.iccp_messages?.map(({ id }) => id)).toEqual([3]);
  });

  it(`follows ${MAX_STREAMS} directions of ICCP connections and forgets the one that was quiet longest`, () => {
    const dissector = createDissector();
    const [first, rest] = [HEARTBEAT.subarray(0, 9), HEARTBEAT.subarray(9)];
    for (let port = 0; port <= MAX_STREAMS; port++) dissect(dissector, recordOf(segmentFrame(port, 1, first)));
    expect(dissector.sessions.streams.size).toBe(MAX_STREAMS);
    const messages = (port: number) => dissect(dissector, recordOf(segmentFrame(port, 10, rest))).iccp_messages?.length;
    expect([messages(MAX_STREAMS), messages(0)]).toEqual([1, undefined]);
  });

  it("says what it does not know, by name", () => {
    const frame = dissect(createDissector(), recordOf(new Uint8Array(60), 60, 147));
    expect(frame).toMatchObject({ proto: "other", note: "unsupported link type 147", rx: "ignore" });
  });
});

describe("text of a frame", () => {
  it("lets no control character of the capture through to the terminal", () => {
    const record = recordOf(new Uint8Array(60));
    const named = { ...record, interface: { ...record.interface, name: "eth0\u001b[2J\n\u009b" } };
    expect(formatFrame(dissect(createDissector(), named))).toMatch(/ {2}eth0\?\[2J\?\? {2}/);
  });

  it("is one line with time, ends, what it says and the verdict", async () => {
    const lines = (await printed("craft-vrrp3-ipv4-faults.pcap")).map(formatFrame);
    expect(lines[0]?.trim()).toBe(
      "1     0.000000  192.0.2.1 > 224.0.0.18  VRRPv3 vrid 51 priority 150 interval 1s 192.0.2.100  => accept",
    );
    expect(lines[5]).toMatch(/=> drop: ttl$/);
    expect(lines[50]).toMatch(/\[38 of 46 octets\] {2}=> drop: capture-cut$/);
    for (const { file } of ALL) {
      for (const frame of await printed(file)) expect(formatFrame(frame)).toMatch(/^[^\n]* => (accept|ignore|drop)/);
    }
  });
});

/** A few octets changed, the end cut off or drawn out, or the middle of another frame put in. */
function mutate(rng: Rng, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let out = bytes.slice();
  for (let i = below(rng, 4); i >= 0 && out.length > 0; i--) out[below(rng, out.length)] = below(rng, 256);
  const kind = below(rng, 4);
  if (kind === 0) out = out.slice(0, below(rng, out.length + 1));
  if (kind === 1) out = Uint8Array.from([...out, ...other.subarray(0, below(rng, 40))]);
  if (kind === 2 && out.length > 0) out.set(other.subarray(0, out.length - below(rng, out.length)).subarray(0, 30), 0);
  return out;
}

describe("fuzz", () => {
  it(`throws on none of ${FUZZED} mutated frames, and gives each a verdict`, { timeout: 600_000 }, async () => {
    const records: CaptureRecord[] = [];
    for (const { file } of ALL) records.push(...(await recordsOf(file)));
    const rng = createRng(1, "dissect");
    const dissector = createDissector();
    const verdicts = new Map<string, number>();
    for (let i = 0; i < FUZZED; i++) {
      const record = records[below(rng, records.length)] ?? expect.fail();
      const other = records[below(rng, records.length)] ?? expect.fail();
      const bytes = mutate(rng, record.bytes, other.bytes);
      const length = below(rng, 4) === 0 ? bytes.length + below(rng, 100) : bytes.length;
      const frame = dissect(dissector, { ...record, bytes, length, capturedLength: bytes.length });
      const verdict = typeof frame.rx === "string" ? frame.rx : frame.rx.v3;
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      if (i % 16 === 0) expect(formatFrame(frame)).toContain(" => ");
    }
    // All three kinds of verdict occur, so the mutations neither spoil everything nor nothing.
    expect([...verdicts.keys()].sort()).toEqual(["accept", "drop", "ignore"]);
    expect(dissector.sessions.streams.size).toBeLessThanOrEqual(MAX_STREAMS);
  });
});
