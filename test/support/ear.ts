import type { Change } from "../../src/host/linux/tracked.ts";

/** Of what is tracked: what was heard, and a way to wait for it. */
export class Ear {
  readonly changes: Change[] = [];
  private readonly waiting = new Set<() => void>();

  readonly hear = (change: Change): void => {
    this.changes.push(change);
    for (const look of this.waiting) look();
  };

  /** `name up`, `name down`, with the value of a file. */
  get said(): string[] {
    return this.changes.map(
      ({ name, up, value }) => `${name} ${up ? "up" : "down"}${value === undefined ? "" : ` ${value}`}`,
    );
  }

  until(line: string): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.said.at(-1) !== line) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
    });
  }
}
