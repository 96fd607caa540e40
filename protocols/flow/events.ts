/** What is said of flows: only what is wrong with one, and that it is right again. */

/** Its sender sends, and for half a second (of a slow flow: for three packets) nothing has arrived. */
export interface FlowStalled {
  readonly type: "flow.stalled";
  readonly flow: string;
  /** When the first packet left of those that nobody has seen arrive, in seconds. */
  readonly since: number;
}

/** After it was stalled: a packet has arrived (`flowing`), or no more are sent (`ended`). */
export interface FlowResumed {
  readonly type: "flow.flowing" | "flow.ended";
  readonly flow: string;
}

/** A packet has arrived once more; said at most every 100 ms for each flow. */
export interface FlowDuplicate {
  readonly type: "flow.duplicate";
  readonly flow: string;
  readonly number: number;
  /** When it left, in seconds. */
  readonly sent: number;
  /** Packets of the flow that arrived more than once, so far. */
  readonly count: number;
  /** Whether it is the reply to an echo request that came twice: then two have answered it, or the one twice. */
  readonly echo: boolean;
}

export type FlowEvent = FlowStalled | FlowResumed | FlowDuplicate;
