/** What a protocol's folder hands to the engine: everything that is known of it outside is in this record. */
import type { ZodType } from "zod";
import type { Env, Event, Mounted } from "../core/machine.ts";
import type { Invariant } from "../core/view.ts";

/** Something wrong in a file that its schema cannot say, at a path inside the node: ["vrrp", 0, "vrid"]. */
export interface Problem {
  readonly path: readonly (string | number)[];
  /** What was found and what is allowed. */
  readonly message: string;
}

/** One node of a lab, or a daemon's file: its name and, by key, what each protocol's schema made of it. */
export interface NodeConfig {
  readonly node: string;
  readonly [key: string]: unknown;
}

export interface Protocol<Config = never> {
  /** The folder's name; machines and commands are addressed by it. */
  readonly name: string;
  /** The key of a node's file that configures it. */
  readonly key?: string;
  /** Of the value under `key`; defaults and their clauses stand there. */
  readonly schema?: ZodType<Config>;
  /** Of the value under `name` in a script's `command:` line; what it makes is the machine's command. */
  readonly command?: ZodType;
  /** The machines that a node with this configuration runs, in the order in which they hear of things. */
  readonly mount?: (config: Config, node: NodeConfig, env: Env) => readonly Mounted[];
  /** What is wrong within one node. */
  readonly check?: (config: Config, node: NodeConfig) => readonly Problem[];
  /** What disagrees between nodes; `warning` problems are said but do not refuse the file. */
  readonly compare?: (
    nodes: readonly NodeConfig[],
  ) => readonly (Problem & { readonly node: string; readonly warning: boolean })[];
  /** An event of this protocol as words for the timeline; undefined for one that the timeline leaves out. */
  readonly describe?: (event: Event) => string | undefined;
  /** Promises that hold for every lab whose nodes run it. */
  readonly invariants?: (nodes: readonly NodeConfig[]) => readonly Invariant<unknown>[];
}

/** Forgets the configuration's type, once its schema guards it. */
export type AnyProtocol = Protocol<never>;
