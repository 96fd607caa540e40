/** Three speakers of VRRP from one description of a virtual router: how each is configured, started and ended. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { virtualMac } from "../../../protocols/vrrp/codec.ts";
import { type Family, familyOf, isLinkLocal, parsePrefix } from "../../../src/core/addr.ts";
import { FRR } from "./lacking.ts";
import { end, ipBatch, onLeaving, sh, sysctl, until } from "./namespaces.ts";

const HOTPAIR = fileURLToPath(new URL("hotpair.mjs", import.meta.url));
export const INTERFACE = "e0";

export type SpeakerKind = "hotpair" | "keepalived" | "frr";

/** One virtual router, in nobody's words. */
export interface Plan {
  readonly vrid: number;
  readonly version: 2 | 3;
  readonly priority: number;
  /** Milliseconds. */
  readonly interval: number;
  /** "192.0.2.1/24"; for IPv6 the link-local one first. */
  readonly addresses: readonly string[];
  readonly preempt: boolean;
  /** FRR knows no other way. */
  readonly virtualMac: boolean;
  /** Unicast: the own address and the peer's. */
  readonly unicast?: { readonly own: string; readonly peer: string };
  /** What carries hotpair's frames, where it is not the default. */
  readonly io?: string;
  /** Further keys of hotpair's own file. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Further routers of hotpair's own file. */
  readonly others?: readonly Readonly<Record<string, unknown>>[];
}

export function familyOfPlan({ addresses: [first = ""] }: Plan): Family {
  return familyOf(parsePrefix(first)?.address ?? ("0.0.0.0" as never));
}

/** What `kind` puts into its adverts. FRR's manual leaves the link-local address out, and its adverts have it not. */
function ownAddresses(kind: SpeakerKind, plan: Plan): readonly string[] {
  if (kind !== "frr" || familyOfPlan(plan) === "ipv4") return plan.addresses;
  return plan.addresses.filter((text) => !isLinkLocal(parsePrefix(text)?.address ?? ("::" as never)));
}

/** A speaker in a namespace; `close` leaves nothing of it running. */
export class Speaker {
  output = "";
  private readonly children: { readonly name: string; readonly process: ChildProcess; over: boolean }[] = [];
  private readonly called: () => void;

  private constructor(
    readonly kind: SpeakerKind,
    private readonly namespace: string,
    private readonly directory: string,
  ) {
    mkdirSync(directory, { recursive: true });
    this.called = onLeaving(() => this.killGroups());
  }

  /** Of hotpair's own: what it is asked by. */
  get socket(): string {
    return join(this.directory, "socket");
  }

  /** Resolves when its processes are started; when it speaks, the wire tells. */
  static async start(kind: SpeakerKind, namespace: string, directory: string, plan: Plan): Promise<Speaker> {
    const speaker = new Speaker(kind, namespace, directory);
    if (kind === "hotpair") speaker.startHotpair(plan);
    else if (kind === "keepalived") speaker.startKeepalived(plan);
    else await speaker.startFrr(plan);
    return speaker;
  }

  /** Waits until it has said so on its output. */
  async says(pattern: RegExp): Promise<void> {
    await until(`${this.kind} says ${pattern}`, () => pattern.test(this.output));
  }

  /** The graceful end that its service manager would ask for. */
  stop(): void {
    const last = this.children.at(-1);
    // zebra lives on when vrrpd is restarted.
    if (last?.process.pid !== undefined) end(last.process.pid, "SIGTERM");
  }

  /** SIGKILL: of the main process alone, or of all its processes in the same moment. */
  kill(whom: "main" | "all" = "all"): void {
    const last = this.children.at(-1);
    if (last?.process.pid === undefined) return;
    if (whom === "main") end(last.process.pid, "SIGKILL");
    else this.killGroups();
  }

  /** Resolves when the process that `stop` or `kill` has ended is gone. */
  async gone(): Promise<void> {
    await until(`${this.kind} is gone`, () => this.children.at(-1)?.over === true);
  }

  async close(): Promise<void> {
    this.killGroups();
    await until(`${this.kind} is gone`, () => this.children.every(({ over }) => over));
    this.called();
  }

  private killGroups(): void {
    for (const { process: child, over } of this.children) {
      if (!over && child.pid !== undefined) end(-child.pid, "SIGKILL");
    }
  }

  private spawn(name: string, argv: readonly string[]): void {
    const child = spawn("ip", ["netns", "exec", this.namespace, ...argv], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    const entry = { name, process: child, over: false };
    this.children.push(entry);
    const hear = (part: string) => {
      this.output += part;
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    // "exit": others may have inherited the pipes.
    child.once("exit", () => {
      entry.over = true;
    });
  }

  private write(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  private startHotpair(plan: Plan): void {
    const path = this.write("node.yaml", stringify(hotpairFile(plan)));
    const words = ["run", path, "--socket", this.socket];
    if (plan.io !== undefined) words.push("--io", plan.io);
    this.spawn("hotpair", [process.execPath, HOTPAIR, ...words]);
  }

  private startKeepalived(plan: Plan): void {
    const path = this.write("keepalived.conf", keepalivedFile(plan));
    const pids = ["-p", join(this.directory, "pid"), "-r", join(this.directory, "vrrp.pid")];
    this.spawn("keepalived", ["keepalived", "-n", "-P", "-l", "-G", "-f", path, ...pids]);
  }

  /** Its manual: the macvlan is the user's to make. Two daemons, with sockets and configuration of their own. */
  private async startFrr(plan: Plan): Promise<void> {
    makeFrrDevice(this.namespace, plan);
    const owner = frrUser();
    chownSync(this.directory, owner, owner);
    const zebra = this.write("zebra.conf", "");
    const vrrpd = this.write("vrrpd.conf", frrFile(plan));
    for (const path of [zebra, vrrpd]) chownSync(path, owner, owner);
    const socket = join(this.directory, "zserv.api");
    const common = ["--vty_socket", this.directory, "-z", socket, "-P", "0", "-u", "frr", "-g", "frr"];
    const log = ["--log", "stdout", "--log-level", "informational"];
    const pid = (name: string) => ["-i", join(this.directory, `${name}.pid`)];
    this.spawn("zebra", [`${FRR}/zebra`, "-f", zebra, ...pid("zebra"), ...common, ...log]);
    await until("zebra listens", () => existsSync(socket));
    this.spawn("vrrpd", [`${FRR}/vrrpd`, "-f", vrrpd, ...pid("vrrpd"), ...common, ...log]);
  }
}

function hotpairFile(plan: Plan): unknown {
  const { vrid, version, priority, interval, addresses, preempt, unicast, more, others = [] } = plan;
  const router = {
    interface: INTERFACE,
    vrid,
    version,
    priority,
    interval: `${interval}ms`,
    addresses,
    preempt,
    "virtual-mac": plan.virtualMac,
    ...(unicast === undefined ? {} : { peers: [unicast.peer] }),
    ...more,
  };
  return { node: "gw", vrrp: [router, ...others] };
}

function keepalivedFile(plan: Plan): string {
  const { vrid, version, priority, interval, addresses, preempt, unicast } = plan;
  const lines = [
    "global_defs {",
    "  router_id interop",
    "}",
    "vrrp_instance one {",
    `  version ${version}`,
    "  state BACKUP",
    `  interface ${INTERFACE}`,
    `  virtual_router_id ${vrid}`,
    `  priority ${priority}`,
    `  advert_int ${interval / 1_000}`,
    ...(preempt ? [] : ["  nopreempt"]),
    ...(plan.virtualMac ? [`  use_vmac kv.${vrid}`] : []),
    ...(unicast === undefined
      ? []
      : [`  unicast_src_ip ${unicast.own}`, "  unicast_peer {", `    ${unicast.peer}`, "  }"]),
    "  virtual_ipaddress {",
    ...addresses.map((address) => `    ${address}`),
    "  }",
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

function frrFile(plan: Plan): string {
  const { vrid, version, priority, interval, preempt } = plan;
  const word = familyOfPlan(plan) === "ipv4" ? "ip" : "ipv6";
  const lines = [
    `interface ${INTERFACE}`,
    ` vrrp ${vrid} version ${version}`,
    ` vrrp ${vrid} priority ${priority}`,
    ` vrrp ${vrid} advertisement-interval ${interval}`,
    ...(preempt ? [] : [` no vrrp ${vrid} preempt`]),
    ...ownAddresses("frr", plan).map((text) => ` vrrp ${vrid} ${word} ${text.split("/")[0]}`),
    "exit",
  ];
  return `${lines.join("\n")}\n`;
}

function makeFrrDevice(namespace: string, plan: Plan): void {
  const family = familyOfPlan(plan);
  const name = `vrrp${family === "ipv4" ? 4 : 6}-${plan.vrid}`;
  ipBatch(namespace, [
    `link add ${name} link ${INTERFACE} type macvlan mode bridge`,
    `link set dev ${name} addrgenmode random`,
    `link set dev ${name} address ${virtualMac(family, plan.vrid)}`,
  ]);
  sysctl(namespace, {
    // Without duplicate detection: it would take the first seconds of every test.
    [`ipv6.conf.${name}.accept_dad`]: 0,
    [`ipv6.conf.${name}.dad_transmits`]: 0,
    // Its manual asks for this one; without the others a backup's interface answers for the address (FRR #16995), and a
    // master's interface asks for a client's MAC with the virtual address and its own MAC.
    [`ipv4.conf.${INTERFACE}.ignore_routes_with_linkdown`]: 1,
    [`ipv4.conf.${INTERFACE}.arp_ignore`]: 1,
    [`ipv4.conf.${INTERFACE}.arp_announce`]: 2,
  });
  ipBatch(namespace, [
    ...ownAddresses("frr", plan).map((text) => `addr add ${text} dev ${name}`),
    // As vrrpd has it for a backup; before it runs, the device would answer.
    `link set dev ${name} protodown on`,
    `link set dev ${name} up`,
  ]);
}

function frrUser(): number {
  return Number(execFileSync("id", ["-u", "frr"], { encoding: "utf8" }));
}

/** Addresses of all interfaces of a namespace, as `ip` prints them. */
export function addressesIn(namespace: string): string {
  return sh("ip", ["-n", namespace, "-o", "address", "show", "up"]);
}

/** Names of devices that are neither `lo` nor the interface. */
export function linksIn(namespace: string): string {
  const lines = sh("ip", ["-n", namespace, "-br", "link", "show"]).split("\n");
  const names = lines.map((line) => line.split(/[ @]/)[0] ?? "");
  return names.filter((name) => name !== "" && name !== "lo" && name !== INTERFACE).join(" ");
}
