/**
 * What runs for the first time in Node.js takes milliseconds, and a takeover must not be the first time: before anything is
 * real, a node of the same configuration without any wire goes through its life a few times.
 */
import type { Mac } from "../../core/addr.ts";
import { Log } from "../../core/log.ts";
import { type Instant, instant, NEVER } from "../../core/time.ts";
import { machinesOf } from "../../node/machines.ts";
import { Node } from "../../node/node.ts";
import type { AnyProtocol, NodeConfig } from "../../node/protocol.ts";

const TIMES = 5;
/** Timers of one life: enough for every router of a large file to come to be master. */
const TIMERS = 2_000;
const MAC = "02:00:00:00:00:01" as Mac;
/** Of documentation (RFC 5737) and of every link. */
const ADDRESSES = ["192.0.2.1/32", "fe80::1/64"];

export function rehearse(protocols: readonly AnyProtocol[], config: NodeConfig): void {
  for (let time = 0; time < TIMES; time++) live(protocols, config);
}

function live(protocols: readonly AnyProtocol[], config: NodeConfig): void {
  const host = { apply: () => {}, wake: () => {} };
  const node = new Node({ name: config.node, id: 0, seed: 1, mac: () => MAC }, host, new Log());
  node.mount(machinesOf(protocols, config, node));
  let octets = 0;
  for (const name of node.wires()) {
    const port = node.port(name);
    node.attach(port, { transmit: (frame) => (octets += frame.bytes.length) });
    node.step({ kind: "heard", event: addressesOf(name) }, instant(0));
    node.step({ kind: "link", port, up: true }, instant(0));
  }
  let now: Instant = instant(0);
  node.step({ kind: "command", to: "*", command: { verb: "start" } }, now);
  for (let count = 0; count < TIMERS && node.deadline() !== NEVER; count++) {
    now = node.deadline();
    node.step({ kind: "timer" }, now);
  }
  node.step({ kind: "command", to: "*", command: { verb: "stop" } }, now);
}

function addressesOf(port: string) {
  return { type: "ip.addresses", port, mac: MAC, up: true, addresses: ADDRESSES };
}
