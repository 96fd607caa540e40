/** The item `gateway`: a MAC that routes, and the addresses behind it, in a number that its length does not tell. */
import { type Ip, ipBytes, ipFrom, macBytes, macFrom } from "../../src/core/addr.ts";
import type { Reader, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import type { ItemReason } from "./item-codec.ts";
import type { GatewayItem } from "./items.ts";

const HEADER = 10;
const IP4 = 4;
const IP6 = 16;

export function gatewaySize({ addresses }: GatewayItem): number {
  return addresses.reduce((sum, address) => sum + 1 + ipBytes(address).length, HEADER);
}

export function putGateway(writer: Writer, { vlan, mac, addresses }: GatewayItem): void {
  writer.u16(vlan).zero(2).put(macBytes(mac));
  for (const address of addresses) {
    const octets = ipBytes(address);
    writer.u8(octets.length).put(octets);
  }
}

export function readGateway(reader: Reader): Result<GatewayItem, ItemReason> {
  const vlan = reader.u16();
  reader.skip(2);
  const mac = macFrom(reader.view(6));
  if (reader.short) return drop("item-length");
  const addresses: Ip[] = [];
  while (reader.left > 0) {
    const length = reader.u8();
    const octets = reader.view(length);
    if (length !== IP4 && length !== IP6) return drop("item-value");
    if (reader.short) return drop("item-list");
    addresses.push(ipFrom(octets, length === IP4 ? "ipv4" : "ipv6"));
  }
  return ok({ kind: "gateway", vlan, mac, addresses });
}
