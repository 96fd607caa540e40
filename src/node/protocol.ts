/** What a protocol's folder hands to the engine: everything that is known of it outside is in this record. */
import type { ZodType } from "zod";
import type { Ip, Mac } from "../core/addr.ts";
import type { Change, Command, Env, Event, Mounted } from "../core/machine.ts";
import type { Duration, Instant } from "../core/time.ts";
import type { Invariant, View } from "../core/view.ts";
import type { Explainable } from "./past.ts";

/** Something wrong in a file that its schema cannot say, at a path; who returns it says where paths begin. */
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

/** What a line under `expect:` says of a protocol: `node: sw1, vrrp: 10, state: master`. */
export interface Claim {
  readonly node?: string;
  /** The value under the protocol's name (10), through `Expectable.subject`; absent where it stands for all. */
  readonly subject?: unknown;
  /** What else the line says (state: "master"), through `Expectable.fields`; only what is there. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A stream of numbered datagrams, or of echo requests where nobody but a virtual router has the address. */
export interface Flow {
  readonly id: string;
  /** Name of the node that sends. */
  readonly from: string;
  readonly to: Ip;
  /** Packets per second. */
  readonly rate: number;
  /** Octets of each frame, without FCS. */
  readonly size: number;
  readonly start: Instant;
  /** Absent: until the end of the run. */
  readonly stop?: Instant;
}

/** What became of a flow's packets; for echo requests, what came back. */
export interface FlowRecord {
  readonly id: string;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Packets that arrived after one that was sent later. */
  readonly reordered: number;
  /** The longest time between two arrivals, or from the first departure to the first arrival, in seconds. */
  readonly longestGap: number;
}

/** The measuring of one run. It outlives the nodes: a device that loses power takes no count with it. */
export interface Meter {
  /** The machines that send and count on this node; again after every power-on. */
  mount(node: NodeConfig, env: Env): readonly Mounted[];
  /** Of the packets that were sent in `from` … `to`, `to` excluded; a gap counts when it overlaps that time. */
  record(flow: string, now: Instant, from?: Instant, to?: Instant): FlowRecord;
}

/** How the expectations of a lab may speak of a protocol, and how they are judged. */
export interface Expectable {
  readonly subject: ZodType;
  readonly fields: Readonly<Record<string, ZodType>>;
  /** What is wrong with a claim on these nodes, at a path inside the claim's line: a router that none of them has. */
  readonly check?: (claim: Claim, nodes: readonly NodeConfig[]) => readonly Problem[];
  /** What `judge` looks at. */
  readonly view: View<unknown>;
  /** Whether the claim holds now, and what is so instead, in words. */
  readonly judge: (view: unknown, claim: Claim) => { readonly ok: boolean; readonly detail: string };
  /** By the word after `always:`, the promise as a check of the log, for the routers (…) that the claim means. */
  readonly promises?: Readonly<Record<string, (claim: Claim, nodes: readonly NodeConfig[]) => Invariant<unknown>>>;
}

/** Frames that a protocol's machines want of a real interface. */
export interface Listening {
  /** EtherType; with `protocol`: IP's own, and only that of its packets. */
  readonly ethertype: number;
  readonly protocol?: number;
  /** Group addresses that the interface has to take. */
  readonly groups: readonly Mac[];
  /** The same as IP groups, where switches that snoop are to be told of them (IGMP, MLD). */
  readonly joins?: readonly Ip[];
  /** Name of the one interface of which they are wanted; absent: of all that the node uses. */
  readonly on?: string;
  /** Only those with this VLAN's tag. They are the node's alone: no bridge of the kernel takes or sends any on `on`. */
  readonly vlan?: number;
  /** Of UDP, only these datagrams. They are the node's alone: the kernel neither answers nor forwards them. */
  readonly datagrams?: Datagrams;
}

export interface Datagrams {
  readonly to: Ip;
  /** Where they are sent to. */
  readonly port: number;
}

/** One thing that a machine runs, as JSON has it. */
export interface StatusRow {
  /** "vrrp.router". */
  readonly type: string;
  /** As people call it, and orders address it. */
  readonly name: string;
  readonly [field: string]: unknown;
}

/** What an operator may ask of the running machine that has its protocol's name. */
export interface Status {
  /** JSON values only, times in seconds; it may not change the state but for counting what is noted there. */
  readonly rows: (state: never, now: Instant) => readonly StatusRow[];
  /** What somebody else has to take over before this machine may go without a loss, and how long that takes at most. */
  readonly holds: (state: never) => readonly { readonly name: string; readonly within: Duration }[];
  /** The heads of a table for people, the cells of a row, and what stands in lines of its own beneath it. */
  readonly columns: readonly string[];
  readonly cells: (row: StatusRow) => readonly string[];
  readonly details: (row: StatusRow) => readonly string[];
}

/** This octet of a frame is this one, or with `not` another one. It is false of a frame that ends before it. */
export interface Condition {
  readonly offset: number;
  readonly octet: number;
  readonly not?: boolean;
}

/** What has to be said should this process die, for something that it holds. */
export interface Farewell {
  /** Of the wish that it is about: `Kernel.key`. */
  readonly key: string;
  /** Interface on which it is said. */
  readonly port: string;
  /** Whole Ethernet frames. */
  readonly frames: readonly Uint8Array[];
  /** Whole IP packets, for peers that have an address of their own. */
  readonly packets: readonly Uint8Array[];
  /** A frame of which all of this is true says that another has taken over. */
  readonly successor: readonly Condition[];
  /** How long one is waited for. */
  readonly within: Duration;
}

/** What a host needs to know of a protocol whose machine holds something in its kernel. */
export interface Kernel<Config = never> {
  /** Of the machine, whose state `farewells` is given. */
  readonly machine: string;
  /** The `type` of its wishes that are kept and given back. */
  readonly wish: string;
  /** Wishes that may come, so that what takes time can be made ready. */
  readonly prepares: (config: Config, node: NodeConfig) => readonly Change[];
  /** Which thing a wish is about: a later wish with the same key replaces it. */
  readonly key: (wish: Change) => string;
  /** For all that is held now. The same object again says that nothing in it has changed. */
  readonly farewells: (state: never) => readonly Farewell[];
  /** Where a wish has to be carried out within microseconds: what a host needs to practise that. */
  readonly practice?: Practice<Config>;
}

export interface Practice<Config = never> {
  /** Whether its timer at this time will make it wish for something, unless it hears otherwise before. */
  readonly imminent: (state: never, at: Instant) => boolean;
  /** The least of a configuration under which a machine goes the same ways. */
  readonly sample: (config: Config) => unknown;
}

/** What a node runs that bears the least delay. */
export interface Urgency {
  /** As people call it. */
  readonly name: string;
  /** By how much its timers may be late, again and again, before a peer may take it for dead. */
  readonly within: Duration;
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
  /**
   * What a node with this configuration needs of other protocols and its file need not say: an interface of the IP stack.
   * Where the host provides it (Linux has its own stack), nobody asks.
   */
  readonly complete?: (config: Config, node: NodeConfig) => NodeConfig;
  /** The machines that a node with this configuration runs, in the order in which they hear of things. */
  readonly mount?: (config: Config, node: NodeConfig, env: Env) => readonly Mounted[];
  /** In place of `mount` on a host whose kernel does it itself (Linux: the IP stack, bridges): what tells the kernel how. */
  readonly drive?: (config: Config, node: NodeConfig, env: Env) => readonly Mounted[];
  /** What the driving machine is configured with, where that is not the value under `key` alone; values of JSON. */
  readonly driven?: (config: Config, node: NodeConfig) => unknown;
  /** What of it labs can do and real interfaces cannot, at paths inside the value under `key`. */
  readonly unable?: (config: Config, node: NodeConfig) => readonly Problem[];
  readonly listens?: (config: Config, node: NodeConfig) => readonly Listening[];
  readonly holds?: Kernel<Config>;
  /**
   * The machine's own order that has others stop to rely on it. A host that ends gives it before `stop`, when those that
   * speak over this one's ports have said goodbye, and waits until `status.holds` says that it is so.
   */
  readonly release?: Command;
  readonly urgency?: (config: Config) => Urgency | undefined;
  /** The machines that watch a port and never send: what a capture says of this protocol. */
  readonly observe?: (port: string, env: Env) => readonly Mounted[];
  /** What a lab may expect of it; addressed by `name`. */
  readonly expect?: Expectable;
  /** What is wrong within one node, at paths inside the value under `key`: [0, "vrid"]. */
  readonly check?: (config: Config, node: NodeConfig) => readonly Problem[];
  /**
   * What disagrees between nodes, at paths inside the node: ["vrrp", 0, "vrid"].
   * `warning` problems are said but do not refuse the file.
   */
  readonly compare?: (
    nodes: readonly NodeConfig[],
  ) => readonly (Problem & { readonly node: string; readonly warning: boolean })[];
  /** Why its ports, roles and entries are as they are. */
  readonly explain?: Explainable;
  readonly status?: Status;
  /** What another configuration changes, in words, a line each. */
  readonly changes?: (from: Config, to: Config) => readonly string[];
  /** An event of this protocol as words for the timeline; undefined for one that the timeline leaves out. */
  readonly describe?: (event: Event) => string | undefined;
  /** Opens the measuring of a lab's traffic; `end` is when the run ends. One protocol of the list has it. */
  readonly meter?: (flows: readonly Flow[], nodes: readonly NodeConfig[], end: Instant) => Meter;
  /** Promises that hold for every lab whose nodes run it. `traffic` are the flows that the lab expects to arrive. */
  readonly invariants?: (nodes: readonly NodeConfig[], traffic: readonly Flow[]) => readonly Invariant<unknown>[];
}

/** What the protocols of a node want of its interfaces. */
export function listeningsOf(protocols: readonly AnyProtocol[], config: NodeConfig): readonly Listening[] {
  return protocols.flatMap(({ key, listens }) => {
    const own = key === undefined ? undefined : config[key];
    // The protocol's own schema made the value under its key.
    return own === undefined || listens === undefined ? [] : listens(own as never, config);
  });
}

/** Forgets the configuration's type, once its schema guards it. */
export type AnyProtocol = Omit<Protocol<never>, "schema"> & { readonly schema?: ZodType };

/** What a protocol's machine on a real host is configured with; undefined for a node that has no such key. */
export function settingsOf({ key, driven }: AnyProtocol, node: NodeConfig): unknown {
  const own = key === undefined ? undefined : node[key];
  // The protocol's own schema has made it.
  return own === undefined || driven === undefined ? own : driven(own as never, node);
}

/** `make`, run once for each list of protocols: schemas are dear to build and asked for line by line. */
export function perProtocols<T>(
  make: (protocols: readonly AnyProtocol[]) => T,
): (protocols: readonly AnyProtocol[]) => T {
  const made = new WeakMap<readonly AnyProtocol[], { readonly value: T }>();
  return (protocols) => {
    const known = made.get(protocols) ?? { value: make(protocols) };
    made.set(protocols, known);
    return known.value;
  };
}
