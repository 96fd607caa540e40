/**
 * Open vSwitch in a namespace, with a run directory of its own: a partner whose LACP is not ours. Its service is not used,
 * and its data plane is its own too (datapath_type=netdev), so that it needs no module of the kernel.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { end, onLeaving, until } from "./namespaces.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const run = promisify(execFile);

export interface BondPlan {
  /** Interfaces of the namespace: two at least. */
  readonly ports: readonly string[];
  readonly lacp: "active" | "passive" | "off";
  /** With LACP; without it, one port at a time carries. */
  readonly mode?: "balance-tcp" | "balance-slb" | "active-backup";
  readonly rate?: "fast" | "slow";
  readonly system?: string;
}

/** One end of a link, as `lacp/show` has it. */
export interface ShownEnd {
  readonly system: string;
  readonly systemPriority: number;
  readonly port: number;
  readonly portPriority: number;
  readonly key: number;
  /** "activity", "timeout", "aggregation", "synchronized", "collecting", "distributing", "defaulted", "expired". */
  readonly state: readonly string[];
}

export interface ShownMember {
  readonly name: string;
  readonly receive: "current" | "expired" | "defaulted";
  readonly attached: boolean;
  /** Whether it carries frames. */
  readonly mayEnable: boolean;
  readonly actor: ShownEnd;
  readonly partner: ShownEnd;
}

export interface ShownLacp {
  readonly active: boolean;
  readonly negotiated: boolean;
  readonly system: string;
  readonly rate: string;
  readonly members: readonly ShownMember[];
}

export interface ShownBond {
  readonly mode: string;
  /** "negotiated", "configured", "off". */
  readonly lacp: string;
  readonly members: readonly { readonly name: string; readonly enabled: boolean }[];
}

export class Ovs {
  output = "";
  private readonly directory = mkdtempSync(join(tmpdir(), "hp-it-ovs-"));
  private readonly children: { readonly process: ChildProcess; over: boolean }[] = [];
  private readonly called: () => void;

  private constructor(private readonly namespace: string) {
    this.called = onLeaving(() => this.leave());
  }

  /** Resolves when it takes orders. */
  static async start(namespace: string): Promise<Ovs> {
    const ovs = new Ovs(namespace);
    try {
      const data = ovs.path("conf.db");
      await run("ovsdb-tool", ["create", data, SCHEMA]);
      ovs.spawn("ovsdb-server", [data, `--remote=p${ovs.database}`, ovs.control("ovsdb")], "ovsdb");
      await until("ovsdb-server listens", () => existsSync(ovs.path("db.sock")));
      await ovs.vsctl("--no-wait", "init");
      ovs.spawn("ovs-vswitchd", [ovs.database, ovs.control("vswitchd"), "--disable-system"], "vswitchd");
      await until("ovs-vswitchd listens", () => existsSync(ovs.path("vswitchd.ctl")));
      return ovs;
    } catch (error) {
      await ovs.close();
      throw error;
    }
  }

  /** A bridge without ports but one, of its own name, that the namespace's own stack is behind. */
  async bridge(name: string): Promise<void> {
    await this.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev");
  }

  async bond(bridge: string, name: string, { ports, lacp, mode, rate, system }: BondPlan): Promise<void> {
    await this.vsctl(
      ...["add-bond", bridge, name, ...ports, `lacp=${lacp}`],
      `bond_mode=${mode ?? (lacp === "off" ? "active-backup" : "balance-tcp")}`,
      `other_config:lacp-time=${rate ?? "fast"}`,
      ...(system === undefined ? [] : [`other_config:lacp-system-id="${system}"`]),
    );
  }

  /** Changes columns of a record: `set("port", "bond0", "lacp=passive")`. */
  async set(table: "bridge" | "port" | "interface", record: string, ...columns: readonly string[]): Promise<void> {
    await this.vsctl("set", table, record, ...columns);
  }

  /** `del-port`, of a bond or a port. */
  async remove(bridge: string, port: string): Promise<void> {
    await this.vsctl("del-port", bridge, port);
  }

  /** Any words of ovs-vsctl(8); resolves when the switch has done it. */
  async vsctl(...words: readonly string[]): Promise<string> {
    const { stdout } = await run("ovs-vsctl", [`--db=${this.database}`, "--timeout=10", ...words]);
    return stdout;
  }

  async lacp(bond: string): Promise<ShownLacp> {
    return parseLacp(await this.appctl("lacp/show", bond));
  }

  async bondState(bond: string): Promise<ShownBond> {
    return parseBond(await this.appctl("bond/show", bond));
  }

  /** Any words of ovs-appctl(8) for the switch. */
  async appctl(...words: readonly string[]): Promise<string> {
    const { stdout } = await run("ovs-appctl", ["-t", this.path("vswitchd.ctl"), "-T", "10", ...words]);
    return stdout;
  }

  /** Waits until it is so of the bond. */
  async is(what: string, bond: string, so: (lacp: ShownLacp) => boolean): Promise<void> {
    let found = false;
    let asking = false;
    let wrong: unknown;
    await until(what, () => {
      if (wrong !== undefined) throw wrong;
      if (!asking) {
        asking = true;
        this.lacp(bond).then(
          (shown) => {
            found = so(shown);
            asking = false;
          },
          (error: unknown) => {
            wrong = error;
          },
        );
      }
      return found;
    });
  }

  async close(): Promise<void> {
    for (const { process: child, over } of this.children) if (!over) child.kill("SIGTERM");
    await until("Open vSwitch has ended", () => this.children.every(({ over }) => over));
    rmSync(this.directory, { recursive: true, force: true });
    this.called();
  }

  private leave(): void {
    for (const { process: child, over } of this.children) {
      if (!over && child.pid !== undefined) end(child.pid, "SIGKILL");
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  private path(name: string): string {
    return join(this.directory, name);
  }

  private get database(): string {
    return `unix:${this.path("db.sock")}`;
  }

  private control(name: string): string {
    return `--unixctl=${this.path(`${name}.ctl`)}`;
  }

  private spawn(program: string, words: readonly string[], name: string): void {
    // Without the switch's management sockets in this directory it would look for one of its service.
    const { directory } = this;
    const own = { OVS_RUNDIR: directory, OVS_LOGDIR: directory, OVS_DBDIR: directory, OVS_SYSCONFDIR: directory };
    const child = spawn(
      "ip",
      ["netns", "exec", this.namespace, program, ...words, `--pidfile=${this.path(`${name}.pid`)}`],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...own } },
    );
    const entry = { process: child, over: false };
    this.children.push(entry);
    const hear = (part: string) => {
      this.output += part;
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    child.once("exit", () => {
      entry.over = true;
    });
  }
}

/** Words of one line: "  partner key: 7" → ["partner key", "7"]. */
function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) fields.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return fields;
}

/** The text before the first line "member NAME: WORDS", and that behind each. */
function membersOf(text: string): readonly [string, ...{ name: string; words: string; text: string }[]] {
  const [head = "", ...rest] = text.split(/^(?:member|slave) /m);
  const members = rest.map((part) => {
    const [first = "", ...lines] = part.split("\n");
    const at = first.indexOf(": ");
    return { name: first.slice(0, at), words: first.slice(at + 2), text: lines.join("\n") };
  });
  return [head, ...members];
}

export function parseLacp(text: string): ShownLacp {
  const [head, ...members] = membersOf(text);
  const fields = fieldsOf(head);
  const status = fields.get("status") ?? "";
  return {
    active: status.includes("active"),
    negotiated: status.split(" ").includes("negotiated"),
    system: fields.get("sys_id") ?? "",
    rate: fields.get("lacp_time") ?? "",
    members: members.map(({ name, words, text: own }): ShownMember => {
      const mine = fieldsOf(own);
      return {
        name,
        receive: words.split(" ")[0] as ShownMember["receive"],
        attached: words.split(" ").includes("attached"),
        mayEnable: mine.get("may_enable") === "true",
        actor: endOf(mine, "actor"),
        partner: endOf(mine, "partner"),
      };
    }),
  };
}

function endOf(fields: ReadonlyMap<string, string>, whose: "actor" | "partner"): ShownEnd {
  const field = (name: string) => fields.get(`${whose} ${name}`) ?? "";
  return {
    system: field("sys_id"),
    systemPriority: Number(field("sys_priority")),
    port: Number(field("port_id")),
    portPriority: Number(field("port_priority")),
    key: Number(field("key")),
    state: field("state").split(" ").filter(Boolean),
  };
}

export function parseBond(text: string): ShownBond {
  const [head, ...members] = membersOf(text);
  const fields = fieldsOf(head);
  return {
    mode: fields.get("bond_mode") ?? "",
    lacp: fields.get("lacp_status") ?? "",
    members: members.map(({ name, words }) => ({ name, enabled: words === "enabled" })),
  };
}
