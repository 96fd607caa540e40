/** What a wire shows: who was master when, what a client lost, and whether others can read every frame. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { macFrom } from "../../../src/core/addr.ts";
import type { Probe } from "./prober.ts";
import type { Station, Wire } from "./wire.ts";

/** A station's claim to be master: from its first advert to its last, or to its advert of priority 0. */
export interface Claim {
  readonly by: Station;
  readonly from: number;
  to: number;
  released: boolean;
}

/** Claims in their order. @param silence microseconds without an advert after which a further one is a new claim */
export function claims(wire: Wire, silence: number): readonly Claim[] {
  const made: Claim[] = [];
  const open = new Map<Station, Claim>();
  for (const { from: by, at, facts } of wire.adverts()) {
    const last = open.get(by);
    if (facts.priority === 0) {
      if (last !== undefined) Object.assign(last, { to: at, released: true });
      open.delete(by);
    } else if (last === undefined || at - last.to > silence) {
      const claim = { by, from: at, to: at, released: false };
      open.set(by, claim);
      made.push(claim);
    } else {
      last.to = at;
    }
  }
  return made;
}

/** The longest time, in microseconds, in which two stations claimed to be master. */
export function longestDispute(all: readonly Claim[]): number {
  let longest = 0;
  for (const [i, one] of all.entries()) {
    for (const other of all.slice(i + 1)) {
      if (other.by !== one.by) longest = Math.max(longest, Math.min(one.to, other.to) - Math.max(one.from, other.from));
    }
  }
  return longest;
}

export interface Loss {
  readonly sent: number;
  readonly lost: number;
  /** Microseconds from the first probe without an answer to the next with one. */
  readonly longest: number;
  /** When the first of the lost ones was sent: microseconds since 1970; 0 for none. */
  readonly first: number;
}

/** Later than this it is no answer, in microseconds; generous, for machines that have more to do. */
const PATIENCE = 150_000;

/** What the client has lost of the probes that it sent since; the last ones may be answered yet, and are left out. */
export function lossOf(wire: Wire, sent: readonly Probe[], since = 0): Loss {
  const before = (wire.frames.at(-1)?.at ?? 0) - PATIENCE;
  const answers = new Map<number, number>();
  for (const { at, facts } of wire.of("echo-reply")) {
    if (!answers.has(facts.sequence)) answers.set(facts.sequence, at);
  }
  const asked = sent.filter(({ at }) => at >= since && at < before);
  let lost = 0;
  let longest = 0;
  let first = 0;
  let from: number | undefined;
  for (const { sequence, at } of asked) {
    const answered = answers.get(sequence);
    const fine = answered !== undefined && answered - at < PATIENCE;
    if (!fine) {
      lost++;
      if (first === 0) first = at;
      from ??= at;
    }
    if (from !== undefined) longest = Math.max(longest, at - from);
    if (fine) from = undefined;
  }
  return { sent: asked.length, lost, longest, first };
}

/** Who has answered the client since, and which MAC addresses it has asked: those that it has learned. */
export function answerers(
  wire: Wire,
  since = 0,
): { readonly by: readonly Station[]; readonly macs: readonly string[] } {
  const answers = wire.of("echo-reply").filter(({ at }) => at >= since);
  const asked = wire.of("echo-request", "client").filter(({ at }) => at >= since);
  return {
    by: [...new Set(answers.map(({ from }) => from))],
    macs: [...new Set(asked.map(({ bytes }) => macFrom(bytes, 0)))],
  };
}

/** RFC 9568 §6.1, or RFC 3768 §6.1: microseconds. */
export function skewTime(version: 2 | 3, priority: number, interval: number): number {
  return ((256 - priority) * (version === 3 ? interval : 1_000_000)) / 256;
}

export function downInterval(version: 2 | 3, priority: number, interval: number): number {
  return 3 * interval + skewTime(version, priority, interval);
}

/** Lines of tshark for frames of a station that it cannot read, or finds an error in. */
export function unreadable(wire: Wire, from: Station): readonly string[] {
  return unreadableIn(wire.pcapng(from));
}

/** The same of a capture file. */
export function unreadableIn(pcapng: Uint8Array): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), "hp-it-"));
  const path = join(directory, "sent.pcapng");
  try {
    writeFileSync(path, pcapng);
    // tshark 4.0 knows RFC 5798's checksum only, and calls RFC 9568's bad; decodeAdvert has looked at those.
    const bad = "_ws.malformed || (_ws.expert.severity == error && !vrrp) || ip.checksum.status == 0";
    const checks = ["-o", "ip.check_checksum:TRUE"];
    const { stdout, stderr, status } = spawnSync("tshark", ["-r", path, "-n", ...checks, "-Y", bad], {
      encoding: "utf8",
    });
    if (status !== 0) return [`tshark: ${stderr}`];
    return stdout.split("\n").filter((line) => line !== "");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
