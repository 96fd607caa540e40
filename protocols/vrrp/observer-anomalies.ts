/** What is odd about valid adverts: said once for each pair of speakers and values, so that a steady oddity is one line. */
import type { Ip } from "../../src/core/addr.ts";
import { formatDuration, since } from "../../src/core/time.ts";
import { type Advert, type ChecksumForm, OWNER } from "./codec.ts";
import { named } from "./observer-election.ts";
import type { AnomalyKind } from "./observer-events.ts";
import {
  electionOf,
  isAlive,
  lateAfter,
  MAX_SAID,
  type Speaker,
  say,
  type Turn,
  type Watched,
} from "./observer-state.ts";

/** Virtual addresses that a line names. */
const NAMED = 4;

interface Oddity {
  readonly kind: AnomalyKind;
  /** Between what; the order does not matter. */
  readonly between: readonly string[];
  readonly frame: number;
  readonly detail: string;
}

function mention(turn: Turn, watched: Watched, { kind, between, frame, detail }: Oddity): void {
  const { said } = watched;
  const key = `${kind} ${[...between].sort().join(", ")}`;
  if (said.has(key)) return;
  if (said.size >= MAX_SAID) said.clear();
  said.add(key);
  say(turn, { type: "anomaly", kind, ...named(turn, watched), frame, detail });
}

/** What the speaker says otherwise than before, within one run of adverts. Every change is said. */
export function mentionChanges(turn: Turn, watched: Watched, speaker: Speaker, advert: Advert, frame: number): void {
  const { address } = speaker;
  const tell = (kind: AnomalyKind, detail: string) =>
    say(turn, { type: "anomaly", kind, ...named(turn, watched), frame, detail });
  if (speaker.priority !== advert.priority) {
    tell("priority-change", `${address}: priority ${speaker.priority}, now ${advert.priority}`);
  }
  if (speaker.interval !== advert.interval) {
    const detail = `${address}: interval ${formatDuration(speaker.interval)}, now ${formatDuration(advert.interval)}`;
    tell("interval-change", detail);
  }
}

/** What the speaker says otherwise than the others for this virtual router. */
export function mentionDisagreement(turn: Turn, watched: Watched, speaker: Speaker, frame: number): void {
  const { speakers } = watched;
  if (speakers.length < 2) return;
  for (const other of speakers) {
    if (other === speaker) continue;
    if (other.version !== speaker.version) mentionVersions(turn, watched, speaker, other, frame);
    else for (const oddity of disagreements(watched, speaker, other, frame)) mention(turn, watched, oddity);
  }
}

/** RFC 9568 §8.4: a router that moves from one version to the other sends both. */
function mentionVersions(turn: Turn, watched: Watched, speaker: Speaker, other: Speaker, frame: number): void {
  if (!isAlive(other, turn.now)) return;
  const one = `${speaker.address} speaks version ${speaker.version}`;
  const two = `${other.address} version ${other.version}`;
  const both = `${speaker.address} speaks versions 2 and 3`;
  const detail = other.address === speaker.address ? both : `${one}, ${two}`;
  const between = [`${speaker.address} ${speaker.version}`, `${other.address} ${other.version}`];
  mention(turn, watched, { kind: "version", between, frame, detail });
}

function* disagreements(watched: Watched, speaker: Speaker, other: Speaker, frame: number): Generator<Oddity> {
  const { address, interval, addresses, priority, forms } = speaker;
  if (other.addresses !== addresses) {
    const between = [`${address} ${addresses}`, `${other.address} ${other.addresses}`];
    const detail = `${address} advertises ${listed(addresses)}; ${other.address} ${listed(other.addresses)}`;
    yield { kind: "address-list", between, frame, detail };
  }
  if (other.interval !== interval) {
    const between = [`${address} ${interval}`, `${other.address} ${other.interval}`];
    const detail = `${address} advertises every ${formatDuration(interval)}, ${other.address} every ${formatDuration(other.interval)}`;
    yield { kind: "interval", between, frame, detail };
  }
  if (priority === OWNER && other.priority === OWNER && !other.released) {
    const detail = `${address} and ${other.address} both claim to own the addresses (priority 255)`;
    yield { kind: "owner-conflict", between: [address, other.address], frame, detail };
  }
  if (watched.family === "ipv4" && speaker.version === 3 && !forms.some((form) => other.forms.includes(form))) {
    const detail = `the checksum of ${address} covers ${covers(forms)}, that of ${other.address} ${covers(other.forms)}`;
    yield { kind: "checksum", between: [`${address} ${forms}`, `${other.address} ${other.forms}`], frame, detail };
  }
}

function listed(addresses: string): string {
  const all = addresses.split(" ");
  const more = all.length > NAMED ? ` and ${all.length - NAMED} more` : "";
  return `${all.slice(0, NAMED).join(" ")}${more}`;
}

function covers(forms: readonly ChecksumForm[]): string {
  return forms.includes("message") ? "the message alone (RFC 9568 §5.2.8)" : "the pseudo-header too";
}

/** Said once for each destination. */
export function mentionUnicast(turn: Turn, watched: Watched, speaker: Speaker, to: Ip, frame: number): void {
  const detail = `${speaker.address} sends to ${to} instead of the group`;
  mention(turn, watched, { kind: "unicast", between: [`${speaker.address} > ${to}`], frame, detail });
}

/** One address, two senders: somebody pretends, or two hosts have one address. */
export function mentionMac(
  turn: Turn,
  watched: Watched,
  speaker: Speaker,
  macs: readonly string[],
  frame: number,
): void {
  const [from = "", to = ""] = macs;
  const detail = `${speaker.address} sent from ${from}, now from ${to}`;
  mention(turn, watched, { kind: "source-mac", between: [speaker.address, from, to], frame, detail });
}

/** The master's advert came after more than one and a half intervals. Said for the 1st, 2nd, 4th, 8th, … of a speaker. */
export function mentionLate(turn: Turn, watched: Watched, speaker: Speaker, frame: number): void {
  const election = electionOf(watched, speaker.version);
  const gap = since(speaker.heard, turn.now);
  if (election.master !== speaker || election.vacant !== undefined || gap <= lateAfter(speaker)) return;
  speaker.late++;
  if ((speaker.late & (speaker.late - 1)) !== 0) return;
  const { address, interval, late } = speaker;
  const missing = Math.max(1, Math.round(gap / interval) - 1);
  const often = late > 1 ? ` (number ${late} of such)` : "";
  const detail = `${address}: ${formatDuration(gap)} since its last advert at an interval of ${formatDuration(interval)}: about ${missing} missing${often}`;
  say(turn, { type: "anomaly", kind: "late", ...named(turn, watched), frame, detail });
}
