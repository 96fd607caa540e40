/** The machine on nodes: octets on the keepalive path, items on the session's port, events from and to its siblings. */
import { expect, it } from "vitest";
import { iccpPort } from "../../../protocols/iccp/events.ts";
import { decodeIp } from "../../../protocols/ip/codec.ts";
import { decodeKeepalive } from "../../../protocols/mlag/codec.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import { type MlagMachineState, mlag, SESSION } from "../../../protocols/mlag/machine.ts";
import { decodeUdp } from "../../../protocols/udp/codec.ts";
import { Frame } from "../../../src/core/frame.ts";
import { Log } from "../../../src/core/log.ts";
import type { Event } from "../../../src/core/machine.ts";
import { mount } from "../../../src/core/machine.ts";
import { instant } from "../../../src/core/time.ts";
import { Node } from "../../../src/node/node.ts";
import { mac, probe, Recorder } from "../../support/probe.ts";

/** A switch whose session and IP stack are ends of a string. */
class Switch {
  readonly node: Node;
  readonly recorder = new Recorder(false);
  other: Switch | undefined;
  now = 0;
  cut = false;
  readonly keepalives: string[] = [];

  constructor(name: string, priority: number, address: string, peer: string) {
    const log = new Log();
    log.follow(this.recorder);
    const own = mac(`02:00:00:00:00:0${priority / 100}`);
    this.node = new Node({ name, id: priority, seed: 1, mac: () => own }, { apply() {}, wake() {} }, log);
    const keepalive = { port: "ka", address: `${address}/30`, peer };
    const members = [{ port: "agg1", id: 1 }];
    const config = mlagSchema.parse({
      domain: 10,
      priority,
      "peer-link": "peer",
      keepalive,
      members,
      "restore-delay": "2s",
    });
    const end = (port: string) =>
      probe(
        {
          name: `end-${port}`,
          owns: [port],
          claims: (at) => at.name === port,
          step: (_probe, input) => this.carry(port, input),
        },
        this.node,
      );
    this.node.mount([end(iccpPort(SESSION)), end("ip"), mount(mlag, config, this.node)]);
  }

  get state(): MlagMachineState {
    return this.node.machine("mlag")?.state as MlagMachineState;
  }

  private carry(port: string, input: { readonly kind: string; readonly frame?: Frame; readonly command?: object }) {
    if (input.kind === "command") {
      const { up } = input.command as { up: boolean };
      return [{ kind: "link" as const, port: this.node.port(port), up }];
    }
    if (input.kind !== "frame" || input.frame === undefined) return [];
    const { frame } = input;
    if (port === "ip") this.note(frame);
    const { other } = this;
    if (other !== undefined && !other.cut && !this.cut) other.inbox.push({ port, frame });
    return [];
  }

  readonly inbox: { port: string; frame: Frame }[] = [];

  private note(frame: Frame): void {
    const packet = decodeIp(frame.bytes.subarray(frame.payload));
    const datagram = packet.ok ? decodeUdp(packet.value.payload, packet.value) : packet;
    const message = datagram.ok ? decodeKeepalive(datagram.value.payload) : datagram;
    this.keepalives.push(message.ok ? `${message.value.kind} ${message.value.rank}` : message.reason);
  }

  port(name: string, up: boolean): void {
    const owned = name === iccpPort(SESSION);
    if (owned) this.node.step({ kind: "command", to: `end-${name}`, command: { verb: "set", up } as never }, this.at);
    else this.node.step({ kind: "link", port: this.node.port(name), up }, this.at);
  }

  hear(event: Event): void {
    this.node.step({ kind: "heard", event }, this.at);
  }

  get at() {
    return instant(this.now);
  }

  get said(): string[] {
    return this.recorder.entries
      .splice(0)
      .flatMap(({ what }) => (what.kind === "event" ? [JSON.stringify(what.event)] : []));
  }
}

function pair(): [Switch, Switch] {
  const [a, b] = [new Switch("sw1", 100, "10.99.0.1", "10.99.0.2"), new Switch("sw2", 200, "10.99.0.2", "10.99.0.1")];
  a.other = b;
  b.other = a;
  return [a, b];
}

/** Runs both to `seconds`, in steps of a millisecond, with what is on the strings. */
function until(both: readonly Switch[], seconds: number): void {
  for (let now = both[0]?.now ?? 0; now <= seconds * 1e6; now += 1_000) {
    for (const one of both) {
      one.now = now;
      // As the IP stack and the session hand up: by the owner of the port.
      for (const { port, frame } of one.inbox.splice(0))
        one.node.deliver(one.node.port(port), Frame.of(frame.bytes), one.at);
      if (one.node.deadline() <= now) one.node.step({ kind: "timer" }, one.at);
    }
  }
}

it("two switches find each other on both paths, restore, suspend when the session is lost, and say all of it", () => {
  const both = pair();
  const [a, b] = both;
  for (const one of both) {
    one.node.step({ kind: "command", to: "mlag", command: { verb: "start" } }, one.at);
    for (const port of ["peer", "ka", iccpPort(SESSION)]) one.port(port, true);
    const partner = { type: "lacp.partner", bundle: "agg1", system: mac("02:cc:00:00:00:01"), priority: 1, key: 1 };
    one.hear(partner as Event);
  }
  until(both, 3);
  expect([a, b].map(({ state }) => `${state.core.role} ${state.core.situation}`)).toEqual([
    "primary paired",
    "secondary paired",
  ]);
  for (const one of both) {
    expect(one.state.core.halves[0]).toMatchObject({ hold: false, suspended: false, gate: "lapsed" });
    one.hear({ type: "lacp.bundle", bundle: "agg1", up: true, members: 1, reason: "member-joined" } as Event);
  }
  until(both, 4);
  const text = a.said.join("\n");
  for (const word of [
    '"type":"mlag.session","up":true',
    '"type":"mlag.role","role":"primary"',
    '"type":"mlag.keepalive","up":true',
    '"type":"mlag.system","bundle":"agg1","system":"02:4d:4c:00:00:0a","priority":32768,"portOffset":0',
    '"type":"mlag.isolate","from":"peer","to":"agg1","isolated":true',
    '"type":"mlag.redirect","port":"agg1","via":"peer"',
    '"state":"active-full"',
  ]) {
    expect(text).toContain(word);
  }
  expect(new Set(a.keepalives)).toEqual(new Set(["hello -1", "hello 2"]));

  // Stations and interfaces go over the session.
  a.hear({ type: "mac.learned", vlan: 1, mac: mac("02:aa:00:00:00:01"), port: "agg1", origin: "local" } as Event);
  a.hear({ type: "ip.addresses", port: "vlan1", mac: mac("02:00:00:00:00:01"), up: true, addresses: [] } as Event);
  until(both, 4.1);
  const heard = b.said.filter((line) => line.includes("mlag.mac"));
  expect(heard).toEqual([
    '{"type":"mlag.mac","vlan":1,"mac":"02:aa:00:00:00:01","port":"agg1","present":true}',
    '{"type":"mlag.mac","vlan":1,"mac":"02:00:00:00:00:01","port":"peer","present":true}',
  ]);

  for (const one of both) one.port(iccpPort(SESSION), false);
  until(both, 4.5);
  expect([a, b].map(({ state }) => state.core.halves[0]?.suspended)).toEqual([false, true]);
  expect(b.keepalives).toContain("probe 0");
  expect(a.keepalives).toContain("answer 2");
  expect(b.said.filter((line) => line.includes("mlag.suspend"))).toEqual([
    '{"type":"mlag.suspend","bundle":"agg1","suspended":true,"reason":"peer-alive"}',
  ]);
});
