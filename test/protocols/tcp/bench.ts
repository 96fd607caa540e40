/** Two nodes with IP, TCP and a user of one session each, in a World. */
import { interfacesSchema } from "../../../protocols/ip/config.ts";
import { ipMachine } from "../../../protocols/ip/machine.ts";
import { chunkFrame, chunkOf, type TcpSessionConfig, tcpPort } from "../../../protocols/tcp/events.ts";
import { mountTcp } from "../../../protocols/tcp/index.ts";
import type { TcpState } from "../../../protocols/tcp/machine.ts";
import { parseIp } from "../../../src/core/addr.ts";
import { assert } from "../../../src/core/assert.ts";
import { type Entry, Log } from "../../../src/core/log.ts";
import { type Env, type Event, type Machine, mount, NOTHING, type Port } from "../../../src/core/machine.ts";
import { NEVER } from "../../../src/core/time.ts";
import type { LinkOptions } from "../../../src/host/sim/link.ts";
import { World } from "../../../src/host/sim/world.ts";

export const SECOND = 1_000_000_000;
export const MILLISECOND = 1_000_000;

type UserCommand = { readonly verb: "give"; readonly octets: Uint8Array } | { readonly verb: "start" | "stop" };

/** Writes what it is told to, and keeps what it reads. */
export interface User {
  readonly port: Port;
  readonly read: Uint8Array[];
  /** Every change of the session's port. */
  readonly links: boolean[];
}

const userMachine: Machine<TcpSessionConfig, User, UserCommand> = {
  name: "user",
  ports: ({ name }) => ({ uses: [tcpPort(name)] }),
  init: ({ name }, env: Env) => ({ port: env.port(tcpPort(name)), read: [], links: [] }),
  claims: () => true,
  step: (user, input) => {
    if (input.kind === "frame") user.read.push(chunkOf(input.frame));
    if (input.kind === "link") user.links.push(input.up);
    if (input.kind !== "command" || input.command.verb !== "give") return NOTHING;
    return [{ kind: "send", port: user.port, frame: chunkFrame(input.command.octets) }];
  },
  deadline: () => NEVER,
};

export interface Options {
  readonly seed?: number;
  readonly link?: Partial<LinkOptions>;
  readonly ipv6?: boolean;
  readonly roles?: readonly [TcpSessionConfig["role"], TcpSessionConfig["role"]];
}

/** A connects, B listens. */
export class Pair {
  readonly world: World;
  readonly log = new Log();
  readonly entries: Entry[] = [];

  constructor({ seed = 1, link = {}, ipv6 = false, roles = ["connect", "listen"] }: Options = {}) {
    this.log.follow({ everything: false, read: (entry) => this.entries.push(entry) });
    this.world = new World({ seed, log: this.log });
    const address = (i: number) => (ipv6 ? `2001:db8::${i + 1}` : `10.0.0.${i + 1}`);
    for (const [i, role] of roles.entries()) {
      const local = parseIp(address(i));
      const peer = parseIp(address(1 - i));
      assert(local !== undefined && peer !== undefined, "no address");
      const config: TcpSessionConfig = { name: "peer", local, peer, port: 8888, role };
      this.world.addNode("ab"[i] ?? "", (node) => {
        const interfaces = interfacesSchema.parse({ e0: { addresses: [`${local}/${ipv6 ? 64 : 24}`] } });
        node.mount([mount(ipMachine, interfaces, node), ...mountTcp([config], node), mount(userMachine, config, node)]);
      });
    }
    this.world.addLink({ id: "ab", delay: 5_000, rate: 40e9, ...link }, [
      { node: "a", port: "e0" },
      { node: "b", port: "e0" },
    ]);
    this.world.start();
  }

  give(node: string, octets: Uint8Array): void {
    this.world.command({ verb: "command", node, to: "user", command: { verb: "give", octets } as UserCommand });
  }

  /** Runs for so many ns. */
  run(time: number): void {
    this.world.run(this.world.now + time);
  }

  user(node: string): User {
    return this.world.node(node)?.machine("user")?.state as User;
  }

  tcp(node: string): TcpState {
    return this.world.node(node)?.machine("tcp")?.state as TcpState;
  }

  read(node: string): Uint8Array {
    const parts = this.user(node).read;
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  up(node: string): boolean {
    return this.user(node).links.at(-1) === true;
  }

  /** What the node said, of one type. */
  said<E extends Event>(node: string, type: E["type"]): E[] {
    const facts = this.entries.filter((entry) => entry.node === node && entry.what.kind === "event");
    const events = facts.map(({ what }) => (what.kind === "event" ? what.event : undefined));
    return events.filter((event): event is E => event?.type === type);
  }
}

/** Octets that repeat nowhere near. */
export function octets(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8) * 7 + (i >>> 16) + salt) & 0xff);
}
