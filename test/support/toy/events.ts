import type { Event } from "../../../src/core/machine.ts";

export interface HelloHeard extends Event {
  readonly type: "hello.heard";
  readonly interface: string;
  readonly number: number;
}
