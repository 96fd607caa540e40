/** `hotpair run` in a network namespace, followed from its start to its end, and other commands beside it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Json, Link } from "../../../cli/control.ts";

export const HOTPAIR = fileURLToPath(new URL("../../../cli/hotpair.mjs", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `hotpair …` in a namespace, to its end. */
export function hotpair(ns: string, ...words: readonly string[]): Ended {
  const command = ["netns", "exec", ns, process.execPath, HOTPAIR, ...words];
  const { status, stdout, stderr } = spawnSync("ip", command, { encoding: "utf8", timeout: 60_000 });
  return { code: status, stdout, stderr };
}

export type Entry = Json & { readonly type: string };

/** A daemon that is followed from its start. */
export class Running {
  readonly entries: Entry[] = [];
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";
  private link: Link | undefined;
  private readonly waiting = new Set<() => void>();

  private constructor(
    ns: string,
    readonly socket: string,
    file: string,
    path: string,
    more: readonly string[],
  ) {
    const words = [process.execPath, HOTPAIR, "run", file, "--socket", socket, "--json", ...more];
    const command = ["netns", "exec", ns, "env", `PATH=${path}`, ...words];
    const environment = { ...process.env, INVOCATION_ID: undefined, JOURNAL_STREAM: undefined };
    this.child = spawn("ip", command, { stdio: ["ignore", "pipe", "pipe"], env: environment });
    let rest = "";
    this.child.stdout?.on("data", (octets: Buffer) => {
      this.stdout += octets.toString();
      const lines = (rest + octets.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.note(JSON.parse(line) as Entry);
    });
    this.child.stderr?.on("data", (octets: Buffer) => {
      this.stderr += octets.toString();
      this.look();
    });
    this.ended = new Promise((resolve) => {
      this.child.on("close", (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** @param path the daemon's PATH */
  static async start(ns: string, socket: string, file: string, path = process.env["PATH"] ?? ""): Promise<Running> {
    const running = Running.begin(ns, socket, file, path);
    await running.until(({ type }) => type === "vrrp.state");
    await running.answers();
    return running;
  }

  /** One that nobody has waited for yet. */
  static begin(
    ns: string,
    socket: string,
    file: string,
    path = process.env["PATH"] ?? "",
    ...more: readonly string[]
  ): Running {
    const running = new Running(ns, socket, file, path, more);
    started.push(running);
    return running;
  }

  /** As soon as its control socket does. */
  async answers(): Promise<void> {
    while (this.link === undefined && this.child.exitCode === null) {
      this.link = await Link.to(this.socket).catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The first entry from `from` on of which it is so. */
  until(so: (entry: Entry) => boolean, from = 0): Promise<Entry> {
    return new Promise((resolve) => {
      this.when(() => {
        const found = this.entries.slice(from).find(so);
        if (found !== undefined) resolve(found);
        return found !== undefined;
      });
    });
  }

  untilSaid(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.when(() => {
        if (!this.stderr.includes(text)) return false;
        resolve();
        return true;
      });
    });
  }

  state(vrid: number, to: string, from = 0): Promise<Entry> {
    return this.until((entry) => entry.type === "vrrp.state" && entry["vrid"] === vrid && entry["to"] === to, from);
  }

  ask(verb: string, fields: Json = {}): Promise<Json> {
    if (this.link === undefined) throw new Error("not started");
    return this.link.ask(verb, fields);
  }

  async row(name: string): Promise<Json> {
    const { rows } = (await this.ask("state")) as unknown as { rows: readonly Json[] };
    const row = rows.find((one) => one["name"] === name);
    if (row === undefined) throw new Error(`no router ${name}`);
    return row;
  }

  private when(look: () => boolean): void {
    const again = () => {
      if (look()) this.waiting.delete(again);
    };
    this.waiting.add(again);
    again();
  }

  private note(entry: Entry): void {
    this.entries.push(entry);
    this.look();
  }

  private look(): void {
    for (const look of [...this.waiting]) look();
  }
}

const started: Running[] = [];

/** Ends those that still run, and resolves when all have ended. */
export async function endAll(): Promise<void> {
  for (const { child, ended } of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await ended;
  }
}
