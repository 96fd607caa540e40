/** What a router's file says of what it tracks (`track`) and of whom it tells (`notify`), with every default. */
import * as z from "zod";
import { type Duration, ms, sec } from "../../src/core/time.ts";
import { duration, durationWithin, integerWithin, name, portName, quote } from "../../src/node/units.ts";

const MAX_TRACKED = 64;
/** Between looks, at the least: a process costs a millisecond or two of a core. */
const LEAST_INTERVAL = ms(50);

/** keepalived's range, so that its files can be imported; RFC 8347 has decrements of 1…254. */
const weight = integerWithin(-253, 253, "a weight").default(0).meta({
  description:
    "Negative: added to the priority while it is down. Positive: added while it is up. 0 or absent: down means fault.",
});
const reverse = z.boolean().default(false).meta({ description: "What is up counts as down, and the other way round." });
const fall = integerWithin(1, 100, "a count").default(1).meta({ description: "Failures in a row that make it down." });
const rise = integerWithin(1, 100, "a count").default(1).meta({ description: "Successes in a row that make it up." });
const interval = duration.default(sec(1)).meta({ description: "From look to look, never less than 50ms." });
const user = z
  .string()
  .regex(/^[^\s:]{1,64}(:[^\s:]{1,64})?$/, { error: (i) => `found ${quote(i.input)}, allowed: USER or USER:GROUP` })
  .optional()
  .meta({ description: "USER or USER:GROUP that it runs as. Default: nobody, when the daemon is root." });
const run = z.string().min(1).meta({ description: "The command to run, without a shell." });
const path = z
  .string()
  .max(4096)
  .regex(/^\/./, { error: (i) => `found ${quote(i.input)}, allowed: a path that begins with /` });

const trackedInterface = z.strictObject({ name: portName, weight, reverse });
const trackedObject = z.strictObject({ name, weight, reverse });
const trackedScript = z.strictObject({
  name,
  run,
  interval,
  timeout: duration.optional().meta({ description: "Default: the interval." }),
  fall,
  rise,
  user,
  weight,
  reverse,
});
const trackedFile = z.strictObject({
  name,
  path,
  content: z.enum(["exists", "value"]).default("exists").meta({
    description: "exists: up while there is such a file. value: the integer in it, up while that is 0 or it is absent.",
  }),
  interval: interval.meta({ description: "Between looks that no change asked for, never less than 50ms." }),
  // keepalived: its track_file alone goes to 254, so that a value can mean a fault.
  weight: integerWithin(-254, 254, "a weight").default(0).meta({
    description:
      "As of others; of content: value it is multiplied by the value and added, and below -253 means fault. 0: any value but 0 means fault.",
  }),
  reverse,
});
const trackedProcess = z.strictObject({
  name,
  process: z.string().min(1).max(255).meta({ description: "Its name as ps -o comm has it, or that of its program." }),
  arguments: z.array(z.string().max(4096)).max(64).optional().meta({ description: "Its first arguments." }),
  quorum: integerWithin(1, 65_535, "a count").default(1).meta({ description: "How many must run, at the least." }),
  interval,
  fall,
  rise,
  weight,
  reverse,
});

const list = <T extends z.ZodType>(item: T) => z.array(item).max(MAX_TRACKED).default([]);

export const track = z.strictObject({
  interfaces: list(trackedInterface),
  scripts: list(trackedScript),
  files: list(trackedFile),
  processes: list(trackedProcess),
  objects: list(trackedObject).meta({ description: "Up until the command `track` says otherwise." }),
});

export const notify = z
  .strictObject({
    run: run.optional().meta({ description: "Told of each change of the router's state, without a shell." }),
    group: run.optional().meta({
      description: "Told once when all routers of the sync group have come into a state, without a shell.",
    }),
    user,
    timeout: durationWithin(ms(100), sec(3600))
      .default(sec(10))
      .meta({ description: "Of one attempt; then it is killed." }),
    attempts: integerWithin(1, 100, "a count").default(5).meta({
      description: "How often it is tried, unless a newer state waits.",
    }),
  })
  .refine((value) => value.run !== undefined || value.group !== undefined, {
    error: "found neither run nor group, allowed: one of them, or both",
  });

type Track = z.output<typeof track>;
export type Notify = z.output<typeof notify>;
/** What is one router's own matter: others may track the same with another weight. */
type Weighed = Pick<Tracked, "name" | "weight" | "reverse">;
type Looked<T> = Omit<T, "weight" | "reverse">;
export type TrackedFile = Looked<z.output<typeof trackedFile>>;
export type TrackedProcess = Looked<z.output<typeof trackedProcess>>;
export interface TrackedScript extends Omit<Looked<z.output<typeof trackedScript>>, "timeout"> {
  readonly timeout: Duration;
}

export interface Tracked {
  readonly kind: "interface" | "script" | "file" | "process" | "object";
  readonly name: string;
  /** -254…254; 0: down means fault. */
  readonly weight: number;
  /** Whether it has a value, by which the weight is multiplied. */
  readonly valued: boolean;
  /** Whether up counts as down here. */
  readonly reverse: boolean;
}

/** What the machine hears of, and what has to be looked at so that it does. */
export function surroundingsOf({ interfaces, scripts, files, processes, objects }: Track) {
  const of = (kind: Tracked["kind"], all: readonly (Weighed & { readonly content?: string })[]): Tracked[] =>
    all.map(({ name: called, weight: by, reverse: turned, content }) => {
      return { kind, name: called, weight: by, valued: content === "value", reverse: turned };
    });
  return {
    tracked: [
      ...of("interface", interfaces),
      ...of("script", scripts),
      ...of("file", files),
      ...of("process", processes),
      ...of("object", objects),
    ],
    scripts: scripts.map(({ weight: _, reverse: __, ...one }): TrackedScript => {
      return { ...one, timeout: one.timeout ?? (Math.max(one.interval, LEAST_INTERVAL) as Duration) };
    }),
    files: files.map(({ weight: _, reverse: __, ...one }): TrackedFile => one),
    processes: processes.map(({ weight: _, reverse: __, ...one }): TrackedProcess => one),
  };
}

type Complain = (path: readonly (string | number)[], message: string) => void;

interface Given {
  readonly track: Track;
  readonly notify?: Notify | undefined;
  readonly group?: string | undefined;
}

/** Orders say a name only: but for interfaces, whatever is tracked has one of its own. */
export function checkSurroundings({ track: given, notify: told, group }: Given, complain: Complain): void {
  const names = new Set<string>();
  for (const [kind, all] of Object.entries(given)) {
    for (const [i, { name: tracked }] of all.entries()) {
      const key = kind === "interfaces" ? `interface ${tracked}` : tracked;
      if (names.has(key)) complain(["track", kind, i, "name"], `found ${quote(tracked)} twice, allowed: each once`);
      names.add(key);
    }
  }
  if (told?.group !== undefined && group === undefined) {
    complain(["notify", "group"], "found a hook of a sync group, allowed: in a router that has a `group`");
  }
}
