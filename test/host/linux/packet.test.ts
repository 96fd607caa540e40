/** What a packet socket lets in, by the kernel's own hand. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromHex } from "../../../src/core/bytes.ts";
import { lacking, Peer, sh } from "./guarded.ts";

const MISSING = lacking();
const ONE = `hppk${process.pid}a`;
const TWO = `hppk${process.pid}b`;
const MACS = "01005e000012" + "020000000002";
/** The identification tells one packet from another. */
const packet = (id: string, protocol = "70") =>
  `080045c0001c${id}0000ff${protocol}0000c0000202e0000012${"00".repeat(8)}`;

describe.skipIf(MISSING !== undefined)(
  `a packet socket${MISSING === undefined ? "" : ` (skipped: ${MISSING})`}`,
  () => {
    beforeAll(() => {
      for (const ns of [ONE, TWO]) sh(`ip netns add ${ns}`);
      sh(`ip -n ${ONE} link add p0 type veth peer name p0 netns ${TWO}`);
      // The second finds its carrier at once.
      for (const ns of [ONE, TWO]) sh(`ip -n ${ns} link set p0 up`);
    });

    afterAll(() => {
      for (const ns of [ONE, TWO]) spawnSync("ip", ["netns", "del", ns]);
    });

    test("hears what is wanted, not its own, and nothing that another VLAN's interface is for", async () => {
      const groups = [fromHex("01005e000012") ?? new Uint8Array()];
      const sender = new Peer(TWO, "p0", [{ ethertype: 0x0800, protocol: 112, groups }]);
      const listener = new Peer(ONE, "p0", [{ ethertype: 0x0800, protocol: 112, groups }]);
      try {
        const ids = ["0001", "0002", "0003", "0004", "0005"];
        const tails = [
          packet("0001"),
          packet("0002", "11"),
          `8100000a${packet("0003")}`,
          // A priority without a VLAN: IEEE 802.1Q §6.9.
          `8100c000${packet("0004")}`,
          packet("0005"),
        ];
        for (const tail of tails) sender.send(fromHex(MACS + tail) ?? new Uint8Array());
        const idOf = (frame: Uint8Array) => ids[(frame[19] ?? 0) - 1];
        await listener.hears((frame) => idOf(frame) === "0005");
        expect(listener.heard.map(({ frame }) => idOf(frame))).toEqual(["0001", "0004", "0005"]);
        expect(sender.heard).toEqual([]);
      } finally {
        sender.close();
        listener.close();
      }
    });
  },
);
