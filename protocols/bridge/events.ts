import type { Mac } from "../../src/core/addr.ts";
import type { Event } from "../../src/core/machine.ts";

/** A station was found behind a port, or behind another one than before, or was not heard for the ageing time. */
export interface MacEvent extends Event {
  readonly type: "mac.learned" | "mac.moved" | "mac.aged";
  readonly vlan: number;
  readonly mac: Mac;
  readonly port: string;
  /** Where the entry comes from: frames that this switch saw, or its M-LAG peer. */
  readonly origin: "local" | "peer";
  /** Why it is gone; only with `mac.aged`. */
  readonly reason?: "ageing" | "link-down";
}
