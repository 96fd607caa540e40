/** `hotpair run` in a namespace, followed by its log and asked by its socket: the thing under test. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { type Json, Link } from "../../../cli/control.ts";
import type { RouterStatus } from "../../../protocols/vrrp/status.ts";
import type { StatusRow } from "../../../src/node/protocol.ts";
import { end, onLeaving, until } from "./namespaces.ts";

const HOTPAIR = fileURLToPath(new URL("hotpair.mjs", import.meta.url));

/** Name of its node. */
export const NODE = "dut";

export interface NodeFile {
  readonly node: string;
  readonly [key: string]: unknown;
}

export type Line = Json & { readonly type: string };

export class Daemon {
  /** Of the log on stdout, where it is JSON. */
  readonly lines: Line[] = [];
  stdout = "";
  stderr = "";
  code: number | null = null;
  private over = false;
  private link: Link | undefined;
  private readonly child: ChildProcess;
  private readonly directory = mkdtempSync(join(tmpdir(), "hp-it-"));
  private readonly called: () => void;

  private constructor(
    namespace: string,
    node: NodeFile,
    private readonly json: boolean,
  ) {
    const file = this.path("node.yaml");
    writeFileSync(file, stringify(node));
    const words = ["run", file, "--wait", "--socket", this.path("socket"), ...(json ? ["--json"] : [])];
    this.child = spawn("ip", ["netns", "exec", namespace, process.execPath, HOTPAIR, ...words], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", INVOCATION_ID: undefined, JOURNAL_STREAM: undefined },
    });
    this.called = onLeaving(() => this.kill());
    let rest = "";
    this.child.stdout?.setEncoding("utf8").on("data", (part: string) => {
      this.stdout += part;
      const lines = (rest + part).split("\n");
      rest = lines.pop() ?? "";
      if (json) for (const line of lines) this.lines.push(JSON.parse(line) as Line);
    });
    this.child.stderr?.setEncoding("utf8").on("data", (part: string) => {
      this.stderr += part;
    });
    this.child.once("exit", (code) => {
      this.code = code;
      this.over = true;
    });
  }

  /** Resolves when it can be asked. */
  static start(namespace: string, routers: readonly unknown[], json = true): Promise<Daemon> {
    return Daemon.run(namespace, { vrrp: routers }, json);
  }

  /** The same with any keys in its file. */
  static run(namespace: string, config: Json, json = true): Promise<Daemon> {
    return Daemon.be({ node: NODE, ...config }, namespace, json);
  }

  /** The same for a whole file. */
  static async be(node: NodeFile, namespace: string, json = true): Promise<Daemon> {
    const daemon = new Daemon(namespace, node, json);
    let tried = false;
    await until("the daemon can be asked", () => {
      if (!tried) {
        tried = true;
        Link.to(daemon.path("socket")).then(
          (link) => {
            daemon.link = link;
          },
          () => {
            tried = false;
          },
        );
      }
      if (daemon.over) throw new Error(`it ended with ${daemon.code}: ${daemon.stderr}`);
      return daemon.link !== undefined;
    });
    return daemon;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  private path(name: string): string {
    return join(this.directory, name);
  }

  private async ask(): Promise<{ readonly rows: readonly RouterStatus[]; readonly host: Json }> {
    return (await this.answer("state")) as never;
  }

  /** What it answers on its socket. */
  answer(verb: string, fields: Json = {}): Promise<Json> {
    const { link } = this;
    if (link === undefined) throw new Error("not started");
    return link.ask(verb, fields);
  }

  /** Everything that it says of its machines. */
  async rows(): Promise<readonly StatusRow[]> {
    return (await this.ask()).rows;
  }

  /** By name. */
  async routers(): Promise<Readonly<Record<string, RouterStatus>>> {
    const { rows } = await this.ask();
    return Object.fromEntries(rows.map((row) => [row.name, row]));
  }

  async host(): Promise<Json> {
    return (await this.ask()).host;
  }

  /** Waits until it is so of the routers. */
  is(what: string, so: (routers: Readonly<Record<string, RouterStatus>>) => boolean): Promise<void> {
    return this.comes(
      what,
      () => this.routers(),
      (routers) => so(routers) && this.logged(routers),
    );
  }

  /** Waits until it is so of what `status` shows. */
  shows(what: string, so: (rows: readonly StatusRow[]) => boolean): Promise<void> {
    return this.comes(what, () => this.rows(), so);
  }

  private async comes<T>(what: string, ask: () => Promise<T>, so: (answer: T) => boolean): Promise<void> {
    let found = false;
    let asking = false;
    await until(what, () => {
      if (!asking) {
        asking = true;
        ask().then(
          (answer) => {
            found = so(answer);
            asking = false;
          },
          () => {
            // It has ended: then it will not be so any more.
          },
        );
      }
      return found;
    });
  }

  /** The log is read as another stream than answers are: it may be behind them. */
  private logged(routers: Readonly<Record<string, RouterStatus>>): boolean {
    if (!this.json) return true;
    return Object.values(routers).every(({ vrid, family, state }) => {
      const last = this.lines.findLast(({ type, ...line }) => {
        return type === "vrrp.state" && line["vrid"] === vrid && line["family"] === family;
      });
      return (last?.["to"] ?? "initialize") === state;
    });
  }

  /** Waits until all of them are in this state. */
  all(state: string): Promise<void> {
    return this.is(`all are ${state}`, (routers) => Object.values(routers).every((one) => one.state === state));
  }

  /** Changes of state of a router, "master: master-timeout", since the so-many-th line. */
  changes(vrid: number, since = 0): readonly string[] {
    const changes = this.lines.slice(since).filter((line) => line.type === "vrrp.state" && line["vrid"] === vrid);
    return changes.map((line) => `${line["to"]}: ${line["reason"]}`);
  }

  /** Another content of its file. */
  rewrite(text: string): void {
    writeFileSync(this.path("node.yaml"), text);
  }

  async says(pattern: RegExp): Promise<void> {
    await until(`it says ${pattern}`, () => pattern.test(this.stderr));
  }

  /** SIGTERM. @returns when it is gone, with its guardian's work done */
  async stop(): Promise<void> {
    end(this.pid, "SIGTERM");
    await until("the daemon ends", () => this.over);
  }

  async close(): Promise<void> {
    this.link?.close();
    if (!this.over) this.kill();
    await until("the daemon is gone", () => this.over);
    rmSync(this.directory, { recursive: true, force: true });
    this.called();
  }

  private kill(): void {
    if (this.pid !== 0) end(-this.pid, "SIGKILL");
  }
}
