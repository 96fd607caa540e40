/** What a bystander says of a recorded session. Every reason and kind is explained in docs/replay.md. */
import type { Mac } from "../../src/core/addr.ts";
import type { IccpReason, Item, TableName } from "./events.ts";

interface Seen {
  /** Both ends, the one that listens behind: "10.0.0.1 > 10.0.0.2". */
  readonly session: string;
  readonly frame: number;
}

interface Said extends Seen {
  /** Address of the one that says it. */
  readonly from: string;
}

export type SeenSessionReason =
  | Extract<
      IccpReason,
      "established" | "closed" | "reset" | "replaced" | "goodbye" | "rejected" | "domain-mismatch" | "heartbeat-timeout"
    >
  /** It was there before the recording. */
  | "first-seen";

/** Said when it comes up or goes down, and when an attempt fails for another reason than the one before. */
export interface SeenSession extends Seen {
  readonly type: "iccp.session";
  readonly up: boolean;
  readonly dialect: "native" | "sonic" | "none";
  readonly reason: SeenSessionReason;
  readonly detail: string;
}

/** Who it says that it is; in SONiC's dialect the one that connects is primary. */
export interface SeenRole extends Said {
  readonly type: "iccp.role";
  readonly role: "none" | "primary" | "secondary";
  readonly priority: number;
  readonly system: Mac;
}

/** Its half of an M-LAG. */
export interface SeenHalf extends Said {
  readonly type: "iccp.port";
  /** M-LAG id; in SONiC's dialect the number of the port channel. */
  readonly id: number;
  readonly name?: string;
  readonly state: Extract<Item, { readonly kind: "portState" }>["state"];
  /** Who is at its other end; absent for nobody. */
  readonly partner?: Mac;
}

/** It asks for isolation towards its half, or says that it isolates the other's. */
export interface SeenIsolation extends Said {
  readonly type: "iccp.isolation";
  readonly id: number;
  readonly isolated: boolean;
  readonly acknowledged: boolean;
}

export interface SeenStation {
  readonly vlan: number;
  readonly mac: Mac;
  readonly address?: string;
  /** M-LAG id, 0 for an orphan; or the name of the port, as SONiC has it. */
  readonly id?: number;
  readonly port?: string;
  readonly present: boolean;
}

/** Stations that it has, or no longer has: one message's. */
export interface SeenStations extends Said {
  readonly type: "iccp.stations";
  readonly table: TableName;
  readonly entries: readonly SeenStation[];
}

/** All that it knows is said between these. */
export interface SeenSync extends Said {
  readonly type: "iccp.sync";
  readonly complete: boolean;
}

/** It is going to leave. */
export interface SeenGoodbye extends Said {
  readonly type: "iccp.goodbye";
  readonly cause: string;
}

/** A message that no receiver takes. */
export interface SeenDrop extends Said {
  readonly type: "iccp.drop";
  readonly reason: "format" | "stale-epoch" | "replayed" | "message-length";
  readonly detail: string;
}

export interface SeenIccpAnomaly {
  readonly type: "anomaly";
  readonly kind: "gap" | "sequence" | "role-conflict" | "one-way" | "unsigned";
  readonly interface: string;
  readonly frame: number;
  readonly detail: string;
}

export type IccpSeen =
  | SeenSession
  | SeenRole
  | SeenHalf
  | SeenIsolation
  | SeenStations
  | SeenSync
  | SeenGoodbye
  | SeenDrop
  | SeenIccpAnomaly;
