/** The captures in `captures/` with what is known about each of their frames. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readCapture } from "../../src/capture/file.ts";
import type { CaptureRecord } from "../../src/capture/record.ts";

const FOLDER = fileURLToPath(new URL("../../captures/", import.meta.url));

/** Any JSON object. */
export type Json = { readonly [key: string]: unknown };

export interface Sidecar extends Json {
  /** The capture file's name. */
  readonly file: string;
  readonly frames: readonly Json[];
}

/** Every sidecar, in the order of the names. */
export function sidecars(): readonly Sidecar[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".json") && name !== "index.json")
    .sort()
    .map((name) => sidecarOf(name));
}

function sidecarOf(name: string): Sidecar {
  const read = JSON.parse(readFileSync(FOLDER + name, "utf8")) as Json;
  return { ...read, file: String(read["file"]), frames: (read["frames"] as readonly Json[] | undefined) ?? [] };
}

/** Every whole packet of a capture; those before the damage, where it is damaged. */
export async function recordsOf(file: string): Promise<readonly CaptureRecord[]> {
  const records: CaptureRecord[] = [];
  for await (const batch of readCapture(FOLDER + file)) records.push(...batch.records);
  return records;
}

/** What the ground truth says about a frame: crafted and format files keep it under `decode`. */
export function truthOf(frame: Json): Json {
  return (frame["decode"] as Json | undefined) ?? frame;
}
