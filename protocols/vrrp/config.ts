/** What stands under the key `vrrp` of a node's file: a list of virtual routers. Every default stands here once. */
import * as z from "zod";
import { type Family, familyOf, type Ip, isLinkLocal, type Prefix } from "../../src/core/addr.ts";
import { fromHex } from "../../src/core/bytes.ts";
import { cs, type Duration, formatDuration, sec, ZERO } from "../../src/core/time.ts";
import { duration, durationWithin, integerWithin, ip, name, portName, prefix, quote } from "../../src/node/units.ts";
import {
  checkSurroundings,
  type Notify,
  notify,
  surroundingsOf,
  type Tracked,
  type TrackedFile,
  type TrackedProcess,
  type TrackedScript,
  track,
} from "./config-surroundings.ts";
import { STATE_REASONS } from "./events.ts";
import type { HmacKey } from "./hmac.ts";

/** RFC 9568 §5.2.5: the count is one octet. */
const MAX_ADDRESSES = 255;
/** VRIDs of one interface and family; far more nodes than one segment carries, so nodes with several fit too. */
const MAX_ROUTERS = 4096;
const MAX_PEERS = 32;
/** Characters of a line for people. */
const MAX_WHY = 200;

const preempt = z
  .union([z.boolean(), z.strictObject({ delay: duration })], {
    error: (issue) => `found ${quote(issue.input)}, allowed: true, false, or { delay: DURATION }`,
  })
  // RFC 9568 §6.1: Preempt_Mode, default True.
  .default(true)
  .meta({
    description: "Whether a higher priority takes over from a working master; { delay } waits that long first.",
  });

const announce = z.strictObject({
  repeat: integerWithin(0, 100, "a count").default(0).meta({ description: "Further rounds of gratuitous ARP or NA." }),
  every: durationWithin(cs(10), sec(3600)).default(sec(1)).meta({ description: "Between rounds that are repeated." }),
  refresh: durationWithin(sec(1), sec(86_400)).optional().meta({
    description: "Then a round each so often for as long as it is master. Default: none.",
  }),
  gap: durationWithin(ZERO, sec(1)).default(ZERO).meta({
    description: "Between the frames of one round: for switches that pass on only so many broadcasts at once.",
  }),
});

const routerAdvertisement = z.strictObject({
  // RFC 4861 §6.2.1: MaxRtrAdvInterval 4…1800 s, AdvDefaultLifetime up to 9000 s, 3 × the interval by default.
  interval: durationWithin(sec(4), sec(1800)).default(sec(600)),
  lifetime: durationWithin(ZERO, sec(9000)).optional().meta({ description: "Default: three times the interval." }),
});

/** The one in use, the next, and some to spare. */
const MAX_KEYS = 8;
const FORM = "hex: and 64 to 128 hex digits, or 32 to 64 printable ASCII characters";
const KEYS = "a list of { id, secret }";

/** No message quotes what stands here or hereabouts: a secret is nobody else's business. */
const unquoted = (allowed: string) => ({
  error: ({ code }: { readonly code?: string }) =>
    code === "unrecognized_keys" ? undefined : `found something else, allowed: ${allowed}`,
});

const hmacKey = z.strictObject(
  {
    // draft-cassen-vrrp-auth-hmac-01; keepalived has 1 to 255.
    id: z
      .int(unquoted("1 to 255"))
      .min(1, unquoted("1 to 255"))
      .max(255, unquoted("1 to 255"))
      .meta({ description: "1 to 255, said in every advert: the same key has the same id everywhere." }),
    // As keepalived reads it, but for "file:", which would make a key of the file's name.
    secret: z
      .string(unquoted(FORM))
      .regex(/^(hex:([0-9a-fA-F]{2}){32,64}|(?!hex:|file:)[\x20-\x7e]{32,64})$/, unquoted(FORM))
      .meta({ description: "32 to 64 octets: hex: and their digits, or as text." }),
  },
  unquoted("{ id, secret }"),
);

const authentication = z.strictObject(
  {
    keys: z
      .array(hmacKey, unquoted(KEYS))
      .min(1, unquoted(`${KEYS}, one at least`))
      .max(MAX_KEYS)
      .meta({
        description: "The first signs, all are believed: a new key goes behind the old one everywhere, then before it.",
      }),
    // As keepalived.
    mode: z.enum(["receive-only", "permissive", "enforce"]).default("enforce").meta({
      description:
        "receive-only: sends unsigned adverts, takes both; permissive: signs, takes both; enforce: signs, takes signed ones only.",
    }),
    // keepalived has 1 to 300 s.
    window: durationWithin(sec(1), sec(300)).optional().meta({
      description: "By how much clocks may differ. Default: three intervals, 5s at least.",
    }),
    // As keepalived.
    replay: z.enum(["time", "monotonic"]).default("time").meta({
      description: "How old adverts are told: by the time that they carry, or only by the order in which they came.",
    }),
  },
  unquoted("{ keys: [{ id, secret }] }"),
);

const fields = z.strictObject({
  name: name.optional().meta({ description: "For people; default INTERFACE-VRID, with -v6 for IPv6." }),
  interface: portName,
  // RFC 9568 §5.2.3: 1…255, no default.
  vrid: integerWithin(1, 255, "a VRID"),
  version: z.literal([2, 3], { error: (i) => `found ${quote(i.input)}, allowed: 2 or 3` }).default(3),
  // RFC 9568 §5.2.4, §6.1: 1…254, 255 the owner of the addresses; default 100.
  priority: integerWithin(1, 255, "a priority").default(100),
  // RFC 9568 §6.1: Advertisement_Interval, default 100 centiseconds.
  interval: duration.default(sec(1)),
  addresses: z.array(prefix).min(1).max(MAX_ADDRESSES),
  preempt,
  // DEPARTS: RFC 9568 §6.1 has Accept_Mode False. Whoever sets up a gateway pings it, and takes silence for a fault.
  accept: z
    .boolean()
    .default(true)
    .meta({
      description:
        "Whether a master takes packets to its virtual addresses; false: only ARP and neighbour solicitations (needs nft). " +
        "An owner always does.",
    }),
  // RFC 9568 §7.2, §7.3.
  "virtual-mac": z.boolean().default(true),
  checksum: z
    .enum(["auto", "rfc9568", "pseudo-header"])
    .default("auto")
    .meta({ description: "Over IPv4, version 3. auto: RFC 9568's form until a peer is heard, then the peer's." }),
  track: track.prefault({}),
  group: name.optional().meta({ description: "Routers of one group change state together." }),
  peers: z.array(ip).max(MAX_PEERS).default([]).meta({
    description: "Unicast to these in place of multicast; only these are listened to.",
  }),
  notify: notify.optional(),
  announce: announce.prefault({}),
  "router-advertisement": routerAdvertisement.optional().meta({
    description: "IPv6: the master sends router advertisements from the virtual link-local address.",
  }),
  // RFC 9568 §8.4.2: default off.
  migration: z.boolean().default(false).meta({ description: "Version 3 over IPv4: send version 2 too, and hear it." }),
  password: z.string().min(1).max(8).optional().meta({
    description: "Version 2, authentication type 1 of RFC 2338: in clear text, against mistakes only.",
  }),
  // draft-cassen-vrrp-auth-hmac-01; RFC 9568 has none.
  authentication: authentication.optional().meta({
    description:
      "Version 3: adverts are signed with HMAC-SHA-256, as keepalived's auth_hmac does. Default: they are not.",
  }),
  // Erratum 8298 of RFC 9568: an owner processes adverts and logs them, where the published text discards them.
  "owner-conflict": z.enum(["yield", "hold"]).default("yield").meta({
    description: "An owner that hears another owner with a higher address: yield to it, or hold on.",
  }),
  // Erratum 8300 of RFC 9568.
  "first-address": z.enum(["link-local", "any"]).default("link-local").meta({
    description: "IPv6: what the first address of a received advert must be. FRR needs any.",
  }),
});

type Fields = z.output<typeof fields>;
export interface Authentication {
  /** The first signs. */
  readonly keys: readonly HmacKey[];
  readonly mode: "receive-only" | "permissive" | "enforce";
  /** By how much the time of an advert may differ from the time here. */
  readonly window: Duration;
  /** "monotonic": the window is not looked at. */
  readonly replay: "time" | "monotonic";
}

/** One virtual router as the machine wants it. */
export interface RouterConfig {
  readonly name: string;
  readonly interface: string;
  readonly vrid: number;
  readonly family: Family;
  readonly version: 2 | 3;
  /** 1…254; 255: owner of the addresses. */
  readonly priority: number;
  readonly interval: Duration;
  /** All of one family; for IPv6 the link-local one first. */
  readonly addresses: readonly Prefix[];
  readonly preempt: boolean;
  /** How long a lower master is let be; 0 for not at all. */
  readonly preemptDelay: Duration;
  readonly accept: boolean;
  readonly virtualMac: boolean;
  readonly checksum: "auto" | "rfc9568" | "pseudo-header";
  readonly tracked: readonly Tracked[];
  /** What to look at to know what is tracked under these names; the machine only hears what was found. */
  readonly scripts: readonly TrackedScript[];
  readonly files: readonly TrackedFile[];
  readonly processes: readonly TrackedProcess[];
  readonly group: string | undefined;
  readonly peers: readonly Ip[];
  readonly notify: Notify | undefined;
  readonly announceRepeat: number;
  readonly announceEvery: Duration;
  /** 0: none. */
  readonly announceRefresh: Duration;
  readonly announceGap: Duration;
  readonly routerAdvertisement: { readonly interval: Duration; readonly lifetime: Duration } | undefined;
  readonly migration: boolean;
  readonly password: string | undefined;
  readonly authentication: Authentication | undefined;
  readonly ownerConflict: "yield" | "hold";
  readonly firstAddress: "link-local" | "any";
}

export type VrrpConfig = readonly RouterConfig[];

type Complain = (path: readonly (string | number)[], message: string) => void;

const router = fields
  .superRefine((value, context) => {
    const complain: Complain = (path, message) => context.addIssue({ code: "custom", path: [...path], message });
    checkAddresses(value, complain);
    checkInterval(value, complain);
    checkOptions(value, complain);
  })
  .transform(normal);

export const schema: z.ZodType<VrrpConfig> = z.array(router).max(MAX_ROUTERS);

function checkAddresses(value: Fields, complain: Complain): void {
  const [first] = value.addresses;
  if (first === undefined) return;
  const family = familyOf(first.address);
  const seen = new Set<string>();
  for (const [i, { address }] of value.addresses.entries()) {
    if (familyOf(address) !== family) {
      const message = `found ${address} beside ${first.address}, allowed: addresses of one family in one router; make two`;
      complain(["addresses", i], message);
    }
    if (seen.has(address)) complain(["addresses", i], `found ${address} twice, allowed: each address once`);
    seen.add(address);
  }
  // RFC 9568 §5.2.9: the first address of an IPv6 advert is the virtual router's link-local address.
  if (family === "ipv6" && !isLinkLocal(first.address)) {
    const message = `found ${first.address} first, allowed: a link-local address such as "fe80::${value.vrid}/64" first, then the others`;
    complain(["addresses", 0], message);
  }
  if (family === "ipv6" && value.version === 2) {
    complain(["version"], "found 2 with IPv6 addresses, allowed: 3 (version 2 knows IPv4 only)");
  }
  for (const [i, peer] of value.peers.entries()) {
    if (familyOf(peer) !== family) complain(["peers", i], `found ${peer}, allowed: an address of the router's family`);
  }
}

function checkInterval(value: Fields, complain: Complain): void {
  const { interval, version } = value;
  const found = `found ${formatDuration(interval)}`;
  if (version === 2) {
    // RFC 3768 §5.3.7: one octet of seconds.
    if (interval % sec(1) === 0 && interval >= sec(1) && interval <= sec(255)) return;
    complain(["interval"], `${found}, allowed in version 2: whole seconds of 1s to 255s`);
    return;
  }
  // RFC 9568 §5.2.7: twelve bits of centiseconds.
  if (interval % cs(1) === 0 && interval >= cs(1) && interval <= cs(4095)) return;
  complain(["interval"], `${found}, allowed: 10ms to 40.95s in steps of 10ms`);
}

function checkOptions(value: Fields, complain: Complain): void {
  const ipv6 = value.addresses.some(({ address }) => familyOf(address) === "ipv6");
  if (value.migration && (value.version === 2 || ipv6)) {
    complain(["migration"], "found true, allowed: only with version 3 and IPv4 addresses");
  }
  if (value.password !== undefined && value.version === 3) {
    complain(["password"], "found a password, allowed: only with version 2 (version 3 has no authentication)");
  }
  checkAuthentication(value, complain);
  if (value["router-advertisement"] !== undefined && !ipv6) {
    complain(["router-advertisement"], "found with IPv4 addresses, allowed: only with IPv6 addresses");
  }
  checkSurroundings(value, complain);
}

function checkAuthentication({ authentication: given, version, migration }: Fields, complain: Complain): void {
  if (given === undefined) return;
  if (version === 2 || migration) {
    // What anybody can say unsigned in version 2 would be obeyed.
    complain(["authentication"], "found with version 2 or migration, allowed: with version 3 alone");
  }
  const ids = new Set<number>();
  for (const [i, { id }] of given.keys.entries()) {
    if (ids.has(id)) complain(["authentication", "keys", i, "id"], `found ${id} twice, allowed: each id once`);
    ids.add(id);
  }
}

function normal(value: Fields): RouterConfig {
  const [first] = value.addresses;
  const family = first === undefined ? "ipv4" : familyOf(first.address);
  const advertisement = value["router-advertisement"];
  return {
    name: value.name ?? `${value.interface}-${value.vrid}${family === "ipv6" ? "-v6" : ""}`,
    interface: value.interface,
    vrid: value.vrid,
    family,
    version: value.version,
    priority: value.priority,
    interval: value.interval,
    addresses: value.addresses,
    preempt: value.preempt !== false,
    preemptDelay: typeof value.preempt === "object" ? value.preempt.delay : ZERO,
    accept: value.accept,
    virtualMac: value["virtual-mac"],
    checksum: value.checksum,
    ...surroundingsOf(value.track),
    group: value.group,
    peers: value.peers,
    notify: value.notify,
    announceRepeat: value.announce.repeat,
    announceEvery: value.announce.every,
    announceRefresh: value.announce.refresh ?? ZERO,
    announceGap: value.announce.gap,
    routerAdvertisement:
      advertisement === undefined
        ? undefined
        : {
            interval: advertisement.interval,
            lifetime: advertisement.lifetime ?? (Math.min(3 * advertisement.interval, sec(9000)) as Duration),
          },
    migration: value.migration,
    password: value.password,
    authentication: authenticationOf(value),
    ownerConflict: value["owner-conflict"],
    firstAddress: value["first-address"],
  };
}

/** keepalived's default window: three intervals, at least 5 s. */
function authenticationOf({ authentication: given, interval }: Fields): Authentication | undefined {
  if (given === undefined) return undefined;
  const { keys, mode, replay, window = Math.max(3 * interval, sec(5)) as Duration } = given;
  return { keys: keys.map(({ id, secret }) => ({ id, secret: octetsOf(secret) })), mode, window, replay };
}

function octetsOf(secret: string): Uint8Array {
  const hex = secret.startsWith("hex:") ? fromHex(secret.slice(4)) : undefined;
  return hex ?? Uint8Array.from(secret, (character) => character.charCodeAt(0));
}

const which = {
  interface: portName.optional(),
  vrid: integerWithin(1, 255, "a VRID").optional(),
  family: z.enum(["ipv4", "ipv6"]).optional(),
};

/** What stands under `vrrp` in a script's `command:` line. */
export const command = z.discriminatedUnion("verb", [
  z.strictObject({ verb: z.enum(["start", "stop", "drain"]), ...which }),
  z.strictObject({ verb: z.literal("priority"), ...which, priority: integerWithin(1, 255, "a priority") }),
  z
    .strictObject({
      verb: z.literal("track"),
      name,
      up: z.boolean().optional(),
      // keepalived's: what a file says is an int.
      value: integerWithin(-(2 ** 31) + 1, 2 ** 31 - 1, "a value")
        .optional()
        .meta({ description: "Of a file with content: value; without `up` it is up while that is 0." }),
      why: z.string().max(MAX_WHY).optional().meta({ description: "What was found, for people." }),
    })
    .refine(({ up, value }) => up !== undefined || value !== undefined, {
      error: "found neither up nor value, allowed: one of them, or both",
    })
    .transform(({ up, value, ...rest }) => ({ ...rest, up: up ?? value === 0, value })),
]);

/** What an expectation of a lab names, and what it may say of it. */
export const expectSubject = integerWithin(1, 255, "a VRID").describe("The virtual router.");
export const expectFields = {
  state: z.enum(["initialize", "backup", "master", "fault"]).describe("The state that it must be in."),
  family: z.enum(["ipv4", "ipv6"]).describe("Where both families have the VRID; default: all of them."),
  interface: portName.describe("Where several interfaces have the VRID."),
  priority: integerWithin(1, 255, "a priority").describe("Its effective priority."),
  reason: z.enum(STATE_REASONS).describe("Why it came into its state."),
};
