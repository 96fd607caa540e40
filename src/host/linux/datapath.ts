/** What a part of the kernel has to offer to the host, so that what machines wish for is carried out there. */
import type { Ip } from "../../core/addr.ts";
import type { Change } from "../../core/machine.ts";
import type { Undo } from "./holdings.ts";
import type { StationNews } from "./netlink-news.ts";
import type { Saved } from "./sysctl.ts";

/** Carries out wishes of one kind. */
export interface Datapath {
  /** The `type`s of the changes that it carries out. */
  readonly types: readonly string[];
  /** @param key "" for what is not kept, and goes with what it is about */
  apply(key: string, change: Change): void;
  /** Makes ready what a wish that may come would take time for, and removes what an earlier process has left of it. */
  prepare(key: string, change: Change): void;
  /** Goes through what carrying out a wish takes, without an effect. */
  rehearse(change: Change): void;
  /** No wish of this key will come any more, but for the one that gives up what is there. */
  forget(key: string): void;
  keys(): Iterable<string>;
  /** What takes back all that is there for this key, or is about to be; undefined where there is nothing. */
  undo(key: string): Undoing | undefined;
  /** Whether it has given this address to this interface: then it is none of the interface's own. */
  holds(port: string, address: Ip): boolean;
  /** An interface has come, gone or changed. Drops what stood on it and no longer does, before machines hear of it. */
  lose(name: string): readonly string[];
  /** The same, once they have heard: puts back what somebody else has taken away. Both name what they have changed. */
  review(name: string): readonly string[];
  /** Stations that the kernel had before the start. */
  found?(): readonly StationNews[];
  /** Nothing will be taken again: what is given up from now on need not stay ready. */
  retire(): void;
  /** Takes back everything that was done. */
  close(): void;
}

export interface Undoing {
  readonly port: string;
  /** Done as soon as all farewells are said: no successor is to be disturbed. */
  readonly first: readonly Saved[];
  readonly steps: readonly Undo[];
}
