/** Settings of the kernel under /proc/sys/net, set for as long as something needs them and put back afterwards. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";

/** "ipv4/conf/eth0/arp_ignore". */
export type SysctlPath = string;

export interface Saved {
  readonly path: SysctlPath;
  readonly value: string;
}

export function file(path: SysctlPath): string {
  return `/proc/sys/net/${path}`;
}

/** Undefined where the kernel has no such setting (IPv6 switched off, an interface that is gone). */
export function readSysctl(path: SysctlPath): string | undefined {
  try {
    return readFileSync(file(path), "utf8").trim();
  } catch {
    return undefined;
  }
}

/** False when the kernel does not take it. */
export function writeSysctl(path: SysctlPath, value: string): boolean {
  return write(file(path), value);
}

function write(name: string, value: string): boolean {
  try {
    writeFileSync(name, value);
    return true;
  } catch {
    return false;
  }
}

/** A setting of one digit that is written when there is no time to look for it: the file stays open. */
export class Switch {
  private readonly fd: number | undefined;

  constructor(private readonly name: string) {
    this.fd = open(name);
  }

  /** False when the kernel does not take it. */
  write(digit: string): boolean {
    try {
      if (this.fd !== undefined) return writeSync(this.fd, digit, 0) > 0;
    } catch {
      // Of a device that has another name by now: whoever has that path is asked.
    }
    return write(this.name, digit);
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
  }
}

/** Undefined where there is no such setting, or too many files are open. */
function open(name: string): number | undefined {
  try {
    return openSync(name, "w");
  } catch {
    return undefined;
  }
}

/** Settings that several users may need at once: the first saves what was there, the last puts it back. */
export class Sysctls {
  private readonly users = new Map<SysctlPath, { readonly saved: string; count: number }>();

  /** @returns what is wrong, in words; undefined when it is set */
  need(path: SysctlPath, value: string): string | undefined {
    const known = this.users.get(path);
    if (known !== undefined) {
      known.count++;
      return undefined;
    }
    const saved = readSysctl(path);
    if (saved === undefined) return `the kernel has no setting net/${path}`;
    if (saved !== value && !writeSysctl(path, value)) return `the kernel does not take net/${path} = ${value}`;
    this.users.set(path, { saved, count: 1 });
    return undefined;
  }

  /** @param now where the setting is found by now: an interface may have another name */
  release(path: SysctlPath, now = path): void {
    const known = this.users.get(path);
    if (known === undefined || --known.count > 0) return;
    this.users.delete(path);
    if (readSysctl(now) !== known.saved) writeSysctl(now, known.saved);
  }

  /** What would have to be put back now. */
  saved(): readonly Saved[] {
    return [...this.users].map(([path, { saved }]) => ({ path, value: saved }));
  }
}
