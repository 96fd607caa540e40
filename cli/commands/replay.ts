/** `hotpair replay FILE`: what happened in a capture or a recording. */
import type { Command } from "commander";
import { protocols } from "../../protocols/index.ts";
import { readCapture } from "../../src/capture/file.ts";
import type { CaptureError } from "../../src/capture/record.ts";
import { type Entry, entryLine, Log } from "../../src/core/log.ts";
import type { Event } from "../../src/core/machine.ts";
import { formatInstant, toSeconds } from "../../src/core/time.ts";
import { Replay } from "../../src/host/replay/replay.ts";
import { type Census, take } from "../census.ts";
import { type Octets, openOctets } from "../octets.ts";
import { breathe, FAILED, INVALID, OK, paint, print, printJson, progress, tell } from "../output.ts";
import type { Finish } from "../program.ts";
import { type Audience, type Difference, rerun } from "../rerun.ts";
import { timelineLine } from "../timeline.ts";

const TIME_WIDTH = 12;
/** What a recording begins with; no capture does. */
const BRACE = "{".charCodeAt(0);

export function register(program: Command, finish: Finish): void {
  program
    .command("replay")
    .summary("what happened in a capture or a recording")
    .description(
      "Of a capture: who was master of which virtual router and why, how long nobody was, which links of LACP\n" +
        "bundles carried, what the switches of an M-LAG pair told each other, and what is odd.\n" +
        "Of a recording (`hotpair sim --record`): runs its lab again and compares, line by line.",
    )
    .argument("<file>", "a capture (pcap, pcapng, also gzip) or a recording; - is stdin")
    .option("--json", "one JSON object a line on stdout")
    .addHelpText("after", "\nExample:\n  $ hotpair replay captures/keepalived-v3-ipv4-election.pcap")
    .action((file: string, options: { json?: boolean }) => finish(() => replay(file, options.json === true)));
}

async function replay(file: string, json: boolean): Promise<number> {
  const octets = await openOctets(file);
  return octets.first === BRACE ? replayRecording(octets, file, json) : replayCapture(octets, json);
}

// --- captures ---

interface Tally {
  events: number;
  /** By type, by the reason of a drop, by the kind of an anomaly. */
  readonly types: Map<string, number>;
  readonly drops: Map<string, number>;
  readonly anomalies: Map<string, number>;
}

async function replayCapture({ name, stream }: Octets, json: boolean): Promise<number> {
  const log = new Log();
  const tally: Tally = { events: 0, types: new Map(), drops: new Map(), anomalies: new Map() };
  const census: Census = new Map();
  let slow: Promise<void> | undefined;
  log.follow({
    everything: false,
    read(entry) {
      const { what } = entry;
      if (what.kind !== "event") return;
      count(tally, what.event);
      const line = json ? eventJson(entry) : eventText(entry);
      if (line !== undefined) slow = print(line) ?? slow;
    },
  });
  const host = new Replay({
    log,
    observe: (port, env) => protocols.flatMap((protocol) => protocol.observe?.(port, env) ?? []),
  });
  const wall = performance.now();
  let failure: CaptureError | undefined;
  for await (const { records, error } of readCapture(stream)) {
    for (const record of records) {
      take(census, record);
      host.feed(record);
      if (slow !== undefined) await slow;
      slow = undefined;
    }
    failure = error;
    await breathe();
    progress(() => `${host.frames} frames`);
  }
  host.end();
  // Said of a part of them only; the number is of all.
  for (const [kind, number] of host.counts) tally.anomalies.set(kind, number);
  const wallSeconds = Math.round(performance.now() - wall) / 1_000;
  const ok = failure === undefined;
  const virtualSeconds = toSeconds(host.now);
  const { frames } = host;
  if (json) {
    const counts = {
      protocols: sorted(census),
      masters: tally.types.get("vrrp.master") ?? 0,
      drops: sorted(tally.drops),
      anomalies: sorted(tally.anomalies),
    };
    const { events } = tally;
    void printJson({ t: virtualSeconds, type: "summary", events, frames, virtualSeconds, wallSeconds, ...counts, ok });
  } else if (ok || frames > 0) {
    void print(`\n${frames} frames in ${virtualSeconds} s${listed(census, ": ")}`);
    const found = [
      many(tally.types.get("vrrp.master") ?? 0, "change", "changes", " of master"),
      many(sum(tally.drops), "broken frame", "broken frames", listed(tally.drops, ": ")),
      many(sum(tally.anomalies), "anomaly", "anomalies", listed(tally.anomalies, ": ")),
    ];
    void print(found.join(", "));
  }
  if (failure === undefined) return OK;
  tell(`${name}: ${failure.message}`);
  return INVALID;
}

function many(number: number, one: string, more: string, rest: string): string {
  return `${number} ${number === 1 ? one : more}${rest}`;
}

function count(tally: Tally, event: Event): void {
  tally.events++;
  const add = (map: Map<string, number>, key: unknown) => map.set(String(key), (map.get(String(key)) ?? 0) + 1);
  add(tally.types, event.type);
  if ("kind" in event) add(tally.anomalies, event.kind);
  else if (event.type.endsWith(".drop") && "reason" in event) add(tally.drops, event.reason);
}

/** A capture is not a node. */
function eventJson(entry: Entry): string {
  const { node: _, ...line } = entryLine(entry);
  return JSON.stringify(line);
}

const STYLES: ReadonlyMap<string, "green" | "red" | "yellow"> = new Map([
  ["vrrp.master", "green"],
  ["vrrp.silent", "red"],
  ["vrrp.duplicate-master", "red"],
  ["anomaly", "yellow"],
]);

function eventText({ at, what }: Entry): string | undefined {
  if (what.kind !== "event") return undefined;
  for (const { describe } of protocols) {
    const text = describe?.(what.event);
    if (text === undefined) continue;
    const style = STYLES.get(what.event.type);
    const time = paint("dim", formatInstant(at).padStart(TIME_WIDTH));
    return `${time}  ${style === undefined ? text : paint(style, text)}`;
  }
  return undefined;
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
}

function listed(counts: ReadonlyMap<string, number>, before: string): string {
  if (counts.size === 0) return "";
  const parts = Object.entries(sorted(counts)).map(([name, number]) => `${name} ${number}`);
  return `${before}${parts.join(", ")}`;
}

function sum(counts: ReadonlyMap<string, number>): number {
  let all = 0;
  for (const number of counts.values()) all += number;
  return all;
}

// --- recordings ---

async function replayRecording(octets: Octets, file: string, json: boolean): Promise<number> {
  const wall = performance.now();
  const { result, difference, header, lines } = await rerun(octets, json ? JSON_AUDIENCE : timeline());
  const wallSeconds = Math.round(performance.now() - wall) / 1_000;
  if (difference !== undefined) tellDifference(difference, octets.name, json);
  const ok = difference === undefined;
  if (json) {
    const { events = 0, frames = 0 } = result ?? {};
    const virtualSeconds = header.end;
    void printJson({ t: header.end, type: "summary", events, frames, lines, virtualSeconds, wallSeconds, ok });
  } else if (ok) {
    void print(`\nas recorded: ${lines} lines of ${header.end} virtual seconds, in ${wallSeconds} s`);
  }
  if (ok) return OK;
  const again = file === "-" ? "" : `; again: hotpair replay ${file}`;
  tell(paint("red", `the run parts from the recording${again}`, process.stderr));
  return FAILED;
}

const JSON_AUDIENCE: Audience = {
  begin: () => undefined,
  agreed: (_entry, line) => void print(line),
};

function timeline(): Audience {
  let width = 5;
  return {
    begin({ seed, end }, lab) {
      width = Math.max(width, ...lab.nodes.map(({ node }) => node.length));
      void print(paint("bold", `${lab.name}: ${lab.nodes.length} nodes, seed ${seed}, ${end} s`));
    },
    agreed(entry) {
      const line = timelineLine(entry, protocols, width);
      if (line !== undefined) void print(line);
    },
  };
}

function tellDifference({ line, recorded, now }: Difference, name: string, json: boolean): void {
  if (json) {
    const value = (text: string | undefined): unknown => (text === undefined ? null : JSON.parse(text));
    void printJson({ type: "difference", line, recorded: value(recorded), now: value(now) });
  }
  tell(`${name}:${line}: the first difference`);
  tell(`  recorded: ${recorded ?? "(nothing more)"}`);
  tell(`  now:      ${now ?? "(nothing more)"}`);
}
