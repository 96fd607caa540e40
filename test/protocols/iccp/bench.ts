/** Two switches with IP, TCP, ICCP and a user that keeps what it hears, in a World. */

import { connects, ICCP_PORT } from "../../../protocols/iccp/codec.ts";
import type { IccpConfig, IccpSession, Item } from "../../../protocols/iccp/events.ts";
import { iccpPort, itemsFrame, itemsOf } from "../../../protocols/iccp/events.ts";
import { mountIccp } from "../../../protocols/iccp/index.ts";
import type { IccpMachineState } from "../../../protocols/iccp/machine.ts";
import { interfacesSchema } from "../../../protocols/ip/config.ts";
import { ipMachine } from "../../../protocols/ip/machine.ts";
import { chunkFrame, chunkOf, tcpPort } from "../../../protocols/tcp/events.ts";
import { mountTcp } from "../../../protocols/tcp/index.ts";
import { type Ip, type Mac, parseIp, parseMac } from "../../../src/core/addr.ts";
import { assert } from "../../../src/core/assert.ts";
import { type Entry, Log } from "../../../src/core/log.ts";
import { type Env, type Event, type Machine, mount, NOTHING, type Port } from "../../../src/core/machine.ts";
import { type Instant, NEVER } from "../../../src/core/time.ts";
import type { LinkOptions } from "../../../src/host/sim/link.ts";
import { World } from "../../../src/host/sim/world.ts";

export const SECOND = 1_000_000_000;
export const MILLISECOND = 1_000_000;

export function ip(text: string): Ip {
  const read = parseIp(text);
  assert(read !== undefined, text);
  return read;
}

export function mac(text: string): Mac {
  const read = parseMac(text);
  assert(read !== undefined, text);
  return read;
}

export type UserCommand =
  | { readonly verb: "tell"; readonly items: readonly Item[] }
  | { readonly verb: "start" | "stop" };

export interface User {
  readonly port: Port;
  readonly heard: { readonly at: Instant; readonly item: Item }[];
  readonly links: { readonly at: Instant; readonly up: boolean }[];
  /** Told whenever the session comes up. */
  greeting: readonly Item[];
}

const userMachine: Machine<{ readonly name: string; readonly greeting: readonly Item[] }, User, UserCommand> = {
  name: "user",
  ports: ({ name }) => ({ uses: [iccpPort(name)] }),
  init: ({ name, greeting }, env: Env) => ({ port: env.port(iccpPort(name)), heard: [], links: [], greeting }),
  claims: () => true,
  step: (user, input, now) => {
    const tell = (items: readonly Item[]) => [{ kind: "send" as const, port: user.port, frame: itemsFrame(items) }];
    if (input.kind === "frame") for (const item of itemsOf(input.frame)) user.heard.push({ at: now, item });
    if (input.kind === "link") {
      user.links.push({ at: now, up: input.up });
      if (input.up && user.greeting.length > 0) return tell(user.greeting);
    }
    return input.kind === "command" && input.command.verb === "tell" ? tell(input.command.items) : NOTHING;
  },
  deadline: () => NEVER,
};

type RawCommand = { readonly verb: "give"; readonly octets: Uint8Array } | { readonly verb: "start" | "stop" };

/** In the place of ICCP: writes octets to the TCP session, and keeps what comes. */
export interface Raw {
  readonly port: Port;
  read: Uint8Array[];
  links: boolean[];
}

const rawMachine: Machine<string, Raw, RawCommand> = {
  name: "raw",
  ports: (name) => ({ uses: [tcpPort(name)] }),
  init: (name, env) => ({ port: env.port(tcpPort(name)), read: [], links: [] }),
  claims: () => true,
  step: (raw, input) => {
    if (input.kind === "frame") raw.read.push(chunkOf(input.frame));
    if (input.kind === "link") raw.links.push(input.up);
    if (input.kind !== "command" || input.command.verb !== "give") return NOTHING;
    return [{ kind: "send", port: raw.port, frame: chunkFrame(input.command.octets) }];
  },
  deadline: () => NEVER,
};

export interface Options {
  readonly seed?: number;
  readonly link?: Partial<LinkOptions>;
  readonly a?: Partial<IccpConfig>;
  readonly b?: Partial<IccpConfig>;
  readonly addresses?: readonly [string, string];
  readonly greeting?: { readonly a?: readonly Item[]; readonly b?: readonly Item[] };
  /** B has no ICCP: the test itself speaks for it. */
  readonly raw?: boolean;
}

export class Pair {
  readonly world: World;
  readonly log = new Log();
  readonly entries: Entry[] = [];

  constructor(options: Options = {}) {
    const { seed = 1, link = {}, addresses = ["10.0.0.1", "10.0.0.2"], raw = false } = options;
    this.log.follow({ everything: false, read: (entry) => this.entries.push(entry) });
    this.world = new World({ seed, log: this.log });
    for (const [i, name] of (["a", "b"] as const).entries()) {
      const local = ip(addresses[i] ?? "");
      const peer = ip(addresses[1 - i] ?? "");
      const config: IccpConfig = {
        name: "peer",
        domain: 10,
        local,
        peer,
        system: mac(`02:00:00:00:00:0${i + 1}`),
        ...options[name],
      };
      const role = connects(local, peer) ? "connect" : "listen";
      const user = { name: "peer", greeting: options.greeting?.[name] ?? [] };
      this.world.addNode(name, (node) => {
        const interfaces = interfacesSchema.parse({ e0: { addresses: [`${local}/${local.includes(":") ? 64 : 16}`] } });
        node.mount([mount(ipMachine, interfaces, node)]);
        node.mount(mountTcp([{ name: "peer", local, peer, port: ICCP_PORT, role }], node));
        if (raw && name === "b") node.mount([mount(rawMachine, "peer", node)]);
        else node.mount([...mountIccp([config], node), mount(userMachine, user, node)]);
      });
    }
    this.world.addLink({ id: "ab", delay: 5_000, rate: 40e9, ...link }, [
      { node: "a", port: "e0" },
      { node: "b", port: "e0" },
    ]);
    this.world.start();
  }

  tell(node: string, ...items: readonly Item[]): void {
    this.world.command({ verb: "command", node, to: "user", command: { verb: "tell", items } as UserCommand });
  }

  give(octets: Uint8Array): void {
    this.world.command({ verb: "command", node: "b", to: "raw", command: { verb: "give", octets } as RawCommand });
  }

  run(time: number): void {
    this.world.run(this.world.now + time);
  }

  state(node: string): IccpMachineState {
    return this.world.node(node)?.machine("iccp")?.state as IccpMachineState;
  }

  user(node: string): User {
    return this.world.node(node)?.machine("user")?.state as User;
  }

  raw(): Raw {
    return this.world.node("b")?.machine("raw")?.state as Raw;
  }

  heard(node: string): Item[] {
    return this.user(node).heard.map(({ item }) => item);
  }

  up(node: string): boolean {
    return this.user(node).links.at(-1)?.up === true;
  }

  drops(node: string): Record<string, number> {
    const drops = this.state(node).sessions[0]?.drops ?? new Map();
    return Object.fromEntries([...drops].map(([reason, { count }]) => [reason, count]));
  }

  sessions(node: string): { readonly at: number; readonly event: IccpSession }[] {
    return this.entries.flatMap(({ node: of, what, at }) =>
      of === node && what.kind === "event" && (what.event as Event).type === "iccp.session"
        ? [{ at, event: what.event as IccpSession }]
        : [],
    );
  }

  reasons(node: string): string[] {
    return this.sessions(node).map(({ event }) => `${event.up ? "up" : "down"} ${event.reason}`);
  }
}
