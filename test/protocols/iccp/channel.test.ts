import { describe, expect, it } from "vitest";
import { bridgeProtocol } from "../../../protocols/bridge/index.ts";
import { ICCP_PORT } from "../../../protocols/iccp/codec.ts";
import { channelPort } from "../../../protocols/iccp/events.ts";
import { mountChannel, mountIccp } from "../../../protocols/iccp/index.ts";
import { interfacesSchema } from "../../../protocols/ip/config.ts";
import { ipMachine } from "../../../protocols/ip/machine.ts";
import { mountTcp } from "../../../protocols/tcp/index.ts";
import { assert } from "../../../src/core/assert.ts";
import { Log } from "../../../src/core/log.ts";
import { mount } from "../../../src/core/machine.ts";
import { World } from "../../../src/host/sim/world.ts";
import { ip, mac, SECOND } from "./bench.ts";

describe("the control VLAN of a peer link", () => {
  it("carries the session over a port that is the bridge's, and none of it reaches another port", () => {
    const log = new Log();
    const ups: string[] = [];
    const leaked: string[] = [];
    const tags = new Set<number>();
    log.follow({
      everything: true,
      read: ({ what, node }) => {
        if (what.kind === "event" && what.event.type === "iccp.session") ups.push(node);
        if (what.kind !== "send") return;
        if (what.port.name === "p1") leaked.push(node);
        if (what.port.name === "peer") tags.add(what.frame.vid);
      },
    });
    const world = new World({ seed: 1, log });
    for (const i of [1, 2]) {
      const config = { name: "peer", local: ip(`169.254.1.${i}`), peer: ip(`169.254.1.${3 - i}`) };
      world.addNode(`sw${i}`, (node) => {
        const bridge = bridgeProtocol.schema?.parse({ ports: ["peer", "p1"] });
        assert(bridge !== undefined && bridgeProtocol.mount !== undefined, "no bridge");
        node.mount(bridgeProtocol.mount(bridge, { node: `sw${i}` }, node));
        node.mount(mountChannel({ peerLink: "peer" }, node));
        const interfaces = interfacesSchema.parse({ [channelPort("peer")]: { addresses: [`${config.local}/30`] } });
        node.mount([mount(ipMachine, interfaces, node)]);
        node.mount(mountTcp([{ ...config, port: ICCP_PORT, role: i === 1 ? "connect" : "listen" }], node));
        node.mount(mountIccp([{ ...config, domain: 1, system: mac(`02:00:00:00:00:0${i}`) }], node));
      });
      world.addNode(`host${i}`, () => {});
    }
    world.addLink({ id: "peer", delay: 1000, rate: 40e9 }, [
      { node: "sw1", port: "peer" },
      { node: "sw2", port: "peer" },
    ]);
    for (const i of [1, 2]) {
      world.addLink({ id: `p${i}` }, [
        { node: `sw${i}`, port: "p1" },
        { node: `host${i}`, port: "e0" },
      ]);
    }
    world.start();
    world.run(5 * SECOND);
    expect(ups).toEqual(expect.arrayContaining(["sw1", "sw2"]));
    expect([...tags]).toEqual([4094]);
    expect(leaked).toEqual([]);
  });
});
