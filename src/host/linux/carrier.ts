/**
 * Carrier of interfaces, looked at again and again. The kernel tells at once only if it has told nothing about any interface
 * within the last second (net/core/link_watch.c): of two links that are lost one after the other it tells of the second up to
 * a second later, in which a thousand frames go nowhere. Its own bonding looks (miimon) for the same reason.
 */
import { readFileSync } from "node:fs";

/** Milliseconds. */
const EVERY = 25;

export class CarrierWatch {
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param names of the interfaces that are looked at, each time
   * @param lost is told of one that is on and has none, each time
   */
  constructor(
    private readonly names: () => readonly string[],
    private readonly lost: (name: string) => void,
  ) {}

  start(): void {
    this.timer ??= setInterval(() => this.look(), EVERY);
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private look(): void {
    for (const name of this.names()) if (hasCarrier(name) === false) this.lost(name);
  }
}

/** Undefined for one that is switched off or not there. */
function hasCarrier(name: string): boolean | undefined {
  try {
    return readFileSync(`/sys/class/net/${name}/carrier`, "latin1").startsWith("1");
  } catch {
    // EINVAL, ENOENT: the kernel's news say so.
    return undefined;
  }
}
