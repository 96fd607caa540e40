/** What a lab writes with `--pcap` is what others read: tshark, which shares no code with us, finds nothing wrong in it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { captureLinks } from "../../cli/pcap.ts";
import { createDissector, dissect } from "../../protocols/dissect/dissect.ts";
import { decodeIccp, messageSize } from "../../protocols/iccp/codec.ts";
import { protocols } from "../../protocols/index.ts";
import { CaptureSink } from "../../src/capture/sink.ts";
import { instant } from "../../src/core/time.ts";
import { LabRun } from "../../src/host/sim/lab-run.ts";
import { compileLab } from "../../src/host/sim/topology.ts";
import { readAll } from "../capture/build.ts";
import { itWith, run } from "../capture/tools.ts";

const FOLDER = fileURLToPath(new URL("../../topologies/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "hotpair-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Packets a second of every flow: the labs' own rates make the same frames, only more of them. */
const RATE = 5;

/** By then every lab here has had its first failures; the rest is more of the same. */
const END = instant(30_000_000);

const captures = new Map<string, string>();

/** The capture of a lab's first half minute: a file, which is made once. */
function capture(name: string): string {
  const known = captures.get(name);
  if (known !== undefined) return known;
  const pcapng = join(scratch, `${name}.pcapng`);
  record(name, pcapng);
  captures.set(name, pcapng);
  return pcapng;
}

function record(name: string, pcapng: string): void {
  const compiled = compileLab(readFileSync(`${FOLDER}${name}.yaml`, "utf8"), name, protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const { lab } = compiled;
  const traffic = lab.traffic.map((flow) => ({ ...flow, rate: RATE }));
  const end = instant(Math.min(lab.end, END));
  const one = new LabRun({ ...lab, traffic }, protocols, { end });
  const sink = new CaptureSink(pcapng, "a test");
  one.log.follow(captureLinks(one.world, sink));
  one.start();
  one.run();
  expect(sink.close()).toBeUndefined();
}

it("M78: the same lab and seed give the same capture, octet for octet", () => {
  const again = join(scratch, "again.pcapng");
  record("mlag-pair", again);
  const [first, second] = [readFileSync(capture("mlag-pair")), readFileSync(again)];
  expect(first.length).toBeGreaterThan(100_000);
  expect(first.equals(second)).toBe(true);
});

/** Every checksum is looked at; RFC 9568 §5.2.8: that of version 3 over IPv4 covers no pseudo-header. */
const STRICT = [
  "ip.check_checksum:TRUE",
  "tcp.check_checksum:TRUE",
  "udp.check_checksum:TRUE",
  "vrrp.v3_checksum_as_in_v2:TRUE",
  "tcp.analyze_sequence_numbers:TRUE",
].flatMap((preference) => ["-o", preference]);

type Row = Readonly<Record<string, string>>;

async function fields(file: string, filter: string, ...names: readonly string[]): Promise<readonly Row[]> {
  const wanted = names.flatMap((name) => ["-e", name]);
  const args = ["-n", "-r", file, ...STRICT, "-Y", filter, "-T", "fields", "-E", "separator=/t", ...wanted];
  const lines = (await run("tshark", args)).split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const values = line.split("\t");
    return Object.fromEntries(names.map((name, i) => [name, values[i] ?? ""]));
  });
}

/** Ours, by the last layer that tshark found and, for ICMPv6 and TCP, what kind of it. */
function protocolOf(row: Row): string {
  const layers = (row["frame.protocols"] ?? "").split(":");
  const has = (layer: string) => layers.includes(layer);
  const kind = Number(row["icmpv6.type"]);
  if (has("lacp")) return "LACP";
  if (has("marker")) return "MARKER";
  if (has("arp")) return "ARP";
  if (has("vrrp")) return "VRRP";
  if (has("icmpv6")) return kind >= 133 && kind <= 137 ? "ND" : "ICMPv6";
  if (has("icmp")) return "ICMP";
  if (has("tcp")) return Number(row["tcp.len"]) > 0 ? "ICCP" : "TCP";
  return has("udp") ? "UDP" : (layers.at(-1) ?? "");
}

const CHECKSUMS = ["ip", "udp", "tcp", "icmp", "icmpv6", "vrrp"].map((layer) => `${layer}.checksum.status`);
const GOOD = "1";
/** tshark's severities are numbers: note 4194304, warning 6291456, error 8388608. */
const WARNING = 6_291_456;

/** The labs, and what must be in their captures for the test to say anything. */
const LABS: readonly (readonly [string, readonly string[]])[] = [
  ["mlag-pair", ["LACP", "MARKER", "ARP", "ND", "VRRP", "ICCP", "TCP", "ICMP", "UDP"]],
  ["mlag-datacenter", ["LACP", "MARKER", "ARP", "ND", "VRRP", "ICCP", "TCP", "ICMP", "UDP"]],
  ["vlan-gateways", ["ARP", "VRRP", "UDP"]],
  ["dual-stack", ["ARP", "ND", "VRRP"]],
  ["lacp-pair", ["LACP", "MARKER", "ARP", "UDP"]],
];

describe.each(LABS)("%s, exported", (name, expected) => {
  itWith("tshark", "has no malformed frame, no complaint of an expert, and every checksum is right", async () => {
    const pcapng = capture(name);
    const suspicious = `_ws.malformed || _ws.expert.severity >= ${WARNING} || (tcp.analysis.flags && !tcp.analysis.reused_ports)`;
    expect(await fields(pcapng, suspicious, "frame.number", "frame.protocols", "_ws.expert.message")).toEqual([]);
    const checked = new Set<string>();
    for (const row of await fields(pcapng, "ip || ipv6", "frame.number", ...CHECKSUMS)) {
      for (const status of CHECKSUMS) {
        // In what an ICMP message quotes there is a second one.
        for (const value of (row[status] ?? "").split(",").filter((one) => one !== "")) {
          expect([status, row["frame.number"], value]).toEqual([status, row["frame.number"], GOOD]);
          checked.add(status);
        }
      }
    }
    expect(checked).toContain("ip.checksum.status");
    if (expected.includes("ICCP")) expect(checked).toContain("tcp.checksum.status");
    if (expected.includes("ND")) expect(checked).toContain("icmpv6.checksum.status");
    if (expected.includes("VRRP")) expect(checked).toContain("vrrp.checksum.status");
  });

  itWith("tshark", "is to tshark, frame by frame, what it is to `decode`", async () => {
    const pcapng = capture(name);
    const names = ["frame.number", "frame.protocols", "eth.type", "icmpv6.type", "tcp.len"];
    const theirs = await fields(pcapng, "frame", ...names);
    const dissector = createDissector();
    const ours = readAll(readFileSync(pcapng)).records.map((record) => dissect(dissector, record));
    expect(ours.length).toBe(theirs.length);
    const differ = ours.flatMap(({ n, proto }, i) => {
      const row = theirs[i] as Row;
      return proto === protocolOf(row) ? [] : [`${n}: ${proto}, to tshark ${row["frame.protocols"]}`];
    });
    expect(differ).toEqual([]);
    const seen = new Set(ours.map(({ proto }) => proto));
    for (const proto of expected) expect(seen).toContain(proto);
    const slow = theirs.filter((row) => row["eth.type"] === "0x8809").map(protocolOf);
    expect(slow.filter((proto) => proto !== "LACP" && proto !== "MARKER")).toEqual([]);
    // ARP has no verdict of its own, and nobody drops what a machine of ours has sent.
    expect(ours.filter(({ rx }) => rx === "drop").map(({ n, proto, reason }) => [n, proto, reason])).toEqual([]);
  });
});

/** By the address of an end: the octets that it has sent, in hex, one connection after the other. */
type Directions = ReadonlyMap<string, string>;

describe.each(["mlag-pair", "mlag-datacenter"])("the session of %s, exported", (name) => {
  itWith("tshark", "reassembles to the messages that `decode` shows, without a remainder", async () => {
    const pcapng = capture(name);
    const rows = await fields(pcapng, "tcp", "tcp.stream", "tcp.port", "vlan.id", "ipv6.src");
    expect(new Set(rows.map((row) => row["vlan.id"]))).toEqual(new Set(["4094"]));
    for (const row of rows) {
      expect(row["tcp.port"]?.split(",")).toContain("8888");
      expect(row["ipv6.src"]).toMatch(/^fe80::/);
    }
    const theirs = new Map<string, string>();
    for (const stream of new Set(rows.map((row) => row["tcp.stream"] ?? ""))) {
      for (const [source, hex] of await follow(pcapng, stream)) theirs.set(source, (theirs.get(source) ?? "") + hex);
    }
    expect([...theirs.values()].every((hex) => hex.length > 1_000)).toBe(true);
    for (const hex of theirs.values()) cutMessages(Buffer.from(hex, "hex"));
    expect(theirs).toEqual(ourDirections(pcapng));
  });
});

/** What each end has sent in ICCP messages, one connection after the other, as `decode` puts it together. */
function ourDirections(pcapng: string): Directions {
  const dissector = createDissector();
  const ours = new Map<string, string>();
  for (const record of readAll(readFileSync(pcapng)).records) {
    const { ip, iccp_messages = [] } = dissect(dissector, record);
    for (const { hex } of iccp_messages) ours.set(ip?.src ?? "", (ours.get(ip?.src ?? "") ?? "") + hex);
  }
  return ours;
}

/** A stream is messages that our codec reads, one after the other, and nothing else. */
function cutMessages(octets: Uint8Array): void {
  let at = 0;
  while (at < octets.length) {
    const size = messageSize(octets, at) ?? 0;
    expect(size).toBeGreaterThan(0);
    expect(decodeIccp(octets.subarray(at, at + size)).ok).toBe(true);
    at += size;
  }
  expect(at).toBe(octets.length);
}

/** Both directions of a connection as tshark puts them together, by the address of the sender. */
async function follow(file: string, stream: string): Promise<Directions> {
  const text = await run("tshark", ["-n", "-r", file, "-q", "-z", `follow,tcp,raw,${stream}`]);
  const nodes = [...text.matchAll(/^Node [01]: \[?([0-9a-f:]+?)\]?:\d+$/gm)].map(([, address]) => address ?? "");
  const lines = text.split("\n").filter((line) => /^\t?[0-9a-f]+$/.test(line));
  const [first = "", second = ""] = nodes;
  // The second end's lines are indented.
  const sent = (indented: boolean) =>
    lines
      .filter((line) => line.startsWith("\t") === indented)
      .join("")
      .replaceAll("\t", "");
  return new Map([
    [first, sent(false)],
    [second, sent(true)],
  ]);
}
