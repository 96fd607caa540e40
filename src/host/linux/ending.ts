/**
 * How a node ends without a loss: what speaks has others take over and says goodbye, then that over which it speaks has others
 * stop to rely on it, then all stops.
 */
import type { Command } from "../../core/machine.ts";
import { NEVER } from "../../core/time.ts";
import type { Node } from "../../node/node.ts";
import type { AnyProtocol } from "../../node/protocol.ts";

export class Ending {
  private readonly waiting = new Set<{ readonly so: () => boolean; readonly done: () => void }>();

  constructor(
    private readonly node: Node,
    private readonly protocols: readonly AnyProtocol[],
    private readonly order: (to: string, command: Command) => void,
  ) {}

  /** Has others take over from what speaks; what that speaks over stays until `release`. */
  drain(): void {
    const order: Command = { verb: "drain" };
    const carriers = new Set(this.carriers().map(({ machine }) => machine));
    if (carriers.size === 0) this.order("*", order);
    else for (const one of this.node.machines) if (!carriers.has(one)) this.order(one.name, order);
  }

  /** Has others stop to rely on what will be gone, once what speaks over it has said goodbye. */
  async release(): Promise<void> {
    const carriers = this.carriers();
    const holds = () => carriers.flatMap(({ holds }) => holds());
    const longest = Math.max(0, ...holds().map(({ within }) => within));
    if (longest === 0) return;
    const speakers = this.protocols.flatMap(({ name, listens, release }) =>
      listens === undefined || release !== undefined ? [] : (this.node.machine(name) ?? []),
    );
    for (const { name } of speakers.toReversed()) this.order(name, { verb: "stop" });
    await this.until(() => speakers.every((machine) => machine.deadline() === NEVER));
    for (const { machine, release } of carriers) this.order(machine.name, release);
    await this.until(() => holds().length === 0, longest / 1_000);
  }

  /** Resolves when it is so after an input, or is not within so many milliseconds. */
  until(so: () => boolean, within?: number): Promise<void> {
    return new Promise((resolve) => {
      const late = within === undefined ? undefined : setTimeout(() => done(), within);
      const done = () => {
        clearTimeout(late);
        this.waiting.delete(one);
        resolve();
      };
      const one = { so, done };
      this.waiting.add(one);
      this.look();
    });
  }

  /** To be called after each input. */
  look(): void {
    for (const { so, done } of this.waiting) if (so()) done();
  }

  /** Machines over whose ports others speak, with what each of them holds. */
  private carriers() {
    return this.protocols.flatMap(({ name, release, status }) => {
      const machine = this.node.machine(name);
      if (machine === undefined || release === undefined) return [];
      // The protocol's own machine has made this state.
      return { machine, release, holds: () => status?.holds(machine.state as never) ?? [] };
    });
  }
}
