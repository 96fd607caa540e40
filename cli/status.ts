/** What `hotpair status` prints: the state of a daemon as text. */
import { toSeconds } from "../src/core/time.ts";
import type { HookStatus } from "../src/host/linux/hooks.ts";
import type { TrackedStatus } from "../src/host/linux/tracked.ts";
import type { AnyProtocol, StatusRow } from "../src/node/protocol.ts";
import { table } from "./table.ts";

/** What the verb `state` answers. */
export interface State {
  readonly node: string;
  /** Seconds since the daemon began. */
  readonly t: number;
  readonly rows: readonly (StatusRow & { readonly to?: string })[];
  readonly host: HostState;
}

export interface HostState {
  readonly pid: number;
  readonly started: string;
  readonly file?: string;
  readonly interfaces: readonly {
    readonly interface: string;
    readonly up: boolean;
    readonly received: number;
    readonly dropped?: number;
    readonly sent: number;
    readonly refused: Readonly<Record<string, number>>;
  }[];
  readonly alarm: {
    readonly count: number;
    readonly last: number;
    readonly worst: number;
    readonly mean: number;
    readonly beyond: number;
  };
  readonly drops: Readonly<Record<string, number>>;
}

/** A line of the text, and how it is meant. */
export interface Line {
  readonly text: string;
  readonly style: "head" | "row" | "good" | "bad" | "detail";
}

/** Characters of a line that a program wrote. */
const MAX_WROTE = 120;
const BAD = new Set(["fault", "initialize", "down", "suspended"]);
const GOOD = new Set(["master", "active-full", "operational"]);

export function statusLines(
  { node, rows, host }: State,
  protocols: readonly AnyProtocol[],
  now: Date,
): readonly Line[] {
  const from = host.file === undefined ? "" : `, ${host.file}`;
  const up = words((now.getTime() - new Date(host.started).getTime()) / 1_000);
  const lines: Line[] = [{ text: `${node}: pid ${host.pid}, up ${up}${from}`, style: "head" }];
  for (const { name, status } of protocols) {
    const own = rows.filter(({ to }) => to === name);
    if (status === undefined || own.length === 0) continue;
    const [head = "", ...texts] = table([status.columns, ...own.map((row) => status.cells(row))]);
    lines.push({ text: "", style: "row" }, { text: head, style: "head" });
    for (const [i, row] of own.entries()) {
      lines.push({ text: texts[i] ?? "", style: styleOf(row) });
      for (const detail of status.details(row)) lines.push({ text: `    ${detail}`, style: "detail" });
    }
  }
  const others = rows.filter(({ to }) => to === undefined);
  if (others.length > 0) lines.push({ text: "", style: "row" });
  for (const row of others) lines.push(...besideLines(row));
  lines.push({ text: "", style: "row" }, ...hostLines(host));
  return lines;
}

function styleOf({ state, up }: StatusRow): Line["style"] {
  if (GOOD.has(String(state)) || up === true) return "good";
  return BAD.has(String(state)) || up === false ? "bad" : "row";
}

/** What runs beside the machines: something that is looked at, or a queue of hooks. */
function besideLines(row: StatusRow): readonly Line[] {
  if (row.type === "tracked") return trackedLines(row as unknown as TrackedRow);
  return row.type === "hook" ? hookLines(row as unknown as HookRow) : [];
}

type TrackedRow = TrackedStatus & StatusRow;
type HookRow = HookStatus & StatusRow;

function trackedLines({ kind, name, up, value, why, looks, failures, output, took }: TrackedRow): readonly Line[] {
  const stands = value ?? (up === undefined ? "not known" : up ? "up" : "down");
  const lasted = took === undefined ? "" : `, the last took ${milliseconds(toSeconds(took))}`;
  const text = `${kind} ${name}: ${stands} (${why}), ${looks} looks, ${failures} of them bad${lasted}`;
  return [{ text, style: up === false && value === undefined ? "bad" : "row" }, ...wroteLines(output)];
}

function hookLines({ name, current, waiting, delivered, skipped, givenUp, failures }: HookRow): readonly Line[] {
  const now = current && `, ${current.news.state} is being told (attempt ${current.attempt})`;
  const last = failures.at(-1);
  const counts = `${delivered} told, ${waiting} waiting, ${skipped} overtaken, ${givenUp} given up`;
  const lines: Line[] = [{ text: `hook of ${name}: ${counts}${now ?? ""}`, style: givenUp > 0 ? "bad" : "row" }];
  if (last === undefined) return lines;
  const { at, news, attempt, text, then } = last;
  const told = `${news.type} ${news.name} ${news.state}, attempt ${attempt}`;
  lines.push({ text: `    last failure ${at}: ${told}: ${text}, ${then}`, style: "bad" });
  return [...lines, ...wroteLines(last.output)];
}

/** Of what a program wrote, the end. */
function wroteLines(output: string): readonly Line[] {
  const line = output.trim().split("\n").at(-1) ?? "";
  return line === "" ? [] : [{ text: `    it wrote: ${line.slice(-MAX_WROTE)}`, style: "detail" }];
}

function hostLines({ interfaces, alarm, drops }: HostState): readonly Line[] {
  const lines: Line[] = interfaces.map((one) => {
    const refused = Object.entries(one.refused).map(([reason, count]) => `${reason} ${count}`);
    const text =
      `${one.interface}: ${one.up ? "up" : "down"}, ${one.received} received, ${one.dropped ?? "unknown"} dropped, ${one.sent} sent, ` +
      `${refused.length === 0 ? "none refused" : `refused: ${refused.join(", ")}`}`;
    return { text, style: one.up ? "row" : "bad" };
  });
  const dropped = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`);
  if (dropped.length > 0) lines.push({ text: `frames that went nowhere: ${dropped.join(", ")}`, style: "bad" });
  const late = `${milliseconds(alarm.last)} last, ${milliseconds(alarm.mean)} mean, ${milliseconds(alarm.worst)} worst`;
  const beyond = alarm.beyond === 0 ? "" : `, ${alarm.beyond} by more than the shortest interval`;
  lines.push({ text: `timers late by: ${late} (of ${alarm.count}${beyond})`, style: beyond === "" ? "row" : "bad" });
  return lines;
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1_000).toFixed(2)}ms`;
}

function words(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3_600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days}d${hours}h`;
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m${whole % 60}s` : `${whole}s`;
}
