import fc from "fast-check";
import { expect, test } from "vitest";
import { removedTables } from "../../../src/host/linux/nftables.ts";

/** A netlink message (netlink(7)) with the attributes of a table: linux/netfilter/nf_tables.h. */
function message(type: number, ...attributes: readonly (readonly [number, string])[]): number[] {
  const body = attributes.flatMap(([kind, text]) => {
    const octets = [...new TextEncoder().encode(text), 0];
    const padding = (4 - (octets.length % 4)) % 4;
    return [...new Uint8Array(Uint16Array.of(4 + octets.length, kind).buffer), ...octets, ...Array(padding).fill(0)];
  });
  const words = [
    ...new Uint8Array(Uint32Array.of(20 + body.length).buffer),
    ...new Uint8Array(Uint16Array.of(type, 0).buffer),
  ];
  return [...words, ...Array(8).fill(0), 1, 0, 0, 0, ...body];
}

test("a table that is removed is found by its name, among messages of other kinds", () => {
  const created = message(0x0a00, [1, "hotpair-gw1"]);
  const removed = message(0x0a02, [2, "flags"], [1, "hotpair-gw2"]);
  const another = message(0x0a02, [1, "filter"]);
  expect(removedTables(Uint8Array.from([...created, ...removed, ...another]))).toEqual(["hotpair-gw2", "filter"]);
});

test("it never throws: for any octets, and for a message that is cut off anywhere", () => {
  const whole = message(0x0a02, [1, "hotpair-gw1"]);
  for (let length = 0; length < whole.length; length++) {
    expect(removedTables(Uint8Array.from(whole.slice(0, length)))).toEqual([]);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => Array.isArray(removedTables(octets))));
});
