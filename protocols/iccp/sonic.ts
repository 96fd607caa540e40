/**
 * SONiC's dialect in the words of our own: what iccpd says as items, and items as what iccpd understands. It joins
 * bundles by the name of the port channel, has no sequence numbers, no digests and no consistency items, and puts one
 * parameter into a message. Its synchronisation:
 *
 *   standby (listens)                                   active (connects)
 *     sync request ──────────────────────────────────────▶
 *     ◀──────────── sync data begin, configuration and states, sync data end
 *     ◀───────────────────────────────────── sync request
 *     sync data begin … end ─────────────────────────────▶      then both: exchange; MACs, ARP, ND as they change
 *
 * A port channel that comes up waits for the peer's "interface up acknowledged": here an `isolate` and its ACK. A half of
 * ours that asks for isolation is said to be up, for it is what iccpd answers with that word; it comes up behind it.
 */
import { familyOf, type Ip4, ipBytes, type Mac } from "../../src/core/addr.ts";
import type { IccpConfig } from "./events.ts";
import type { Item, MacItem, NeighbourItem, PortStateItem } from "./items.ts";
import { type IccpValue, type MacEntry, NAME_SIZE, type NeighbourEntry } from "./parameters.ts";

/** iccpd's own limits (its receiver copies longer lists into smaller buffers). */
const MAX_MACS = 30;
const MAX_NEIGHBOURS = 40;
const EVERYTHING = 0xffff;
/** Items that wait for the exchange to begin; the oldest makes room. */
export const MAX_WAITING_ITEMS = 4096;
const NOBODY = "00:00:00:00:00:00" as Mac;
const ANY = "0.0.0.0" as Ip4;
/** The local name that iccpd gives to the port of an orphan; the receiver does not look at it. */
const ORPHAN = "Ethernet0";

interface Bundle {
  readonly id: number;
  readonly name: string;
  readonly vlans: readonly number[];
  /** The number in the name, as SONiC has it: PortChannel10 is aggregator 10. */
  readonly aggregator: number;
  state: PortStateItem | undefined;
  /** It is about to carry frames. */
  coming: boolean;
  /** Of the `isolate` that waits for iccpd's acknowledgment. */
  request: number;
}

export interface Sonic {
  readonly config: IccpConfig;
  readonly active: boolean;
  stage: "init" | "stage1" | "stage2" | "exchange";
  readonly bundles: readonly Bundle[];
  /** The peer's aggregators, by number: M-LAG ids. */
  readonly peers: Map<number, number>;
  waiting: Item[];
  /** What this end calls itself towards hosts; iccpd's standby takes it over. */
  lacpSystem: Mac;
  /** Of entries that were heard or told, in place of the sequence numbers that iccpd does not have: the last word wins. */
  sequence: number;
  requests: number;
  counts: { macs: number; arps: number; nds: number };
}

export function createSonic(config: IccpConfig, active: boolean): Sonic {
  const bundles = (config.bundles ?? []).map(({ id, name, vlans = [] }) => {
    const aggregator = Number(/(\d{1,4})$/.exec(name)?.[1] ?? id);
    return { id, name: name.slice(0, NAME_SIZE - 1), vlans, aggregator, state: undefined, coming: false, request: 0 };
  });
  const counts = { macs: 0, arps: 0, nds: 0 };
  const empty = { peers: new Map<number, number>(), waiting: [], sequence: 0, requests: 0, counts };
  return { config, active, stage: "init", bundles, lacpSystem: config.system, ...empty };
}

export interface Said {
  /** To be sent, one to a message. */
  readonly send: readonly IccpValue[];
  /** To be handed up. */
  readonly items: readonly Item[];
}

/** What is said first on an operational session. */
export function begin(sonic: Sonic): readonly IccpValue[] {
  if (sonic.active) return [];
  sonic.stage = "stage1";
  return [{ kind: "syncRequest", request: 0, scope: EVERYTHING, aggregator: 0, key: 0 }];
}

/** What a parameter of the peer means. */
export function heard(sonic: Sonic, value: IccpValue): Said {
  switch (value.kind) {
    case "syncRequest":
      return answer(sonic, value.request);
    case "syncData":
      return value.flags === 0 ? syncBegins(sonic, value.request) : syncEnds(sonic, value.request);
    case "systemConfig": {
      // iccpd's role follows from who connects: the peer of a standby is active.
      const role = sonic.active ? "secondary" : "primary";
      const { system, priority } = value;
      return up({ kind: "role", role, priority, system, lacpSystem: system, sticky: true, preempt: false });
    }
    case "aggregatorConfig": {
      const bundle = sonic.bundles.find(({ name }) => name === value.name);
      if (bundle !== undefined) sonic.peers.set(value.aggregator, bundle.id);
      return NOTHING;
    }
    case "aggregatorState":
      return aggregatorState(sonic, value);
    case "interfaceUp": {
      const bundle = sonic.bundles.find(({ aggregator }) => aggregator === value.interface);
      if (bundle === undefined) return NOTHING;
      const { id, request } = bundle;
      return up({ kind: "isolateAck", id, isolated: value.isolation === 1, request });
    }
    case "macList":
      sonic.counts.macs += value.entries.length;
      return up({ kind: "macs", entries: value.entries.map((entry) => macItem(sonic, entry)) });
    case "arpList":
    case "ndList": {
      const entries = value.entries.map((entry) => neighbourItem(sonic, entry)).filter((entry) => entry !== undefined);
      const kind = value.kind === "arpList" ? "arps" : "nds";
      sonic.counts[kind] += entries.length;
      return entries.length === 0 ? NOTHING : up({ kind, entries });
    }
    case "warmBoot":
      return up({ kind: "goodbye", cause: "upgrade" });
    default:
      return NOTHING;
  }
}

const NOTHING: Said = { send: [], items: [] };

function up(item: Item): Said {
  return { send: [], items: [item] };
}

/** Everything that iccpd wants to know before the exchange. */
function answer(sonic: Sonic, request: number): Said {
  const send: IccpValue[] = [{ kind: "syncData", request, flags: 0 }, systemConfig(sonic)];
  for (const bundle of sonic.bundles) {
    send.push(aggregatorConfig(sonic, bundle), stateOf(bundle), portChannel(bundle));
  }
  send.push({ kind: "peerLink", name: (sonic.config.peerLink ?? "peer").slice(0, NAME_SIZE - 1), type: 0 });
  send.push({ kind: "syncData", request, flags: 1 });
  if (sonic.active && sonic.stage === "init") {
    sonic.stage = "stage2";
    send.push({ kind: "syncRequest", request: 0, scope: EVERYTHING, aggregator: 0, key: 0 });
  } else if (!sonic.active) {
    sonic.stage = "exchange";
    send.push(...flush(sonic));
  }
  return { send, items: [] };
}

function syncBegins(sonic: Sonic, sync: number): Said {
  sonic.counts = { macs: 0, arps: 0, nds: 0 };
  return up({ kind: "syncBegin", sync });
}

function syncEnds(sonic: Sonic, sync: number): Said {
  const end: Item = { kind: "syncEnd", sync, ...sonic.counts };
  if (!sonic.active || sonic.stage !== "stage2") return up(end);
  sonic.stage = "exchange";
  return { send: flush(sonic), items: [end] };
}

function flush(sonic: Sonic): readonly IccpValue[] {
  const { waiting } = sonic;
  sonic.waiting = [];
  return waiting.flatMap((item) => valuesOf(sonic, item));
}

/** RFC 7275 gives the last octet of the node id to the operator; iccpd sets bit 7 and takes it from the address. */
function systemConfig({ config, lacpSystem }: Sonic): IccpValue {
  const last = ipBytes(config.local).at(-1) ?? 0;
  return { kind: "systemConfig", system: lacpSystem, priority: 0, node: 0x80 | ((last & 7) << 4) };
}

function aggregatorConfig({ lacpSystem }: Sonic, { aggregator, name }: Bundle): IccpValue {
  const fixed = { roId: new Uint8Array(8), key: 0, memberPriority: 0, flags: 1 };
  return { kind: "aggregatorConfig", ...fixed, aggregator, mac: lacpSystem, name };
}

function stateOf({ aggregator, state, coming }: Bundle): IccpValue {
  return {
    kind: "aggregatorState",
    partnerSystem: state?.partnerSystem ?? NOBODY,
    partnerPriority: state?.partnerPriority ?? 0,
    partnerKey: state?.partnerKey ?? 0,
    aggregator,
    key: state?.actorKey ?? 0,
    state: coming || state?.state === "up" ? 0 : state?.state === "disabled" ? 2 : 1,
  };
}

function portChannel({ aggregator, name, vlans }: Bundle): IccpValue {
  return { kind: "portChannel", aggregator, name, l3Mode: 0, address: ANY, portChannel: aggregator, vlans };
}

/** iccpd wants an acknowledgment once isolation is in place: the user is asked for it as our own peers ask. */
function aggregatorState(sonic: Sonic, value: Extract<IccpValue, { kind: "aggregatorState" }>): Said {
  const known = sonic.bundles.find(({ aggregator }) => aggregator === value.aggregator)?.id;
  const id = sonic.peers.get(value.aggregator) ?? known;
  if (id === undefined) return NOTHING;
  const isUp = value.state === 0;
  const state: PortStateItem = {
    kind: "portState",
    id,
    state: isUp ? "up" : value.state === 2 ? "disabled" : "down",
    isolationWanted: isUp,
    isolationInstalled: false,
    membersUp: isUp ? 1 : 0,
    members: 1,
    actorKey: value.key,
    partnerSystem: value.partnerSystem,
    partnerPriority: value.partnerPriority,
    partnerKey: value.partnerKey,
  };
  const wish: Item = { kind: "isolate", id, isolated: isUp, request: ++sonic.requests };
  return { send: [], items: [state, wish] };
}

function next(sonic: Sonic): number {
  sonic.sequence = (sonic.sequence + 1) >>> 0;
  return sonic.sequence;
}

function macItem(sonic: Sonic, { operation, type, mac, vlan, interface: port }: MacEntry): MacItem {
  const id = sonic.bundles.find(({ name }) => name === port)?.id ?? 0;
  return { vlan, mac, id, sequence: next(sonic), present: operation === 1, permanent: type === 1 };
}

function neighbourItem(sonic: Sonic, entry: NeighbourEntry): NeighbourItem | undefined {
  const vlan = Number(/^Vlan(\d{1,4})$/.exec(entry.interface)?.[1] ?? Number.NaN);
  if (Number.isNaN(vlan)) return undefined;
  const { address, mac, operation } = entry;
  return { vlan, address, mac, sequence: next(sonic), present: operation === 1 };
}

/** What the user says, as far as iccpd has words for it. */
export function tell(sonic: Sonic, items: readonly Item[]): readonly IccpValue[] {
  const send: IccpValue[] = [];
  for (const item of items) {
    const bundle = "id" in item ? sonic.bundles.find(({ id }) => id === item.id) : undefined;
    if (item.kind === "portState" && bundle !== undefined) bundle.state = item;
    if (item.kind === "isolate" && bundle !== undefined) {
      bundle.request = item.request;
      bundle.coming = item.isolated;
    }
    if (item.kind === "role") sonic.lacpSystem = item.lacpSystem;
    if (item.kind === "macs") for (const { sequence } of item.entries) sonic.sequence = newer(sonic.sequence, sequence);
    if (sonic.stage === "exchange") {
      send.push(...valuesOf(sonic, item));
    } else if (waits(sonic, item)) {
      sonic.waiting.push(item);
      if (sonic.waiting.length > MAX_WAITING_ITEMS) sonic.waiting.shift();
    }
  }
  return send;
}

/** Of two counts modulo 2^32. */
function newer(a: number, b: number): number {
  return ((b - a) | 0) > 0 ? b : a;
}

function waits({ stage }: Sonic, { kind }: Item): boolean {
  // The answer to the peer's request says states as they are then; what changes after it has to be said by itself.
  if (kind === "portState" || kind === "isolate") return stage === "stage2";
  return kind === "macs" || kind === "arps" || kind === "nds" || kind === "isolateAck";
}

function valuesOf(sonic: Sonic, item: Item): readonly IccpValue[] {
  switch (item.kind) {
    case "isolate":
    case "portState": {
      const bundle = sonic.bundles.find(({ id }) => id === item.id);
      return bundle === undefined ? [] : [stateOf(bundle)];
    }
    case "isolateAck": {
      const bundle = sonic.bundles.find(({ id }) => id === item.id);
      const isolation = item.isolated ? 1 : 0;
      return bundle === undefined ? [] : [{ kind: "interfaceUp", type: 1, isolation, interface: bundle.aggregator }];
    }
    case "macs":
      return pieces(item.entries, MAX_MACS).map((entries) => ({
        kind: "macList",
        entries: entries.map(({ vlan, mac, id, present, permanent }) => {
          const port = sonic.bundles.find((bundle) => bundle.id === id)?.name ?? ORPHAN;
          return { operation: present ? 1 : 2, type: permanent ? 1 : 2, mac, vlan, interface: port };
        }),
      }));
    case "arps":
    case "nds":
      return pieces(item.entries, MAX_NEIGHBOURS).map((entries) => ({
        kind: familyOf(entries[0]?.address ?? ANY) === "ipv4" ? "arpList" : "ndList",
        entries: entries.map(({ vlan, mac, address, present }) => {
          return { operation: present ? 1 : 2, flags: 0, learned: 0, interface: `Vlan${vlan}`, address, mac };
        }),
      }));
    default:
      return [];
  }
}

function pieces<T>(entries: readonly T[], size: number): T[][] {
  const cut: T[][] = [];
  for (let at = 0; at < entries.length; at += size) cut.push(entries.slice(at, at + size));
  return cut;
}
