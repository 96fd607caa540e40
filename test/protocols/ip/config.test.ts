import { describe, expect, it } from "vitest";
import {
  checkInterfaces,
  compareInterfaces,
  forwards,
  type InterfacesConfig,
  interfacesSchema,
} from "../../../protocols/ip/config.ts";
import { Rig } from "../../support/ip.ts";

const read = (interfaces: object): InterfacesConfig => interfacesSchema.parse(interfaces);
const problems = (interfaces: object) =>
  checkInterfaces(read(interfaces)).map(({ path, message }) => `${path.join(".")}: ${message}`);

describe("interfaces of a node's file", () => {
  it("takes the examples as they stand", () => {
    expect(problems({ bond0: { addresses: ["10.0.0.10/24"], gateway: "10.0.0.1" } })).toEqual([]);
    expect(problems({ vlan1: { addresses: ["10.0.0.2/24"] } })).toEqual([]);
    expect(
      problems({ eth0: { addresses: ["10.0.0.2/24", "2001:db8::2/64"], gateway: ["10.0.0.1", "fe80::1"] } }),
    ).toEqual([]);
    expect(problems({ eth0: {} })).toEqual([]);
  });

  it("refuses unknown keys and wrong values", () => {
    for (const wrong of [{ adresses: [] }, { addresses: ["10.0.0.1"] }, { gateway: "10.0.0.1/24" }, { gateway: [] }]) {
      expect(interfacesSchema.safeParse({ eth0: wrong }).success).toBe(false);
    }
  });

  it.each([
    ["10.0.0.0/24", "found 10.0.0.0/24, which is the address of the network itself"],
    ["10.0.0.255/24", "found 10.0.0.255/24, which is the broadcast address of its network"],
    ["224.0.0.5/24", "found 224.0.0.5/24, which is a multicast address"],
    ["ff02::5/64", "found ff02::5/64, which is a multicast address"],
    ["127.0.0.1/8", "found 127.0.0.1/8, which is a loopback address"],
    ["::1/128", "found ::1/128, which is the loopback address"],
    ["0.0.0.0/0", "found 0.0.0.0/0, which is the unspecified address"],
  ])("says why %s cannot be an interface's address", (address, message) => {
    expect(problems({ eth0: { addresses: [address] } })).toEqual([`eth0.addresses.0: ${message}`]);
  });

  it("takes both addresses of a network of two (RFC 3021)", () => {
    expect(problems({ eth0: { addresses: ["10.0.0.0/31"] }, eth1: { addresses: ["10.0.1.1/31"] } })).toEqual([]);
  });

  it("refuses an address twice in a node, a link-local one twice on an interface", () => {
    const twice = problems({
      eth0: { addresses: ["10.0.0.1/24", "fe80::1/64"] },
      eth1: { addresses: ["10.0.0.1/24", "fe80::1/64"] },
    });
    expect(twice).toEqual(["eth1.addresses.0: found 10.0.0.1, which is on eth0 already; allowed: once in a node"]);
    expect(problems({ eth0: { addresses: ["fe80::1/64", "fe80::1/64"] } }).length).toBe(1);
  });

  it("refuses next hops that the interface cannot reach, and two gateways of a family", () => {
    expect(problems({ eth0: { addresses: ["10.0.0.1/24"], gateway: "10.0.1.1" } })).toEqual([
      "eth0.gateway: found 10.0.1.1, allowed: another node in a network of this interface (10.0.0.1/24)",
    ]);
    expect(problems({ eth0: { addresses: ["10.0.0.1/24"], gateway: "10.0.0.1" } }).length).toBe(1);
    expect(problems({ eth0: { addresses: ["10.0.0.1/24"], gateway: ["10.0.0.2", "10.0.0.3"] } })).toEqual([
      "eth0.gateway: found 10.0.0.3, allowed: one gateway for each family",
    ]);
    const routes = [
      { to: "10.9.0.0/16", via: "2001:db8::1" },
      { to: "10.9.0.0/16", via: "10.0.7.1" },
      { to: "10.9.0.0/16", via: "10.0.0.7" },
    ];
    expect(problems({ eth0: { addresses: ["10.0.0.1/24"], routes } }).map((text) => text.split(":")[0])).toEqual([
      "eth0.routes.0.via",
      "eth0.routes.1.via",
    ]);
  });

  it("finds an address that two nodes have", () => {
    const nodes = [
      { node: "a", interfaces: read({ eth0: { addresses: ["10.0.0.1/24", "fe80::1/64"] } }) },
      {
        node: "b",
        interfaces: read({ eth0: { addresses: ["10.0.0.2/24"] }, eth1: { addresses: ["10.0.0.1/24", "fe80::1/64"] } }),
      },
      { node: "c" },
    ];
    expect(compareInterfaces(nodes)).toEqual([
      {
        node: "b",
        path: ["interfaces", "eth1", "addresses", 0],
        message: "found 10.0.0.1, which a has already; allowed: an address of one node only",
        warning: false,
      },
    ]);
  });

  it("forwards by default where more than one interface has addresses, of those that are not said not to", () => {
    const [eth0, eth1] = [{ addresses: ["10.0.0.1/24"] }, { addresses: ["10.0.1.1/24"] }];
    const aside = { addresses: ["10.0.2.1/24"], forwarding: false };
    const which = (interfaces: object) => Object.keys(interfaces).map((name) => forwards(read(interfaces), name));
    expect(which({ eth0, eth1: {} })).toEqual([false, false]);
    expect(which({ eth0, eth1: aside })).toEqual([false, false]);
    expect(which({ eth0, eth1, eth2: aside })).toEqual([true, true, false]);
  });

  it("makes a link-local address where the file has none", () => {
    const automatic = new Rig("r", { eth0: { addresses: ["10.0.0.1/24"] } });
    const given = new Rig("r", { eth0: { addresses: ["fe80::7/64"] } });
    const said = (r: Rig) => r.events.find(({ type }) => type === "ip.addresses");
    expect(said(automatic)).toMatchObject({
      port: "eth0",
      addresses: ["10.0.0.1/24", expect.stringMatching(/^fe80::.*\/64$/)],
    });
    expect(said(given)).toMatchObject({ addresses: ["fe80::7/64"] });
  });
});
