import type { Mac } from "../../src/core/addr.ts";
import type { Event } from "../../src/core/machine.ts";

/**
 * A station was found behind a port, or behind another one than before, or was not heard for the ageing time.
 * A switch of an M-LAG pair says so of what it heard itself (`origin` local) and of what its peer told it (peer): the
 * station is gone when it has aged for both.
 */
export interface MacEvent extends Event {
  readonly type: "mac.learned" | "mac.moved" | "mac.aged";
  readonly vlan: number;
  readonly mac: Mac;
  readonly port: string;
  /** Where the entry comes from: frames that this switch saw, or its M-LAG peer. */
  readonly origin: "local" | "peer";
  /** Why it is gone; only with `mac.aged`. */
  readonly reason?: "ageing" | "link-down" | "peer-aged";
}
