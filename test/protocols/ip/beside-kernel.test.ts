/** The stack beside a kernel's own: it has what a machine needs for itself, and hands down what it has no way for. */
import { describe, expect, it } from "vitest";
import { arpFrame, arpRequest } from "../../../protocols/arp/codec.ts";
import { ipPacket } from "../../../protocols/ip/codec.ts";
import { packetFrame } from "../../../protocols/ip/events.ts";
import { besideKernel } from "../../../protocols/ip/machine.ts";
import { BROADCAST, type Ip, type Ip4 } from "../../../src/core/addr.ts";
import { sec } from "../../../src/core/time.ts";
import { mac, packetIn, Rig } from "../../support/ip.ts";

const PEER = mac("02:00:00:00:00:99");

function rig() {
  return new Rig(
    "n",
    { ka: { addresses: ["10.99.0.1/30"] }, "peer.4094": { addresses: ["fe80::1/64"] } },
    besideKernel,
  );
}

function send(on: Rig, source: string, destination: string): void {
  const payload = new Uint8Array(8);
  on.send(packetFrame(ipPacket({ source: source as Ip, destination: destination as Ip, protocol: 112, payload })));
}

describe("beside the kernel's stack", () => {
  it.each([
    ["another network", "192.0.2.2", "192.0.2.3"],
    ["a link that is none of its own", "fe80::2", "fe80::3"],
    ["IPv6 elsewhere", "2001:db8::2", "2001:db8::3"],
  ])("a packet to %s is the kernel's, whole", (_, source, destination) => {
    const on = rig();
    send(on, source, destination);
    const [sent, ...more] = on.take();
    expect(more).toEqual([]);
    expect(sent?.port).toBe("kernel/ip");
    expect(packetIn(sent?.frame)).toMatchObject({ source, destination, protocol: 112 });
    expect(on.losses).toEqual({});
  });

  it.each([
    ["ka", "10.99.0.1", "10.99.0.2"],
    ["peer.4094", "fe80::1", "fe80::9"],
  ])("a packet by %s stays its own: it asks for the neighbour there", (port, source, destination) => {
    const on = rig();
    send(on, source, destination);
    expect(on.take().map((one) => one.port)).toEqual([port]);
  });

  it("while an interface is down the way by it is nobody's but the kernel's", () => {
    const on = rig();
    on.link("ka", false);
    send(on, "10.99.0.1", "10.99.0.2");
    expect(on.take().map((one) => one.port)).toEqual(["kernel/ip"]);
  });

  it("answers for what it was given, and has no link-local address besides: that is the kernel's", () => {
    const on = rig();
    on.arrive("ka", arpFrame(arpRequest(PEER, "10.99.0.2" as Ip4, "10.99.0.1" as Ip4), BROADCAST));
    expect(on.take()).toHaveLength(1);
    expect(on.events).toContainEqual(
      expect.objectContaining({ type: "ip.addresses", port: "ka", addresses: ["10.99.0.1/30"] }),
    );
    expect(on.state.interfaces.map(({ addresses }) => addresses.length)).toEqual([1, 1]);
  });

  it("says once that a neighbour does not answer, and again after it has", () => {
    const on = rig();
    const silences = () => on.events.filter(({ type }) => type === "ip.unresolved").length;
    const tryFor = (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        send(on, "10.99.0.1", "10.99.0.2");
        on.wait(sec(1));
      }
    };
    tryFor(60);
    expect(silences()).toBe(1);
    expect(on.losses).toEqual({ "no-neighbour": 60 });
    on.arrive("ka", arpFrame(arpRequest(PEER, "10.99.0.2" as Ip4, "10.99.0.1" as Ip4), BROADCAST));
    tryFor(60);
    expect(silences()).toBe(2);
  });
});
