/** Speed and duplex of an interface, as the driver of its card says. */
import { readFileSync } from "node:fs";
import type { Duplex } from "../../core/machine.ts";

/** Bits per second; undefined where nobody knows. */
export function speedOf(name: string): number | undefined {
  const megabits = Number(attributeOf(name, "speed"));
  return megabits > 0 ? megabits * 1_000_000 : undefined;
}

export function duplexOf(name: string): Duplex | undefined {
  const word = attributeOf(name, "duplex")?.trim();
  return word === "half" || word === "full" ? word : undefined;
}

/** The kernel asks the driver anew at each look. */
function attributeOf(name: string, attribute: "speed" | "duplex"): string | undefined {
  try {
    return readFileSync(`/sys/class/net/${name}/${attribute}`, "utf8");
  } catch {
    // A device that has none refuses to be read.
    return undefined;
  }
}
