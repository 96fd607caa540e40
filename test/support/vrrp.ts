/** One VRRP machine over virtual time: given routers, hear adverts, wait, and read what came out as lines. */
import { decodeArp } from "../../protocols/arp/codec.ts";
import { decodeIp } from "../../protocols/ip/codec.ts";
import { decodeNd } from "../../protocols/nd/codec.ts";
import {
  type Advert,
  type ChecksumForm,
  decodeAdvert,
  VRRP_GROUP_4,
  VRRP_GROUP_6,
  virtualMac,
} from "../../protocols/vrrp/codec.ts";
import { schema } from "../../protocols/vrrp/config.ts";
import type { VrrpCommand } from "../../protocols/vrrp/events.ts";
import { advertFrame } from "../../protocols/vrrp/frames.ts";
import { vrrp } from "../../protocols/vrrp/machine.ts";
import type { Router, VrrpOutput, VrrpState } from "../../protocols/vrrp/state.ts";
import { catchUp } from "../../protocols/vrrp/timing.ts";
import { type Family, familyOf, type Ip, type Mac, macFrom, parseIp } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import { Frame } from "../../src/core/frame.ts";
import type { Env, Input, Port } from "../../src/core/machine.ts";
import { createRng } from "../../src/core/rng.ts";
import { cs, type Duration, type Instant, instant, sec } from "../../src/core/time.ts";

export type Given = Readonly<Record<string, unknown>>;

/** A router as a file has it, with the checklist's set-up for what is not said. */
export function given(more: Given = {}): Given {
  return { interface: "eth0", vrid: 10, priority: 100, addresses: ["192.0.2.254/24"], ...more };
}

export function given6(more: Given = {}): Given {
  return given({ addresses: ["fe80::10/64", "2001:db8::254/64"], ...more });
}

export interface Heard {
  readonly source?: string;
  /** Centiseconds. */
  readonly interval?: number;
  readonly vrid?: number;
  readonly addresses?: readonly string[];
  readonly checksum?: ChecksumForm;
  readonly destination?: string;
  readonly version?: 2 | 3;
  readonly port?: string;
  readonly auth?: string;
  /** Applied to the octets of the frame. */
  readonly change?: (bytes: Uint8Array) => Uint8Array;
  /** Default: that of some gateway. */
  readonly virtualMac?: boolean;
}

export interface Sent {
  readonly at: Instant;
  readonly port: string;
  readonly frame: Frame;
  readonly text: string;
  readonly advert: Advert | undefined;
}

const GATEWAY = "02:00:00:00:00:01" as Mac;

export class Bench {
  now = instant(0);
  /** Told of every frame that is sent. */
  wire: ((frame: Frame, port: string) => void) | undefined;
  readonly state: VrrpState;
  readonly sent: Sent[] = [];
  readonly outputs: { readonly at: Instant; readonly output: VrrpOutput }[] = [];
  private lines: string[] = [];
  private readonly ports = new Map<string, Port>();
  private readonly env: Env;

  /** The node runs, with its links up and its addresses known, unless `idle`. */
  constructor(routers: readonly Given[], options: { readonly idle?: boolean; readonly seed?: number } = {}) {
    const config = schema.parse(routers);
    const env: Env = {
      node: "dut",
      port: (name) => this.port(name),
      mac: (port) => macFrom(Uint8Array.of(2, 0, 0, 0, 1, port.index + 1)),
      rng: (owner) => createRng(options.seed ?? 1, "dut", owner),
    };
    this.env = env;
    this.state = vrrp.init(config, env);
    if (options.idle === true) return;
    this.command({ verb: "start" });
    for (const name of vrrp.ports(config).uses ?? []) {
      this.link(name, true);
      this.addresses(name);
    }
    this.wait(0 as Duration);
  }

  port(name: string): Port {
    const known = this.ports.get(name);
    if (known !== undefined) return known;
    const made = { name, index: this.ports.size };
    this.ports.set(name, made);
    return made;
  }

  router(index = 0): Router {
    const router = this.state.routers[index];
    assert(router !== undefined, "no such router");
    catchUp(router);
    return router;
  }

  // --- what happens to it ---

  input(input: Input<VrrpCommand, never> | Parameters<typeof vrrp.step>[1]): this {
    for (const output of vrrp.step(this.state, input as Parameters<typeof vrrp.step>[1], this.now)) this.note(output);
    return this;
  }

  command(command: VrrpCommand): this {
    return this.input({ kind: "command", to: "vrrp", command });
  }

  /** Another configuration while it runs. */
  configure(routers: readonly Given[]): this {
    const config = schema.parse(routers);
    assert(vrrp.reconfigure !== undefined, "the machine takes another configuration");
    for (const output of vrrp.reconfigure(this.state, config, this.env, this.now)) this.note(output);
    return this;
  }

  link(name: string, up: boolean): this {
    return this.input({ kind: "link", port: this.port(name), up });
  }

  addresses(name = "eth0", addresses: readonly string[] = ["192.0.2.2/24", "fe80::2/64"]): this {
    const mac = macFrom(Uint8Array.of(2, 0, 0, 0, 1, this.port(name).index + 1));
    return this.input({ kind: "heard", event: { type: "ip.addresses", port: name, mac, up: true, addresses } });
  }

  /** The host has put addresses back that somebody took away. */
  restored(vrid = 10, family: Family = "ipv4"): this {
    return this.input({ kind: "heard", event: { type: "ip.restored", port: "eth0", vrid, family } });
  }

  frame(frame: Frame, port = "eth0"): this {
    const at = this.port(port);
    assert(vrrp.claims !== undefined, "the machine claims frames");
    return vrrp.claims(this.state, at, frame) ? this.input({ kind: "frame", port: at, frame }) : this;
  }

  hear(priority: number, heard: Heard = {}): this {
    const made = adv(priority, heard);
    const frame = heard.change === undefined ? made : Frame.of(heard.change(made.bytes.slice()));
    return this.frame(frame, heard.port);
  }

  /** Lets time pass, waking the machine exactly when it asks. */
  wait(time: Duration): this {
    const end = (this.now + time) as Instant;
    for (;;) {
      const due = vrrp.deadline(this.state);
      if (due > end) break;
      this.now = (due > this.now ? due : this.now) as Instant;
      this.input({ kind: "timer" });
    }
    this.now = end;
    return this;
  }

  /** The process is stopped: time passes, nobody wakes it. */
  stall(time: Duration): this {
    this.now = (this.now + time) as Instant;
    return this;
  }

  /** Adverts from a peer each interval, for so many intervals. */
  hearEach(interval: Duration, times: number, priority: number, heard: Heard = {}): this {
    for (let i = 0; i < times; i++) this.hear(priority, heard).wait(interval);
    return this;
  }

  // --- what came out ---

  /** Lines since the last call, each with its time in seconds. */
  take(): string[] {
    const { lines } = this;
    this.lines = [];
    return lines;
  }

  /** As `take`, without times. */
  said(): string[] {
    return this.take().map((line) => line.slice(line.indexOf(" ") + 1));
  }

  adverts(): Sent[] {
    return this.sent.filter(({ advert }) => advert !== undefined);
  }

  lastAdvert(): Sent {
    const last = this.adverts().at(-1);
    assert(last !== undefined, "an advert was sent");
    return last;
  }

  private note(output: VrrpOutput): void {
    this.outputs.push({ at: this.now, output });
    const text = this.words(output);
    this.lines.push(`${(this.now / 1_000_000).toFixed(6)} ${text}`);
    if (output.kind !== "send") return;
    const { port, frame } = output;
    this.wire?.(frame, port.name);
    this.sent.push({ at: this.now, port: port.name, frame, text, advert: advertOf(frame)?.advert });
  }

  private words(output: VrrpOutput): string {
    switch (output.kind) {
      case "send":
        return wordsOf(output.frame);
      case "apply":
        if (output.change.leaving === true) return "apply leaving";
        return `apply ${output.change.present ? "present" : "absent"}`;
      case "event": {
        const { event } = output;
        if (event.type === "vrrp.state") return `${event.from} → ${event.to} ${event.reason}`;
        if (event.type === "vrrp.drop") return `drop ${event.reason}`;
        if (event.type === "vrrp.priority") return `priority ${event.from} → ${event.priority} ${event.reason}`;
        if (event.type === "vrrp.mismatch") return `mismatch ${event.what} ${event.theirs}`;
        if (event.type === "vrrp.stalled") return `stalled ${event.late}`;
        return event.type;
      }
      case "link":
        return "link";
    }
  }
}

/** adv(p, i, s) of the checklist: a valid advert; by default of 192.0.2.1 or fe80::1, our interval, one address. */
export function adv(priority: number, heard: Heard = {}): Frame {
  const addresses = (heard.addresses ?? (heard.source?.includes(":") ? SIX : FOUR)).map(ip);
  const family = familyOf(addresses[0] ?? ip("0.0.0.0"));
  const source = ip(heard.source ?? (family === "ipv4" ? "192.0.2.1" : "fe80::1"));
  const destination = heard.destination ?? (family === "ipv4" ? VRRP_GROUP_4 : VRRP_GROUP_6);
  const { vrid = 10, interval = 100, checksum = "message" } = heard;
  const authData = new Uint8Array(8);
  authData.set(new TextEncoder().encode(heard.auth ?? ""));
  const authType = heard.auth === undefined ? 0 : 1;
  const advert: Advert =
    heard.version === 2
      ? { version: 2, vrid, priority, interval: sec(Math.floor(interval / 100)), authType, authData, addresses }
      : { version: 3, vrid, priority, interval: cs(interval), reserved: 0, addresses };
  const mac = heard.virtualMac === true ? virtualMac(family, vrid) : GATEWAY;
  return advertFrame(advert, { source, destination: ip(destination), checksum }, mac);
}

const FOUR = ["192.0.2.254"];
const SIX = ["fe80::10", "2001:db8::254"];

export function ip(text: string): Ip {
  const parsed = parseIp(text);
  assert(parsed !== undefined, `${text} is an address`);
  return parsed;
}

export function packetOf(frame: Frame) {
  const decoded = decodeIp(frame.bytes.subarray(frame.payload));
  assert(decoded.ok, "an IP packet");
  return decoded.value;
}

function advertOf(frame: Frame) {
  if (frame.header.type !== 0x0800 && frame.header.type !== 0x86dd) return undefined;
  const packet = packetOf(frame);
  if (packet.protocol !== 112) return undefined;
  const decoded = decodeAdvert(packet, undefined, true);
  assert(decoded.ok, "a valid advert");
  return decoded.value;
}

function wordsOf(frame: Frame): string {
  if (frame.header.type === 0x0806) {
    const arp = decodeArp(frame.bytes, frame.payload);
    return arp.ok ? `garp ${arp.value.senderIp}` : "broken arp";
  }
  const decoded = advertOf(frame);
  if (decoded !== undefined) return `advert ${decoded.advert.priority}`;
  const nd = decodeNd(packetOf(frame).payload);
  if (!nd.ok) return "broken nd";
  return nd.value.kind === "advertisement" ? `na ${nd.value.target}` : nd.value.kind;
}
