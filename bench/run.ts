/**
 * `npm run bench`: hotpair beside ns-3 over the same topologies, in turn, in one run; medians and ratios as a table.
 * Without ns-3 (Debian: apt-get install ns3 libns3-dev g++) only hotpair's own figures are printed.
 *
 *   --repeats=5   how often each is measured
 *   --only=fwd|vrrp|mlag
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("./", import.meta.url));
/** The built program is in dist/bench; ns-3's is compiled from the checkout's bench/. */
const sources = join(here, "../../bench/ns3");

interface Row {
  readonly what: string;
  readonly hotpair: readonly string[];
  /** None for what ns-3 does not have. */
  readonly ns3: readonly string[];
  /** The field of both that is compared, more is better. */
  readonly field: string;
  /** The ratio to be reached. */
  readonly reach: number;
}

const forwarding = (hosts: number, hops: number, reach: number): Row => ({
  what: `forwarding, ${hosts} hosts, ${hops} switch hops (frame-hops/s)`,
  hotpair: ["forwarding.js", `--hosts=${hosts}`, `--hops=${hops}`, "--frames=1048576"],
  ns3: ["--link=simple", "--stack=raw", `--hosts=${hosts}`, `--hops=${hops}`, "--frames=1048576"],
  field: "frame_hops_per_s",
  reach,
});

const ROWS: readonly Row[] = [
  forwarding(8, 3, 0),
  forwarding(64, 1, 0),
  forwarding(64, 2, 0),
  forwarding(64, 3, 7),
  forwarding(512, 3, 6),
  forwarding(4096, 3, 3),
  {
    what: "1000 VRRP routers in 500 groups, 1 s adverts (virtual s/s)",
    hotpair: ["vrrp.js", "--groups=500", "--per=2", "--vsecs=1800"],
    ns3: ["--mode=vrrp", "--groups=500", "--per=2", "--vsecs=1800"],
    field: "virtual_per_wall",
    reach: 2,
  },
  {
    what: "M-LAG peer joins, 40,000 stations (stations/s)",
    hotpair: ["mlag-join.js", "--macs=40000"],
    ns3: [],
    field: "macs_per_s",
    reach: 0,
  },
];

type Measured = Readonly<Record<string, number>>;

function measure(command: string, words: readonly string[]): Measured {
  return JSON.parse(execFileSync(command, words, { encoding: "utf8" })) as Measured;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [a = 0, b = 0] =
    sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return (a + b) / 2;
}

function short(value: number): string {
  return value >= 1e6
    ? `${(value / 1e6).toFixed(2)} M`
    : value >= 1e4
      ? `${(value / 1e3).toFixed(0)} k`
      : value.toFixed(0);
}

/** The compiled rival, or why there is none. */
function compile(folder: string): string | undefined {
  const binary = join(folder, "ns3bench");
  const built = spawnSync(join(sources, "build.sh"), [binary], { cwd: sources, encoding: "utf8" });
  if (built.status === 0 && existsSync(binary)) return binary;
  console.error("ns-3 is not here (Debian: apt-get install ns3 libns3-dev g++): only hotpair is measured");
  return undefined;
}

function option(name: string, fallback: string): string {
  const text = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return text === undefined ? fallback : text.slice(name.length + 3);
}

function compare(row: Row, binary: string | undefined, repeats: number): void {
  const rival = row.ns3.length === 0 ? undefined : binary;
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let i = 0; i < repeats; i++) {
    ours.push(measure(process.execPath, [join(here, row.hotpair[0] ?? ""), ...row.hotpair.slice(1)]));
    if (rival !== undefined) theirs.push(measure(rival, row.ns3));
  }
  const value = (one: Measured | undefined) => one?.[row.field] ?? Number.NaN;
  const mine = short(median(ours.map(value)));
  const memory = Math.round(median(ours.map((one) => one.peak_kib ?? 0)) / 1024);
  if (rival === undefined) {
    console.log(`| ${row.what} | ${mine} | - | - | - | ${memory} MiB |`);
    return;
  }
  const ratio = median(ours.map((one, i) => value(one) / value(theirs[i])));
  const reach = row.reach === 0 ? "" : `${row.reach} ×`;
  const theirMedian = short(median(theirs.map(value)));
  console.log(`| ${row.what} | ${mine} | ${theirMedian} | **${ratio.toFixed(1)} ×** | ${reach} | ${memory} MiB |`);
}

function kindOf({ what }: Row): string {
  return what.includes("VRRP") ? "vrrp" : what.includes("M-LAG") ? "mlag" : "fwd";
}

const only = option("only", "");
const repeats = Number(option("repeats", "5"));
const folder = mkdtempSync(join(tmpdir(), "hotpair-bench-"));
try {
  const rival = compile(folder);
  console.log("| what | hotpair | ns-3 | ratio | reach | peak memory |\n|---|---|---|---|---|---|");
  for (const row of ROWS) {
    if (only === "" || only === kindOf(row)) compare(row, rival, repeats);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
