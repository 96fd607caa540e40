/** What stands under the key `mlag` of a node's file. Every default stands here once. */
import * as z from "zod";
import type { Ip, Mac, Prefix } from "../../src/core/addr.ts";
import { type Duration, ms, sec, ZERO } from "../../src/core/time.ts";
import { durationWithin, integerWithin, ip, mac, portName, prefix } from "../../src/node/units.ts";
import type { AuthenticationKey, ConsistencyItem } from "../iccp/events.ts";
import { MLAG_ALARMS, MLAG_REASONS } from "./events.ts";

/** M-LAGs of one pair; switches have fewer ports. */
const MAX_MEMBERS = 512;
/** The last 16 bits of the derived system id. */
const MAX_DOMAIN = 0xffff;

/** What the secondary does when it can reach the primary on no path, and does not know whether it lives. */
export const SPLITS = ["sysid-fallback", "secondary-suspend", "dual-active"] as const;
/** Who routes what hosts send to the MAC of a VRRP gateway, or to that of the peer: both switches, or whose it is. */
export const GATEWAYS = ["active-active", "master-only"] as const;

/** What a maintenance is of. */
export const MAINTENANCE = ["reboot", "peer-link"] as const;

const keepalive = z
  .strictObject({
    port: portName.meta({ description: "A port of its own, on another path than the peer link." }),
    address: prefix,
    peer: ip.meta({ description: "The peer's address on this path." }),
    interval: durationWithin(ms(50), sec(10)).default(sec(1)),
    // The defaults of Cisco's vPC, whose operators know them: 1 s, 5 s, 3 s.
    timeout: durationWithin(ms(150), sec(60)).default(sec(5)).meta({ description: "Silence that makes it down." }),
    hold: durationWithin(ZERO, sec(30))
      .default(sec(3))
      .meta({ description: "How long the silence of the peer is borne beyond the timeout before it counts as gone." }),
  })
  .meta({ description: "The second path on which the peers see that the other lives: UDP." });

/** Of HMAC-SHA-256: RFC 2104 §3 advises against keys shorter than the code, 32 octets. */
const LEAST_SECRET = 16;
const MOST_SECRET = 128;
/** The one in use, the next, and some to spare. */
const MAX_KEYS = 8;
const SECRET = `allowed: ${LEAST_SECRET} to ${MOST_SECRET} printable ASCII characters, better 32 and more`;

/** A secret may stand where a key or the list of them should. */
const unquoted = {
  error: ({ code }: { readonly code?: string }) =>
    code === "invalid_type" ? "found something else, allowed: a list of { key-id, secret }" : undefined,
};

const key = z.strictObject(
  {
    "key-id": integerWithin(0, 0xffff_ffff, "a key id").meta({ description: "Said in every message." }),
    // No message quotes it: what stands here is nobody else's business.
    secret: z
      .string({ error: `found something else than text, ${SECRET}` })
      .min(LEAST_SECRET, { error: `found too short a text, ${SECRET}` })
      .max(MOST_SECRET, { error: `found too long a text, ${SECRET}` })
      .regex(/^[\x20-\x7e]*$/, { error: `found other characters, ${SECRET}` }),
  },
  unquoted,
);

const member = z.strictObject({
  port: portName.meta({ description: "A bundle of `lacp` that the bridge has as a port." }),
  id: integerWithin(1, 0xffff, "an M-LAG id").meta({ description: "The same for both halves." }),
});

const orphans = z
  .strictObject({
    suspend: z.array(portName).max(MAX_MEMBERS).default([]).meta({
      description: "Ports of one-armed hosts that are to see that this switch is cut off, and go elsewhere.",
    }),
    "restore-delay": durationWithin(ZERO, sec(3600))
      .default(ZERO)
      .meta({ description: "From a complete synchronisation until these ports carry traffic again." }),
  })
  .prefault({})
  .meta({ description: "Ports out of service with the members when a secondary suspends those; others never are." });

export const mlagSchema = z
  .strictObject({
    domain: integerWithin(1, MAX_DOMAIN, "a domain").meta({
      description: "The same for both peers, and no other pair's in the network: the LACP system id comes from it.",
    }),
    priority: integerWithin(1, 0xffff, "a priority")
      .default(32_768)
      .meta({ description: "Lower is primary; of equal ones the lower system MAC. Default 32768." }),
    "peer-link": portName,
    keepalive,
    members: z.array(member).max(MAX_MEMBERS).default([]),
    split: z.enum(SPLITS).default("sysid-fallback").meta({
      description: "What the secondary does when the peer is on no path: its own system id, suspend, or carry on.",
    }),
    gateway: z.enum(GATEWAYS).default("active-active").meta({
      description:
        "Who routes what is sent to a VRRP gateway's MAC or the peer's: both switches (both say so), or its owner.",
    }),
    "split-grace": durationWithin(ZERO, sec(60)).default(sec(1)),
    "restore-delay": durationWithin(ZERO, sec(3600))
      .default(sec(30))
      .meta({ description: "From a complete synchronisation after a start or a split until members carry traffic." }),
    "auto-recovery": durationWithin(ZERO, sec(86_400))
      .default(sec(240))
      .meta({ description: "How long a switch that starts waits for its peer before it carries traffic alone." }),
    drain: durationWithin(ZERO, sec(10))
      .default(ms(200))
      .meta({ description: "For partners to leave a member before it is suspended." }),
    heartbeat: durationWithin(ms(50), sec(30)).default(sec(1)).meta({ description: "On the peer link." }),
    grace: durationWithin(ZERO, sec(300))
      .default(sec(30))
      .meta({ description: "How long all stays as it is while a peer that has announced a restart is away." }),
    orphans,
    session: z.strictObject({ address: prefix, peer: ip }).optional().meta({
      description: "Addresses of the peer session; SONiC's iccpd needs IPv4. Default: link-local ones, derived.",
    }),
    authentication: z.array(key, unquoted).max(MAX_KEYS).default([]).meta({
      description:
        "Keys of the session and the keepalive: the first signs, all are believed. Without any, nothing is signed or checked.",
    }),
    system: mac.optional().meta({ description: "The pair's LACP system id; default: derived from the domain." }),
    "system-priority": integerWithin(0, 0xffff, "an LACP system priority").default(32_768),
    "suspend-persist": z.boolean().default(false).meta({
      description: "Whether a secondary that has suspended stays so when the primary dies afterwards.",
    }),
  })
  .transform((value): MlagConfig => {
    const { "peer-link": peerLink, "split-grace": splitGrace, "restore-delay": restoreDelay, ...rest } = value;
    const { "auto-recovery": autoRecovery, "system-priority": systemPriority, ...others } = rest;
    const { "suspend-persist": suspendPersist, system = systemOf(value.domain), authentication, ...most } = others;
    const { orphans: single, ...plain } = most;
    const orphans = { suspend: single.suspend, restoreDelay: single["restore-delay"] };
    const keys = authentication.map(({ "key-id": id, secret }) => ({ id, secret: new TextEncoder().encode(secret) }));
    const delays = { splitGrace, restoreDelay, autoRecovery };
    return { ...plain, ...delays, orphans, system, keys, peerLink, systemPriority, suspendPersist };
  })
  .meta({ description: "This switch as one of a pair that is one switch to LACP." });

export interface KeepaliveConfig {
  readonly port: string;
  readonly address: Prefix;
  readonly peer: Ip;
  readonly interval: Duration;
  readonly timeout: Duration;
  readonly hold: Duration;
}

export interface MlagConfig {
  readonly domain: number;
  readonly priority: number;
  readonly peerLink: string;
  readonly keepalive: KeepaliveConfig;
  readonly members: readonly { readonly port: string; readonly id: number }[];
  readonly split: (typeof SPLITS)[number];
  readonly gateway: (typeof GATEWAYS)[number];
  readonly splitGrace: Duration;
  readonly restoreDelay: Duration;
  readonly autoRecovery: Duration;
  readonly drain: Duration;
  readonly heartbeat: Duration;
  readonly grace: Duration;
  readonly orphans: { readonly suspend: readonly string[]; readonly restoreDelay: Duration };
  /** LACP system id of the pair. */
  readonly system: Mac;
  readonly systemPriority: number;
  /** Of the peer session on the control VLAN; without, both ends derive link-local ones. */
  readonly session?: { readonly address: Prefix; readonly peer: Ip } | undefined;
  /** The first signs; without any, nothing is signed or checked. */
  readonly keys: readonly AuthenticationKey[];
  readonly suspendPersist: boolean;
  /** What the peer is told of the node's file (`consistencyItems`); without it nothing is compared. */
  readonly items?: readonly ConsistencyItem[];
}

/** Locally administered, "ML" and the domain: 02:4d:4c:00:00:0a for domain 10. */
export function systemOf(domain: number): Mac {
  const hex = domain.toString(16).padStart(4, "0");
  return `02:4d:4c:00:${hex.slice(0, 2)}:${hex.slice(2)}` as Mac;
}

/** Under `mlag` in a script's `command:` line. */
export const mlagCommand = z.discriminatedUnion("verb", [
  z
    .strictObject({ verb: z.literal("preempt") })
    .meta({ description: "Decide the roles anew, by priority and address alone." }),
  z
    .strictObject({
      verb: z.literal("maintenance"),
      on: z.boolean(),
      of: z
        .enum(MAINTENANCE)
        .default("reboot")
        .meta({ description: "What is to be worked on: this switch, or the link." }),
      force: z.boolean().default(false).meta({ description: "Even when hosts lose frames by it." }),
    })
    .meta({ description: "Hand the primary role over, drain all members, and stay out of service until it is off." }),
  z
    .strictObject({ verb: z.literal("leave"), cause: z.enum(["shutdown", "reboot", "upgrade"]).default("shutdown") })
    .meta({ description: "Say goodbye to the peer, drain all members, and take part no more until `start`." }),
  z
    .strictObject({ verb: z.literal("restart") })
    .meta({ description: "Tell the peer that this process restarts while frames flow on: it waits for `grace`." }),
  z.strictObject({ verb: z.literal("start") }),
  z.strictObject({ verb: z.literal("suspend"), id: integerWithin(1, 0xffff, "an M-LAG id") }),
  z.strictObject({ verb: z.literal("restore"), id: integerWithin(1, 0xffff, "an M-LAG id") }),
]);
export type MlagCommand = z.output<typeof mlagCommand> | { readonly verb: "stop" };
export type MaintenanceCommand = Extract<MlagCommand, { readonly verb: "maintenance" }>;

export const expectSubject = z
  .union([integerWithin(1, 0xffff, "an M-LAG id"), z.literal("pair")], {
    error: "allowed: an M-LAG id, or pair",
  })
  .meta({ description: "An M-LAG by its id; `pair` for the switch, and for all its M-LAGs." });
export const expectFields = {
  state: z.enum(["active-full", "active-partial", "suspended", "inactive"]).meta({ description: "Of the M-LAG." }),
  local: z.boolean().meta({ description: "Whether the half here carries frames." }),
  peer: z.boolean().meta({ description: "Whether the peer's half does." }),
  reason: z.enum(MLAG_REASONS).meta({ description: "Why the M-LAG is so." }),
  role: z.enum(["primary", "secondary", "none"]).meta({ description: "Of the switch." }),
  alone: z.boolean().meta({ description: "Whether it is primary because its peer is gone." }),
  "role-reason": z.enum(MLAG_REASONS).meta({ description: "Why it has its role." }),
  session: z.boolean().meta({ description: "Whether the session with the peer is up." }),
  "session-reason": z.enum(MLAG_REASONS).meta({ description: "Why the session is so." }),
  keepalive: z.boolean().meta({ description: "Whether the peer is heard on the second path." }),
  "keepalive-reason": z.enum(MLAG_REASONS).meta({ description: "Why the keepalive is so." }),
  alarm: z.enum([...MLAG_ALARMS, "none"]).meta({ description: "An alarm that is raised, or none." }),
};
