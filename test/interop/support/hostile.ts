/** An LACP speaker that says whatever a test wants at the far end of a link. */
import { ETHERTYPE, ethernet } from "../../../protocols/ethernet/codec.ts";
import { encodeLacpdu, type LacpInfo, PDU_SIZE, SLOW_GROUP, STATE } from "../../../protocols/lacp/codec.ts";
import type { Mac } from "../../../src/core/addr.ts";
import { below, type Rng } from "../../../src/core/rng.ts";
import { Injector } from "./injector.ts";
import { until } from "./namespaces.ts";
import type { LinkName, Trunk } from "./trunk.ts";

const MAC = "02:00:00:00:00:66" as Mac;
const ALL_ON =
  STATE.activity |
  STATE.shortTimeout |
  STATE.aggregation |
  STATE.synchronization |
  STATE.collecting |
  STATE.distributing;

export class Hostile {
  private readonly injector: Injector;

  constructor(
    private readonly trunk: Trunk,
    private readonly link: LinkName,
  ) {
    this.injector = new Injector(trunk.far, `v${link}`);
  }

  /** The LACPDU of a partner of this name that agrees to what hotpair said last on the link. */
  agreeing(system: string, more: Partial<LacpInfo> = {}): Uint8Array {
    const last = this.trunk.lacpdus("ours", this.link).at(-1)?.pdu.actor;
    if (last === undefined) throw new Error("hotpair has said nothing yet on this link");
    const common = { systemPriority: 1, key: 1, portPriority: 1, port: 1, state: ALL_ON };
    return frameOf({ ...common, system: system as Mac, ...more }, last);
  }

  /** Sends all of them, so many each 5 ms: more than a receiver could expect, and less than its queue takes. */
  async say(frames: readonly Uint8Array[], at: number): Promise<void> {
    let sent = 0;
    let due = performance.now();
    await until(`${frames.length} frames are sent`, () => {
      for (; due <= performance.now() && sent < frames.length; due += 5) {
        for (const end = Math.min(sent + at, frames.length); sent < end; sent++) {
          const frame = frames[sent];
          if (frame !== undefined && !this.injector.send(frame)) break;
        }
      }
      return sent >= frames.length;
    });
  }

  close(): void {
    this.injector.close();
  }
}

function frameOf(actor: LacpInfo, partner: LacpInfo): Uint8Array {
  const pdu = encodeLacpdu({ version: 1, actor, partner, collectorMaxDelay: 0 });
  return ethernet(SLOW_GROUP, MAC, ETHERTYPE.slow, pdu);
}

/** Where a field begins within the PDU, and its octets. */
const FIELDS = [
  [0, 1],
  [1, 1],
  [2, 1],
  [3, 1],
  ...[4, 24].flatMap((at) => [
    [at, 2],
    [at + 2, 6],
    [at + 8, 2],
    [at + 10, 2],
    [at + 12, 2],
    [at + 14, 1],
    [at + 15, 3],
  ]),
  [22, 1],
  [23, 1],
  [42, 1],
  [43, 1],
  [44, 2],
  [46, 12],
  [58, 2],
  [60, 50],
] as const;
const HEADER = 14;

/** A frame with one to four of its fields made anew, now and then with another length. Its system is never `spared`. */
export function fuzzed(frame: Uint8Array, rng: Rng, spared: string): Uint8Array {
  for (;;) {
    const made = frame.slice();
    for (let left = 1 + below(rng, 4); left > 0; left--) {
      const [at = 0, size = 0] = FIELDS[below(rng, FIELDS.length)] ?? [];
      for (let i = 0; i < size; i++) made[HEADER + at + i] = below(rng, 256);
    }
    const length = below(rng, 16) === 0 ? HEADER + below(rng, 2 * PDU_SIZE) : made.length;
    const cut = new Uint8Array(length);
    cut.set(made.subarray(0, length));
    const system = Array.from(cut.subarray(HEADER + 6, HEADER + 12), (octet) => octet.toString(16).padStart(2, "0"));
    if (system.join(":") !== spared) return cut;
  }
}
