/** What the far end of a bundle is likely to be, and what follows from what it says. It decides nothing: it is for people. */
import { formatDuration } from "../../src/core/time.ts";
import { type LacpInfo, STATE } from "./codec.ts";
import { type Bundle, has, type LacpPort, LONG_TIMEOUT, SHORT_TIMEOUT } from "./state.ts";

type Kind = "Open vSwitch" | "Linux bonding" | "teamd" | "Cisco vPC" | "a switch with the standard's defaults";

/** System and port priorities as they come where nobody sets them. */
export function kindOf({ systemPriority, portPriority, key }: LacpInfo): Kind | undefined {
  // Of a bond of several links, and of one link.
  if (portPriority === 65_535) return systemPriority >= 65_534 ? "Open vSwitch" : undefined;
  if (systemPriority === 65_535 && portPriority === 255) {
    // Bonding has speed and duplex in its key, and no bundle of half-duplex links.
    if (key === 0) return "teamd";
    return (key & 1) === 1 ? "Linux bonding" : undefined;
  }
  if (systemPriority === 32_667) return "Cisco vPC";
  return systemPriority === 32_768 && portPriority === 32_768 ? "a switch with the standard's defaults" : undefined;
}

/** Behaviour that no bit says: measured, and read in their sources. */
const HABITS: Partial<Record<Kind, readonly string[]>> = {
  "Open vSwitch": [
    "sends as soon as this end says SYNC, whether it collects yet or not: frames may be lost as a link joins",
    "sends more than three LACPDUs a second while it negotiates",
  ],
  "Linux bonding": [
    "looks at its links each 100 ms: it takes up to 0.2 s to leave a link that is drained",
    "speaks no LACP on a link whose duplex it does not know (veth, tap and virtio need a speed)",
  ],
  teamd: ["keeps no rule about how many LACPDUs it sends a second"],
};
const IGNORES_MARKERS: ReadonlySet<Kind | undefined> = new Set(["Open vSwitch", "teamd"]);

/** The link whose partner is the bundle's. */
export function partnerPort({ members }: Bundle): LacpPort | undefined {
  return members.find(({ selected, fallback }) => selected !== "unselected" && !fallback);
}

/** In words, what an operator should know of this partner. */
export function quirksOf(bundle: Bundle, partner: LacpInfo): readonly string[] {
  const kind = kindOf(partner);
  return [...markerWords(bundle, kind), ...stateWords(bundle, partner), ...((kind && HABITS[kind]) ?? [])];
}

function markerWords({ members, config }: Bundle, kind: Kind | undefined): readonly string[] {
  const count = (what: "markers" | "answered") => members.reduce((sum, { counters }) => sum + counters[what], 0);
  const [sent, answered] = [count("markers"), count("answered")];
  if (answered > 0) return [];
  if (sent === 0 && !IGNORES_MARKERS.has(kind)) return [];
  const how = sent === 0 ? "" : ` (${sent} sent, none answered)`;
  return [
    `does not answer markers${how}: flows that move to another link wait ${formatDuration(config.flush)} each time`,
  ];
}

function stateWords(bundle: Bundle, { state }: LacpInfo): readonly string[] {
  const words: string[] = [];
  const long = formatDuration(LONG_TIMEOUT);
  // IEEE 802.1AX §6.4.12: each end's timer runs as long as that end has asked for.
  if (!has(state, STATE.shortTimeout)) {
    words.push(`asks for slow LACPDUs: should this host fall silent with carrier, it sends into the link for ${long}`);
  }
  if (!bundle.fast) {
    const fast = formatDuration(SHORT_TIMEOUT);
    words.push(`is asked for slow LACPDUs (rate: slow): if it falls silent it is believed for ${long}; fast: ${fast}`);
  }
  if (!has(state, STATE.activity)) words.push("is passive: it speaks as long as this end does");
  if (!has(state, STATE.aggregation)) words.push("does not aggregate: one link of it carries at a time");
  const early = STATE.collecting | STATE.distributing;
  if ((state & early) === early && !has(state, STATE.synchronization)) {
    words.push("says COLLECTING and DISTRIBUTING without SYNC: SYNC is what counts here");
  }
  return words;
}
