/** Flows over stacks, links and faults: in the simulator, as a lab has them. */
import { describe, expect, it } from "vitest";
import { flowProtocol } from "../../../protocols/flow/index.ts";
import { interfacesSchema } from "../../../protocols/ip/config.ts";
import type { IpVirtual } from "../../../protocols/ip/events.ts";
import { ipProtocol } from "../../../protocols/ip/index.ts";
import type { Ip } from "../../../src/core/addr.ts";
import { Log } from "../../../src/core/log.ts";
import { instant, ms, sec } from "../../../src/core/time.ts";
import { World } from "../../../src/host/sim/world.ts";
import type { Flow, FlowRecord, Meter, NodeConfig } from "../../../src/node/protocol.ts";

const END = instant(sec(10));

/** a — r — b, gateways at r. */
const NODES: readonly NodeConfig[] = [
  node("a", { eth0: { addresses: ["10.0.1.2/24", "2001:db8:1::2/64"], gateway: ["10.0.1.1", "2001:db8:1::1"] } }),
  node("r", {
    left: { addresses: ["10.0.1.1/24", "2001:db8:1::1/64"] },
    right: { addresses: ["10.0.2.1/24", "2001:db8:2::1/64"] },
  }),
  node("b", { eth0: { addresses: ["10.0.2.2/24", "2001:db8:2::2/64"], gateway: ["10.0.2.1", "2001:db8:2::1"] } }),
];

function node(name: string, interfaces: object): NodeConfig {
  return { node: name, interfaces: interfacesSchema.parse(interfaces) };
}

function flow(to: string, more: Partial<Flow> = {}): Flow {
  return { id: "f", from: "a", to: to as Ip, rate: 1000, size: 200, start: instant(sec(1)), ...more };
}

interface Lab {
  readonly world: World;
  readonly log: Log;
  readonly meter: Meter;
}

function lab(flows: readonly Flow[], everything = false): Lab & { readonly octets: Uint8Array[] } {
  const log = new Log();
  const octets: Uint8Array[] = [];
  if (everything) {
    log.follow({
      everything: true,
      read: ({ what }) => {
        if (what.kind === "send") octets.push(what.frame.bytes);
      },
    });
  }
  const world = new World({ seed: 1, log });
  const meter = flowProtocol.meter?.(flows, NODES, END);
  if (meter === undefined) throw new Error("no meter");
  for (const config of NODES) {
    world.addNode(config.node, (on) => {
      on.mount(ipProtocol.mount?.(config["interfaces"] as never, config, on) ?? []);
      on.mount(meter.mount(config, on));
    });
  }
  world.addLink({ id: "left", delay: 5_000, rate: 1e9 }, [
    { node: "a", port: "eth0" },
    { node: "r", port: "left" },
  ]);
  world.addLink({ id: "right", delay: 5_000, rate: 1e9 }, [
    { node: "r", port: "right" },
    { node: "b", port: "eth0" },
  ]);
  return { world, log, meter, octets };
}

function run({ world, meter }: Lab): FlowRecord {
  world.start();
  world.run(END * 1_000);
  return meter.record("f", END);
}

describe("a flow of datagrams", () => {
  it.each(["10.0.2.2", "2001:db8:2::2"])("to %s arrives whole, over a router", (to) => {
    const one = lab([flow(to, { stop: instant(sec(9)) })]);
    expect(run(one)).toMatchObject({ sent: 8000, received: 8000, lost: 0, duplicated: 0, reordered: 0 });
  });

  it("is the same whether or not somebody reads the octets", () => {
    const flows = [flow("10.0.2.2")];
    const silent = run(lab(flows));
    const watched = lab(flows, true);
    expect(run(watched)).toEqual(silent);
    expect(watched.octets.length).toBeGreaterThan(17_000);
    const ip = watched.octets.filter((bytes) => bytes[12] === 8 && bytes[13] === 0);
    expect(ip.every((bytes) => bytes.length === 200)).toBe(true);
    // Every eighth is enough; all of them were made.
    for (let i = 0; i < ip.length; i += 8) {
      const bytes = ip[i] as Uint8Array;
      expect([63, 64]).toContain(bytes[22]);
    }
  });

  it("loses what is sent while a link is cut, and says when", () => {
    const one = lab([flow("10.0.2.2")]);
    one.world.schedule(3_000_000_000, { verb: "cut", link: "right" });
    one.world.schedule(3_500_000_000, { verb: "heal", link: "right" });
    const { lost, longestGap } = run(one);
    expect(lost).toBeGreaterThanOrEqual(500);
    expect(lost).toBeLessThanOrEqual(502);
    expect(longestGap).toBeGreaterThan(0.5);
    expect(longestGap).toBeLessThan(0.51);
    expect(one.meter.record("f", END, instant(sec(3)), instant(ms(3500)))).toMatchObject({ sent: 500, lost: 500 });
    expect(one.meter.record("f", END, instant(sec(4)))).toMatchObject({ lost: 0 });
  });

  it("is not sent while its node has no power, and what was counted before is kept", () => {
    const one = lab([flow("10.0.2.2")]);
    one.world.schedule(3_000_000_000, { verb: "power-off", node: "a" });
    one.world.schedule(5_000_000_000, { verb: "power-on", node: "a" });
    const whole = run(one);
    expect(whole.sent).toBeGreaterThan(6900);
    expect(whole.sent).toBeLessThan(7010);
    expect(whole.lost).toBeLessThan(5);
    expect(one.meter.record("f", END, instant(ms(3100)), instant(ms(4900)))).toMatchObject({ sent: 0, lost: 0 });
  });

  it("is lost while the node at its end has no power", () => {
    const one = lab([flow("10.0.2.2")]);
    one.world.schedule(3_000_000_000, { verb: "power-off", node: "b" });
    one.world.schedule(5_000_000_000, { verb: "power-on", node: "b" });
    run(one);
    expect(one.meter.record("f", END, instant(ms(3001)), instant(sec(5)))).toMatchObject({ sent: 1999, lost: 1999 });
    expect(one.meter.record("f", END, instant(ms(5100)))).toMatchObject({ lost: 0 });
  });

  it("does not make up for the time in which its node stood still", () => {
    const one = lab([flow("10.0.2.2")]);
    one.world.schedule(3_000_000_000, { verb: "pause", node: "a" });
    one.world.schedule(4_000_000_500, { verb: "resume", node: "a" });
    const { sent, lost } = run(one);
    expect(sent).toBeGreaterThan(7900);
    expect(sent).toBeLessThan(8002);
    expect(lost).toBe(0);
  });

  it("to an address that nobody answers for is lost whole", () => {
    const one = lab([flow("10.0.2.77")]);
    expect(run(one)).toMatchObject({ received: 0, longestGap: expect.closeTo(8.95, 1) });
  });

  it("has a count of its own beside others, from any node", () => {
    const flows = [
      flow("10.0.2.2"),
      flow("10.0.1.2", { id: "back", from: "b", rate: 333 }),
      flow("10.0.1.1", { id: "near", rate: 10 }),
    ];
    const one = lab(flows);
    expect(run(one)).toMatchObject({ lost: 0 });
    expect(one.meter.record("back", END)).toMatchObject({ lost: 0 });
    expect(one.meter.record("near", END).sent).toBeGreaterThanOrEqual(89);
    expect(one.meter.record("near", END)).toMatchObject({ lost: 0 });
  });
});

describe("a flow to a virtual address", () => {
  const VIP = { address: "10.0.1.254" as Ip, length: 24 };
  const change = (present: boolean): IpVirtual => {
    const base = { type: "ip.virtual", port: "left", vrid: 1, family: "ipv4", accept: true } as const;
    return { ...base, addresses: [VIP], present };
  };

  it("is echo requests, counted by the replies that come back", () => {
    const one = lab([flow(VIP.address, { rate: 100, size: 64 })], true);
    one.world.start();
    one.world.node("r")?.step({ kind: "heard", event: change(true) }, instant(0));
    one.world.run(5_000_000_000);
    one.world.node("r")?.step({ kind: "heard", event: change(false) }, instant(sec(5)));
    one.world.run(END * 1_000);
    expect(one.meter.record("f", END, instant(sec(1)), instant(sec(5)))).toMatchObject({
      sent: 400,
      received: 400,
      lost: 0,
    });
    expect(one.meter.record("f", END, instant(ms(5001)))).toMatchObject({ received: 0 });
    const echo = one.octets.filter((b) => b[12] === 8 && b[13] === 0 && b[23] === 1 && (b[34] === 0 || b[34] === 8));
    expect(echo.length).toBeGreaterThan(800);
    expect(echo.every((bytes) => bytes.length === 64)).toBe(true);
  });
});
