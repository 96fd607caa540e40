/**
 * What is tracked besides interfaces: scripts, files, processes. Each is watched by itself and says when it changes;
 * what that means (a weight, a fault) is for whoever hears it. Runs in the helper (helper.ts): none of it may delay the
 * daemon.
 */
import type { Duration } from "../../core/time.ts";
import { startFile, type TrackedFile } from "./files.ts";
import { startProcess, type TrackedProcess } from "./processes.ts";
import type { Run } from "./program.ts";
import { type Script, startScript } from "./scripts.ts";

export interface TrackedConfig {
  readonly scripts: readonly Script[];
  readonly files: readonly TrackedFile[];
  readonly processes: readonly TrackedProcess[];
}

export type TrackedKind = "script" | "file" | "process";

/** What is known of one thing. */
export interface Known {
  readonly up: boolean;
  /** Of a file of `content: "value"`. */
  readonly value: number | undefined;
}

export interface Change extends Known {
  readonly kind: TrackedKind;
  readonly name: string;
  /** One line for people: "exit code 1", "2 of 3 processes". */
  readonly why: string;
}

export interface TrackedStatus {
  readonly kind: TrackedKind;
  readonly name: string;
  /** Undefined: not known yet. */
  readonly up: boolean | undefined;
  readonly value: number | undefined;
  /** What the last look found. */
  readonly why: string;
  readonly looks: number;
  /** Looks that found it bad, or could not be done. */
  readonly failures: number;
  /** The last kibibyte of a script's last run. */
  readonly output: string;
  /** Of a script's last run. */
  readonly took: Duration | undefined;
}

/** One thing that is watched. */
export interface Watching {
  status(): Omit<TrackedStatus, "kind" | "name">;
  close(): void;
}

/** Hears the first look that is known, and then each change. */
export type Told = (known: Known, why: string) => void;

export interface Tracked {
  /**
   * In place of what was tracked before. What stays as it was is not disturbed. Of several of one kind and name the
   * first counts. `known`: by `keyOf`, how things stood for a predecessor of this process, so that nothing seems to
   * fail anew.
   */
  use(config: TrackedConfig, known?: ReadonlyMap<string, Known>): void;
  status(): TrackedStatus[];
  close(): void;
}

export function keyOf(kind: TrackedKind, name: string): string {
  return `${kind} ${name}`;
}

interface Item {
  readonly kind: TrackedKind;
  readonly name: string;
  /** Of its configuration: what it is compared by. */
  readonly text: string;
  readonly watching: Watching;
}

/** @param run by which scripts are run: `runProgram`, with a limit */
export function startTracked(run: Run, heard: (change: Change) => void): Tracked {
  const items = new Map<string, Item>();
  return {
    use: (config, known = new Map()) => {
      const wanted = new Set<string>();
      const want = <T extends { readonly name: string }>(
        kind: TrackedKind,
        what: T,
        start: (what: T, known: Known | undefined, told: Told) => Watching,
      ) => {
        const { name } = what;
        const key = keyOf(kind, name);
        if (wanted.has(key)) return;
        wanted.add(key);
        const text = JSON.stringify(what);
        const old = items.get(key);
        if (old?.text === text) return;
        old?.watching.close();
        const status = old?.watching.status();
        const before = status?.up === undefined ? known.get(key) : { up: status.up, value: status.value };
        const watching = start(what, before, (now, why) => heard({ kind, name, ...now, why }));
        items.set(key, { kind, name, text, watching });
      };
      for (const script of config.scripts) want("script", script, (s, was, told) => startScript(s, run, was, told));
      for (const file of config.files) want("file", file, startFile);
      for (const process of config.processes) want("process", process, (p, was, told) => startProcess(p, was, told));
      for (const [key, { watching }] of items) {
        if (wanted.has(key)) continue;
        watching.close();
        items.delete(key);
      }
    },
    status: () => [...items.values()].map(({ kind, name, watching }) => ({ kind, name, ...watching.status() })),
    close: () => {
      for (const { watching } of items.values()) watching.close();
      items.clear();
    },
  };
}
