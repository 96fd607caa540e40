/** What something tracked means for a router: nothing, so much of its priority, or a fault. */
import type { Tracked } from "./config-surroundings.ts";
import type { Standing } from "./events.ts";
import type { VrrpState } from "./state.ts";

/** keepalived: a value that takes away more than any weight could means a fault; no value adds more than one could. */
const LEAST = -253;
const MOST = 253;

/** How it stands now. */
export function standingOf({ byName, objects }: VrrpState, { kind, name }: Tracked): Standing {
  if (kind === "interface") return { up: byName.get(name)?.up ?? false };
  return objects.get(name) ?? { up: false };
}

/**
 * Weight 0: down means fault. A positive weight is added while it is up, a negative one while it is down. Of what has a
 * value the weight times the value is added, as keepalived's track_file does; a value that is not known yet adds nothing.
 */
export function effectOf({ weight, valued, reverse }: Tracked, { up, value }: Standing): number | "fault" {
  const good = up !== reverse;
  if (weight === 0) return good ? 0 : "fault";
  if (!valued) return good === weight > 0 ? weight : 0;
  const product = (reverse ? -weight : weight) * (value ?? 0);
  // -0 is no number for people.
  return product < LEAST ? "fault" : Math.min(MOST, product) + 0;
}

/** "file load says 3", "script nginx is down (exit code 1)". */
export function standingWords(
  { kind, name, valued }: Omit<Tracked, "weight" | "reverse">,
  { up, value, why }: Standing,
): string {
  const says = valued && value !== undefined;
  const how = says ? `says ${value}` : `is ${up ? "up" : "down"}`;
  // What a file says is all that there is to say.
  return `${kind} ${name} ${how}${why === undefined || (says && value !== 0) ? "" : ` (${why})`}`;
}

/** "-30", "+20", "fault"; "no effect" where it adds nothing. */
export function effectWords(effect: number | "fault"): string {
  if (effect === "fault") return effect;
  return effect === 0 ? "no effect" : effect > 0 ? `+${effect}` : String(effect);
}
