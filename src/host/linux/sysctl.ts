/** Settings of the kernel under /proc/sys/net, set for as long as something needs them and put back afterwards. */
import { readFileSync, writeFileSync } from "node:fs";

/** "ipv4/conf/eth0/arp_ignore". */
export type SysctlPath = string;

export interface Saved {
  readonly path: SysctlPath;
  readonly value: string;
}

function file(path: SysctlPath): string {
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
  try {
    writeFileSync(file(path), value);
    return true;
  } catch {
    return false;
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
