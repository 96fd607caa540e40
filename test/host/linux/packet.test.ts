/** What a packet socket lets in, by the kernel's own hand. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../../src/core/bytes.ts";
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

    test("hears one VLAN, tag and all, also what is for another MAC; and nothing without a tag", async () => {
      const sender = new Peer(TWO, "p0", []);
      const listener = new Peer(ONE, "p0", [{ ethertype: 0x0800, protocol: 112, groups: [] }], 4094);
      try {
        const elsewhere = "02000000aaaa" + "020000000002";
        const tails = [
          packet("0001"),
          `81000ffd${packet("0002")}`,
          `8100cffe${packet("0003")}`,
          `8100cffe${packet("0004", "11")}`,
          `81000ffe${packet("0005")}`,
        ];
        for (const tail of tails) sender.send(fromHex(elsewhere + tail) ?? new Uint8Array());
        await listener.hears((frame) => frame[23] === 5);
        // The kernel has taken the tag off and says only its VLAN to a filter.
        const heard = listener.heard.map(({ frame }) => toHex(frame));
        expect(heard).toEqual(["0003", "0005"].map((id) => `${elsewhere}81000ffe${packet(id)}`));
      } finally {
        sender.close();
        listener.close();
      }
    });

    test("hears datagrams to one port, over IPv4 with options and over IPv6", async () => {
      const sender = new Peer(TWO, "p0", []);
      const listener = new Peer(ONE, "p0", [
        { ethertype: 0x0800, protocol: 17, port: 3200, groups: [] },
        { ethertype: 0x86dd, protocol: 17, port: 3200, groups: [] },
      ]);
      try {
        const udp = (port: string, id: string) => `0c80${port}000a0000${id}`;
        const four = (id: string, body: string, protocol = "11") =>
          `080045c0001e${id}0000ff${protocol}0000c0000202c0000201${body}`;
        const options = (body: string) => `080046c0002200000000ff110000c0000202c000020101010101${body}`;
        const six = (body: string, next = "11") => `86dd60000000000a${next}ff${"20010db8".padEnd(64, "0")}${body}`;
        const frames = [
          four("0001", udp("0c80", "0001")),
          four("0002", udp("0c81", "0002")),
          four("0003", udp("0c80", "0003"), "06"),
          options(udp("0c80", "0004")),
          options(udp("0c81", "0005")),
          six(udp("0c80", "0006")),
          six(udp("0c81", "0007")),
          six(udp("0c80", "0008"), "06"),
          four("0009", udp("0c80", "0009")),
        ];
        for (const tail of frames) sender.send(fromHex(MACS + tail) ?? new Uint8Array());
        await listener.hears((frame) => frame.at(-1) === 9);
        expect(listener.heard.map(({ frame }) => frame.at(-1))).toEqual([1, 4, 6, 9]);
      } finally {
        sender.close();
        listener.close();
      }
    });
  },
);
