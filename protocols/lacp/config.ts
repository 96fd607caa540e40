/** What stands under the key `lacp` of a node's file: a list of bundles. Every default stands here once. */
import * as z from "zod";
import type { Mac } from "../../src/core/addr.ts";
import { type Duration, ms, sec, ZERO } from "../../src/core/time.ts";
import { duration, durationWithin, integerWithin, mac, portName, quote } from "../../src/node/units.ts";
import { BUNDLE_REASONS, PORT_REASONS } from "./events.ts";

/** Members of one bundle; what current switches take at most. */
export const MAX_MEMBERS = 64;
const MAX_BUNDLES = 256;
/** IEEE 802.1AX §6.4.2.3: 16 bits each. */
const PRIORITY = integerWithin(0, 65_535, "a priority");
const KEY = integerWithin(1, 65_535, "a key");
const COUNT = integerWithin(1, MAX_MEMBERS, "a number of links");
/** The default of every bridge and switch for 16-bit priorities. */
const DEFAULT_PRIORITY = 32_768;
/** Arista's and Cumulus' default for a host that may still be booting without LACP. */
const DEFAULT_FALLBACK = sec(90);

const member = z.union([portName, z.strictObject({ port: portName, priority: PRIORITY.optional() })], {
  error: (issue) => `found ${quote(issue.input)}, allowed: a port name, or { port, priority }`,
});

const fallbackMode = z.enum(["none", "individual", "static"]);

const fallback = z
  .union(
    [fallbackMode, z.strictObject({ mode: fallbackMode, timeout: durationWithin(sec(1), sec(3600)).optional() })],
    {
      error: (issue) => `found ${quote(issue.input)}, allowed: none, individual, static, or { mode, timeout }`,
    },
  )
  .default("none")
  .meta({
    description: "For a partner without LACP, after `timeout` (default 90s): one port carries frames, or all do.",
  });

const fields = z.strictObject({
  name: portName.meta({ description: "The port that the bundle is to the rest of the node: agg1, bond0." }),
  members: z.array(member).min(1).max(MAX_MEMBERS),
  mode: z.enum(["active", "passive"]).default("active").meta({ description: "passive: speaks when it is spoken to." }),
  // IEEE 802.1AX §6.4.4: what the partner is asked for, 1 s or 30 s; Linux, OVS and teamd have slow too.
  rate: z
    .enum(["fast", "slow"])
    .default("slow")
    .meta({ description: "fast: 1 s and out after 3 s; slow: 30 s, 90 s." }),
  key: KEY.optional().meta({ description: "Links with one key may be one bundle; default: its place in the list." }),
  priority: PRIORITY.default(DEFAULT_PRIORITY).meta({ description: "Of the ports; lower is better." }),
  "system-priority": PRIORITY.default(DEFAULT_PRIORITY).meta({ description: "Lower decides which links stand by." }),
  system: mac.optional().meta({ description: "System identifier; default: the address of the node." }),
  "min-links": COUNT.default(1).meta({ description: "With fewer links in agreement nothing is carried." }),
  "max-links": COUNT.default(MAX_MEMBERS).meta({ description: "More links stand by." }),
  individual: z.boolean().default(false).meta({ description: "Ports do not aggregate: one link carries at a time." }),
  control: z.enum(["independent", "coupled"]).default("independent").meta({
    description: "IEEE 802.1AX mux: whether a port collects before its partner does, or only both at once.",
  }),
  // IEEE 802.1AX §6.4.4: Aggregate_Wait_Time.
  "aggregate-wait": durationWithin(ZERO, sec(60)).default(sec(2)).meta({
    description: "How long links that agree wait for those that do not yet; never for links without carrier.",
  }),
  "mixed-speeds": z.boolean().default(false).meta({
    description: "Whether links of different speeds may be one bundle; else those stay out that differ from it.",
  }),
  "wait-to-restore": duration
    .default(ZERO)
    .meta({ description: "A link that was lost carries again after this long." }),
  fallback,
  hash: z.enum(["layer2", "layer2+3", "layer3+4"]).default("layer2").meta({
    description: "What decides which link a frame takes: addresses of Ethernet, of IP, or of IP with ports.",
  }),
  resilient: z.boolean().default(true).meta({
    description: "When links come and go only as many flows move as must; false: all are dealt anew.",
  }),
  flush: durationWithin(ZERO, sec(1)).default(ms(100)).meta({
    description: "Frames of a flow that moves wait for the marker's response on its old link, at most this long.",
  }),
});

export interface MemberConfig {
  readonly port: string;
  /** 0…65535; lower is better. */
  readonly priority: number;
}

/** One bundle as the machine wants it. */
export interface BundleConfig {
  readonly name: string;
  readonly members: readonly MemberConfig[];
  readonly active: boolean;
  readonly fast: boolean;
  readonly key: number;
  readonly systemPriority: number;
  readonly system: Mac | undefined;
  readonly minLinks: number;
  readonly maxLinks: number;
  readonly individual: boolean;
  readonly coupled: boolean;
  readonly aggregateWait: Duration;
  readonly mixedSpeeds: boolean;
  readonly waitToRestore: Duration;
  readonly fallback: "none" | "individual" | "static";
  readonly fallbackTimeout: Duration;
  readonly hash: HashPolicy;
  readonly resilient: boolean;
  readonly flush: Duration;
}

export type HashPolicy = "layer2" | "layer2+3" | "layer3+4";
export type LacpConfig = readonly BundleConfig[];

export const schema: z.ZodType<LacpConfig> = z
  .array(fields)
  .max(MAX_BUNDLES)
  .transform((bundles): LacpConfig => bundles.map(normal));

function normal(value: z.output<typeof fields>, index: number): BundleConfig {
  const back = typeof value.fallback === "string" ? { mode: value.fallback } : value.fallback;
  return {
    name: value.name,
    members: value.members.map((one) =>
      typeof one === "string"
        ? { port: one, priority: value.priority }
        : { port: one.port, priority: one.priority ?? value.priority },
    ),
    active: value.mode === "active",
    fast: value.rate === "fast",
    key: value.key ?? index + 1,
    systemPriority: value["system-priority"],
    system: value.system,
    minLinks: value["min-links"],
    maxLinks: value["max-links"],
    individual: value.individual,
    coupled: value.control === "coupled",
    aggregateWait: value["aggregate-wait"],
    mixedSpeeds: value["mixed-speeds"],
    waitToRestore: value["wait-to-restore"],
    fallback: back.mode,
    fallbackTimeout: ("timeout" in back ? back.timeout : undefined) ?? DEFAULT_FALLBACK,
    hash: value.hash,
    resilient: value.resilient,
    flush: value.flush,
  };
}

const bundle = portName.optional();

/** What stands under `lacp` in a script's `command:` line. */
export const command = z.discriminatedUnion("verb", [
  z.strictObject({ verb: z.enum(["start", "stop", "drain"]), bundle }),
  z.strictObject({ verb: z.literal("key"), bundle: portName, key: KEY }),
  z.strictObject({ verb: z.literal("priority"), port: portName, priority: PRIORITY }),
  z.strictObject({ verb: z.literal("rate"), bundle, rate: z.enum(["fast", "slow"]) }),
]);

/** What an expectation of a lab names, and what it may say of it. */
export const expectSubject = portName.describe("The bundle.");
export const expectFields = {
  up: z.boolean().describe("Whether the bundle carries frames."),
  members: integerWithin(0, MAX_MEMBERS, "a number of ports").describe("Ports that frames are distributed to."),
  port: portName.describe("The member that receive, mux and port-reason are about; default: all of them."),
  receive: z
    .enum(["port-disabled", "lacp-disabled", "expired", "defaulted", "current"])
    .describe("State of the port's receive machine."),
  mux: z
    .enum(["detached", "waiting", "attached", "collecting", "distributing", "collecting-distributing"])
    .describe("State of the port's mux machine."),
  reason: z.enum(BUNDLE_REASONS).describe("Why the bundle is so."),
  "port-reason": z.enum(PORT_REASONS).describe("What keeps the port from carrying frames."),
};
