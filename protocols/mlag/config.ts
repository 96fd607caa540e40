/** What stands under the key `mlag` of a node's file. Every default stands here once. */
import * as z from "zod";
import type { Ip, Mac, Prefix } from "../../src/core/addr.ts";
import { type Duration, ms, sec, ZERO } from "../../src/core/time.ts";
import { durationWithin, integerWithin, ip, mac, portName, prefix } from "../../src/node/units.ts";
import type { AuthenticationKey } from "../iccp/events.ts";

/** M-LAGs of one pair; switches have fewer ports. */
const MAX_MEMBERS = 512;
/** The last 16 bits of the derived system id. */
const MAX_DOMAIN = 0xffff;

/** What the secondary does when it can reach the primary on no path, and does not know whether it lives. */
export const SPLITS = ["sysid-fallback", "secondary-suspend", "dual-active"] as const;

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

const key = z.strictObject({
  "key-id": integerWithin(0, 0xffff_ffff, "a key id").meta({ description: "Said in every message." }),
  // No message quotes it: what stands here is nobody else's business.
  secret: z
    .string({ error: `found something else than text, ${SECRET}` })
    .min(LEAST_SECRET, { error: `found too short a text, ${SECRET}` })
    .max(MOST_SECRET, { error: `found too long a text, ${SECRET}` })
    .regex(/^[\x20-\x7e]*$/, { error: `found other characters, ${SECRET}` }),
});

const member = z.strictObject({
  port: portName.meta({ description: "A bundle of `lacp` that the bridge has as a port." }),
  id: integerWithin(1, 0xffff, "an M-LAG id").meta({ description: "The same for both halves." }),
});

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
    authentication: z.array(key).max(MAX_KEYS).default([]).meta({
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
    const { "suspend-persist": suspendPersist, system = systemOf(value.domain), authentication, ...plain } = others;
    const keys = authentication.map(({ "key-id": id, secret }) => ({ id, secret: new TextEncoder().encode(secret) }));
    return { ...plain, system, keys, peerLink, splitGrace, restoreDelay, autoRecovery, systemPriority, suspendPersist };
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
  readonly splitGrace: Duration;
  readonly restoreDelay: Duration;
  readonly autoRecovery: Duration;
  readonly drain: Duration;
  readonly heartbeat: Duration;
  /** LACP system id of the pair. */
  readonly system: Mac;
  readonly systemPriority: number;
  /** The first signs; without any, nothing is signed or checked. */
  readonly keys: readonly AuthenticationKey[];
  readonly suspendPersist: boolean;
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
    .strictObject({ verb: z.literal("maintenance"), on: z.boolean() })
    .meta({ description: "Hand the primary role over, drain all members, and stay out of service until it is off." }),
  z.strictObject({ verb: z.literal("suspend"), id: integerWithin(1, 0xffff, "an M-LAG id") }),
  z.strictObject({ verb: z.literal("restore"), id: integerWithin(1, 0xffff, "an M-LAG id") }),
]);
export type MlagCommand = z.output<typeof mlagCommand> | { readonly verb: "start" } | { readonly verb: "stop" };
