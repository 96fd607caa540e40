/** SONiC's iccpd as the other switch of a pair: its recorded words, and what becomes of them in the M-LAG machine. */
import { describe, expect, it } from "vitest";
import { decodeIccp, encodeIccp, type IccpValue, messageSize } from "../../../protocols/iccp/codec.ts";
import { mountIccp } from "../../../protocols/iccp/index.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import { type MlagMachineState, mlag, SESSION } from "../../../protocols/mlag/machine.ts";
import { chunkFrame, chunkOf, tcpPort } from "../../../protocols/tcp/events.ts";
import { Log } from "../../../src/core/log.ts";
import { type Event, mount } from "../../../src/core/machine.ts";
import { instant } from "../../../src/core/time.ts";
import { Node } from "../../../src/node/node.ts";
import { mac, probe, Recorder } from "../../support/probe.ts";
import { ip } from "../iccp/bench.ts";
import { GOLDEN, octets } from "../iccp/golden.ts";

/** A switch whose TCP session is the test. */
class Switch {
  readonly node: Node;
  readonly recorder = new Recorder(false);
  now = 0;
  private written: Uint8Array = new Uint8Array(0);

  constructor(local: string, peer: string) {
    const log = new Log();
    log.follow(this.recorder);
    const system = mac("02:00:00:00:01:01");
    this.node = new Node({ name: "sw1", id: 1, seed: 1, mac: () => system }, { apply() {}, wake() {} }, log);
    const end = probe(
      {
        name: "wire",
        owns: [tcpPort(SESSION), "ip"],
        claims: () => true,
        step: (_probe, input) => {
          if (input.kind === "frame" && input.port.name === tcpPort(SESSION)) {
            this.written = Uint8Array.of(...this.written, ...chunkOf(input.frame));
          }
          if (input.kind !== "command" || !("up" in input.command)) return [];
          return [{ kind: "link", port: this.node.port(tcpPort(SESSION)), up: input.command.up === true }];
        },
      },
      this.node,
    );
    const config = mlagSchema.parse({
      domain: 1,
      "peer-link": "Ethernet0",
      keepalive: { port: "ka", address: "10.99.0.1/30", peer: "10.99.0.2" },
      members: [{ port: "PortChannel10", id: 10 }],
      "restore-delay": "1s",
    });
    const bundles = [{ id: 10, name: "PortChannel10", vlans: [100] }];
    const session = {
      name: SESSION,
      domain: 1,
      local: ip(local),
      peer: ip(peer),
      system,
      bundles,
      peerLink: "Ethernet0",
    };
    this.node.mount([end, ...mountIccp([session], this.node), mount(mlag, config, this.node)]);
    this.order("start");
    this.node.step({ kind: "link", port: this.node.port("Ethernet0"), up: true }, this.at);
    this.node.step({ kind: "command", to: "wire", command: { verb: "set", up: true } as never }, this.at);
  }

  get at() {
    return instant(this.now);
  }

  get state(): MlagMachineState["core"] {
    const state = this.node.machine("mlag")?.state as MlagMachineState | undefined;
    return (state ?? expect.fail("no M-LAG")).core;
  }

  private order(verb: string): void {
    for (const to of ["iccp", "mlag"]) this.node.step({ kind: "command", to, command: { verb } }, this.at);
  }

  /** What iccpd says, message by message, a millisecond apart. */
  hear(...lines: (keyof typeof GOLDEN)[]): this {
    for (const line of lines) {
      this.run(0.001);
      this.node.deliver(this.node.port(tcpPort(SESSION)), chunkFrame(octets(GOLDEN[line])), this.at);
    }
    return this;
  }

  say(event: Event): void {
    this.node.step({ kind: "heard", event }, this.at);
  }

  /** Runs on, with a heartbeat of iccpd every two seconds. */
  run(seconds: number): this {
    const until = this.now + seconds * 1e6;
    while (this.now < until) {
      this.now = Math.min(until, this.now + 1_000);
      if (this.node.deadline() <= this.now) this.node.step({ kind: "timer" }, this.at);
      if (this.now % 2e6 === 0 && this.state.session) {
        this.node.deliver(this.node.port(tcpPort(SESSION)), chunkFrame(octets(GOLDEN.heartbeat)), this.at);
      }
    }
    return this;
  }

  /** What iccpd has been told since it was asked last. */
  take(): IccpValue[] {
    const values: IccpValue[] = [];
    for (let at = 0; at < this.written.length; ) {
      const size = messageSize(this.written, at) ?? expect.fail("cut");
      const decoded = decodeIccp(this.written.subarray(at, at + size));
      if (!decoded.ok) expect.fail(decoded.reason);
      expect(encodeIccp(decoded.value)).toEqual(this.written.slice(at, at + size));
      values.push(...decoded.value.parameters.map(({ value }) => value).filter(({ kind }) => kind !== "rgId"));
      at += size;
    }
    this.written = new Uint8Array(0);
    return values;
  }

  said(type: string): Event[] {
    return this.recorder.entries.flatMap(({ what }) =>
      what.kind === "event" && what.event.type === type ? [what.event] : [],
    );
  }
}

const STATIONS = ["00:aa:bb:cc:dd:01", "00:aa:bb:cc:dd:77"];

function stations(one: Switch) {
  return one.said("mlag.mac").map((event) => {
    const { mac: station, port, vlan } = event as unknown as Record<string, unknown>;
    return `${station} ${vlan} ${port}`;
  });
}

describe("M71: paired with SONiC's iccpd", () => {
  it("as active: primary, its half known, isolated and acknowledged, our own half gated by its ACK, stations placed", () => {
    const sw = new Switch("10.77.0.1", "10.77.0.2").hear("capability", "connectB", "heartbeat", "syncRequest");
    // It takes over what our bundles call themselves.
    expect(sw.take()).toContainEqual(expect.objectContaining({ kind: "systemConfig", system: "02:4d:4c:00:00:01" }));
    sw.hear("syncBegin", "system", "aggregator", "aggregatorUp", "portChannel", "peerLink", "syncEnd");
    expect([sw.state.situation, sw.state.role, sw.state.synced]).toEqual(["paired", "primary", true]);
    expect(sw.said("mlag.role").at(-1)).toMatchObject({ role: "primary", reason: "by-address" });
    expect(sw.state.halves[0]).toMatchObject({ peer: "up", isolated: "all" });
    expect(sw.take()).toContainEqual({ kind: "interfaceUp", type: 1, isolation: 1, interface: 10 });

    // A host appears at our half: iccpd is asked for isolation in its own words, and its ACK opens the gate.
    sw.run(1.1);
    sw.take();
    const partner = {
      type: "lacp.partner",
      bundle: "PortChannel10",
      system: mac("02:cc:00:00:00:01"),
      priority: 1,
      key: 1,
    };
    sw.say(partner as Event);
    expect(sw.take()).toContainEqual(expect.objectContaining({ kind: "aggregatorState", aggregator: 10, state: 0 }));
    expect(sw.state.halves[0]).toMatchObject({ gate: "asked", hold: true });
    sw.hear("interfaceUp");
    expect(sw.state.halves[0]).toMatchObject({ gate: "open", hold: false });
    sw.say({ type: "lacp.bundle", bundle: "PortChannel10", up: true, members: 1, reason: "member-joined" } as Event);
    expect(sw.said("mlag.member").at(-1)).toMatchObject({ id: 10, state: "active-full" });

    sw.hear("mac", "arp", "nd", "orphan");
    expect(stations(sw)).toEqual([`${STATIONS[0]} 100 PortChannel10`, `${STATIONS[1]} 100 Ethernet0`]);
  });

  it("as standby: secondary, with the active's system id towards its hosts; our stations reach it", () => {
    const sw = new Switch("10.77.0.2", "10.77.0.1").hear("capability", "connectA", "heartbeat");
    // Our own parameters stand in Capability only, where it leaves them out.
    const told = sw.take().filter(({ kind }) => kind !== "other");
    expect(told.map(({ kind }) => kind)).toEqual(["capability", "senderName", "heartbeat", "syncRequest"]);
    sw.hear("syncBegin", "system", "aggregator", "aggregatorUp", "portChannel", "peerLink", "syncEnd", "syncRequest");
    expect([sw.state.situation, sw.state.role, sw.state.synced]).toEqual(["paired", "secondary", true]);
    expect(sw.said("mlag.system").at(-1)).toMatchObject({ bundle: "PortChannel10", system: "02:00:00:00:01:01" });
    sw.hear("mac");
    expect(stations(sw)).toEqual([`${STATIONS[0]} 100 PortChannel10`]);
    sw.take();
    const learned = {
      type: "mac.learned",
      vlan: 100,
      mac: mac("00:aa:bb:cc:dd:02"),
      port: "PortChannel10",
      origin: "local",
    };
    sw.say(learned as Event);
    const entry = { operation: 1, type: 2, mac: "00:aa:bb:cc:dd:02", vlan: 100, interface: "PortChannel10" };
    expect(sw.take()).toEqual([{ kind: "macList", entries: [entry] }]);
  });

  it("a station that moves to the peer is the peer's: its last word wins, though iccpd counts nothing", () => {
    const sw = new Switch("10.77.0.1", "10.77.0.2").hear("capability", "connectB", "heartbeat", "syncRequest");
    sw.hear("syncBegin", "aggregator", "aggregatorUp", "syncEnd").run(1.1);
    for (let i = 0; i < 50; i++) {
      const station = mac(`00:aa:bb:cc:ee:${i.toString(16).padStart(2, "0")}`);
      sw.say({ type: "mac.learned", vlan: 100, mac: station, port: "Ethernet4", origin: "local" } as Event);
    }
    const here = { type: "mac.learned", vlan: 100, mac: mac(STATIONS[0] ?? ""), port: "Ethernet4", origin: "local" };
    sw.say(here as Event);
    expect(stations(sw)).toEqual([]);
    sw.hear("mac");
    expect(stations(sw)).toEqual([`${STATIONS[0]} 100 PortChannel10`]);
  });

  it("15 s of silence end it: what follows is a split of which nothing is known, for iccpd has no keepalive", () => {
    const sw = new Switch("10.77.0.1", "10.77.0.2").hear("capability", "connectB", "heartbeat", "syncRequest");
    sw.hear("syncBegin", "system", "aggregator", "aggregatorUp", "syncEnd").run(8);
    expect(sw.state.session).toBe(true);
    for (let i = 0; i < 1_750; i++) {
      sw.now += 10_000;
      if (sw.node.deadline() <= sw.now) sw.node.step({ kind: "timer" }, sw.at);
    }
    expect([sw.state.session, sw.state.situation, sw.state.role]).toEqual([false, "silent", "primary"]);
  });
});
