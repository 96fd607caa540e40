/**
 * A recording: one JSON object a line. The first says everything that is needed to run it again; the others are the log.
 * Lines carry no wall time, so two recordings of one run are the same octets.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { entryLine, type Reader } from "../src/core/log.ts";
import { type Instant, toSeconds } from "../src/core/time.ts";

/** Grows when older programs could not read it any more. */
export const FORMAT = 1;

export interface RecordingHeader {
  readonly type: "recording";
  readonly format: number;
  /** Name and text of the lab's file. */
  readonly file: string;
  readonly lab: string;
  readonly seed: number;
  /** Seconds. */
  readonly end: number;
  /** Whether frames, timers and alarms are in it. */
  readonly everything: boolean;
}

interface Recorded {
  readonly text: string;
  readonly name: string;
  readonly seed: number;
  readonly end: Instant;
  readonly everything: boolean;
}

/** Characters that are gathered before they are written. */
const CHUNK = 1 << 16;

export interface Recorder {
  readonly reader: Reader;
  close(): void;
}

/**
 * Writes a run's recording, the header at once. Writing is synchronous: a simulation is faster than a disk.
 * @throws what node:fs throws when the file cannot be written
 */
export function recordTo(file: string, { text, name, seed, end, everything }: Recorded): Recorder {
  const fd = openSync(file, "w");
  const header: RecordingHeader = {
    type: "recording",
    format: FORMAT,
    file: name,
    lab: text,
    seed,
    end: toSeconds(end),
    everything,
  };
  let gathered = `${JSON.stringify(header)}\n`;
  const flush = () => {
    writeSync(fd, gathered);
    gathered = "";
  };
  return {
    reader: {
      everything,
      read(entry) {
        gathered += `${JSON.stringify(entryLine(entry))}\n`;
        if (gathered.length >= CHUNK) flush();
      },
    },
    close() {
      flush();
      closeSync(fd);
    },
  };
}
