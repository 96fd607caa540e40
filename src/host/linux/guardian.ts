/**
 * The daemon's side of its guardian, a process that gives back what the daemon holds should the daemon die: SIGKILL,
 * out of memory, a crash. Docs: crash-safety.md.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { ZERO } from "../../core/time.ts";
import { type Answer, decodeAnswer, encodeOrder, type Holding, LIMITS, type Order } from "./holdings.ts";
import { waitForPredecessors } from "./predecessors.ts";

export interface GuardianOptions {
  /** Told in one line each: it was lost, it is back, what it cannot do. */
  readonly log: (line: string) => void;
  /** The built guard-process; needed only by who runs from its sources. */
  readonly program?: string;
}

export type GuardianResult =
  | { readonly ok: true; readonly guardian: Guardian }
  | { readonly ok: false; readonly message: string };

const PROGRAM = fileURLToPath(new URL("./guard-process.js", import.meta.url));
/** It does little, so it is to stay small: a young heap of a megabyte, no threads that compile. */
const FLAGS = ["--max-semi-space-size=1", "--max-old-space-size=64", "--v8-pool-size=0"];
/** Where nft is, where the daemon's own PATH does not lead to it. */
const USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Milliseconds in which a new one has to be ready. */
const STARTS_WITHIN = 30_000;
/** Milliseconds that its end is waited for. */
const ENDS_WITHIN = 1_000;
/** Milliseconds before another one is started: none, then doubling from the first to the last. */
const FIRST_DELAY = 100;
const LAST_DELAY = 10_000;
/** Milliseconds after which the next loss is the first again. */
const STEADY = 60_000;
/** Octets that it has not read yet; beyond, it is taken for dead. */
const BACKLOG = 32 << 20;
const SAMPLE: Holding = {
  key: "none",
  index: 1,
  farewell: [new Uint8Array(60)],
  successor: [{ offset: 0, octet: 0 }],
  within: ZERO,
  wanted: [{ ethertype: 0, groups: [new Uint8Array(6)] }],
  undo: [{ kind: "address", index: 1, address: new Uint8Array(4), length: 32 }],
};

/**
 * Starts it, and waits until it is ready; before that, until the guardian of an earlier daemon in this network
 * namespace has done its work. `message`: why there is none.
 */
export async function startGuardian(options: GuardianOptions): Promise<GuardianResult> {
  const done = await waitForPredecessors((pids) => {
    options.log(`waiting for guardian ${pids.join(", ")} to give back what an earlier process held`);
  });
  if (!done) options.log("an earlier process's guardian does not come to its end; going on");
  const begun = await begin(options);
  return begun.ok ? { ok: true, guardian: new Guardian(options, begun) } : begun;
}

export class Guardian {
  /** As they go over the wire, for one that is started later. */
  private readonly lines = new Map<string, string>();
  private current: Begun | undefined;
  private started = 0;
  private delay = 0;
  private timer: NodeJS.Timeout | undefined;
  private leaving = false;

  constructor(
    private readonly options: GuardianOptions,
    begun: Begun,
  ) {
    // What is run for the first time takes half a millisecond; so that is now, and not on the way to being master.
    encodeOrder({ kind: "hold", holding: SAMPLE });
    this.attach(begun);
    this.say({ kind: "drop", key: SAMPLE.key });
  }

  /** Of its process; undefined while there is none. */
  get pid(): number | undefined {
    return this.current?.pid;
  }

  /**
   * From here on this is given back should the daemon die; undefined: no longer. The order has left the daemon when
   * this returns, unless more than the socket takes (some 200 kB) is on its way.
   * @returns false when it is not guarded: it is beyond `LIMITS`, which is logged
   */
  hold(key: string, holding: Holding | undefined): boolean {
    if (this.leaving) return false;
    if (holding === undefined) {
      if (this.lines.delete(key)) this.say({ kind: "drop", key });
      return true;
    }
    const line = encodeOrder({ kind: "hold", holding: { ...holding, key } });
    if (!line.ok || (this.lines.size >= LIMITS.holdings && !this.lines.has(key))) {
      this.options.log(`${key} is not guarded: ${line.ok ? `more than ${LIMITS.holdings} holdings` : line.reason}`);
      return false;
    }
    if (this.lines.get(key) === line.value) return true;
    this.lines.set(key, line.value);
    this.write(line.value);
    return true;
  }

  /** An orderly end: it gives nothing back and ends. Resolves when it has, or after a second. */
  async goodbye(): Promise<void> {
    if (this.leaving) return;
    this.leaving = true;
    clearTimeout(this.timer);
    const { current } = this;
    if (current === undefined) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, ENDS_WITHIN);
      current.channel.ref();
      current.channel.once("close", () => {
        clearTimeout(late);
        resolve();
      });
      this.say({ kind: "goodbye" });
    });
  }

  private attach(begun: Begun): void {
    this.current = begun;
    this.started = performance.now();
    const { channel } = begun;
    // It is no reason for the daemon to stay.
    channel.unref();
    channel.on("close", () => this.lost(begun.pid));
    begun.hear((answer) => {
      if (answer.kind === "trouble") this.options.log(answer.text);
    });
    for (const line of this.lines.values()) this.write(line);
    if (channel.destroyed) this.lost(begun.pid);
  }

  private lost(pid: number): void {
    if (this.current?.pid !== pid) return;
    this.current = undefined;
    if (this.leaving) return;
    if (performance.now() - this.started > STEADY) this.delay = 0;
    this.options.log(`${pid} is gone: a crash would leave ${this.lines.size} holdings behind; starting another one`);
    this.later();
  }

  private later(): void {
    this.timer = setTimeout(() => void this.restart(), this.delay).unref();
    this.delay = Math.min(LAST_DELAY, Math.max(FIRST_DELAY, 2 * this.delay));
  }

  private async restart(): Promise<void> {
    const begun = await begin(this.options);
    if (this.leaving) {
      // It holds nothing, so it ends when nobody is there.
      if (begun.ok) begun.channel.destroy();
      return;
    }
    if (begun.ok) {
      this.attach(begun);
      this.options.log(`${begun.pid} guards ${this.lines.size} holdings`);
    } else {
      this.options.log(`none can be started: ${begun.message}`);
      this.later();
    }
  }

  private say(order: Order): void {
    const line = encodeOrder(order);
    if (line.ok) this.write(line.value);
  }

  private write(line: string): void {
    const { current } = this;
    // The next one is told all of it.
    if (current === undefined || current.channel.destroyed) return;
    current.channel.write(`${line}\n`);
    if (current.channel.writableLength <= BACKLOG) return;
    this.options.log(`${current.pid} does not read`);
    try {
      // Not by closing the channel: it would take that for the daemon's death.
      process.kill(current.pid, "SIGKILL");
    } catch {
      // It is dead already: the channel's end says so presently.
    }
  }
}

interface Begun {
  readonly ok: true;
  readonly pid: number;
  readonly channel: Socket;
  /** What it says from now on, after what it has said so far. */
  readonly hear: (heard: (answer: Answer) => void) => void;
}

type BegunResult = Begun | { readonly ok: false; readonly message: string };

function begin({ program = PROGRAM }: GuardianOptions): Promise<BegunResult> {
  let shell: ChildProcess;
  try {
    shell = launch(program);
  } catch (error) {
    return Promise.resolve({ ok: false, message: error instanceof Error ? error.message : String(error) });
  }
  return new Promise((resolve) => {
    const channel = shell.stdio[3];
    const fail = (message: string) => {
      clearTimeout(late);
      resolve({ ok: false, message });
    };
    const late = setTimeout(() => {
      fail(`it is not ready after ${STARTS_WITHIN / 1_000} s`);
      // It holds nothing: it ends.
      if (channel instanceof Socket) channel.destroy();
    }, STARTS_WITHIN);
    shell.on("error", (error) => fail(error.message));
    if (!(channel instanceof Socket)) return;
    const said: Answer[] = [];
    let hear = (answer: Answer): void => {
      said.push(answer);
    };
    let orphan = false;
    const look = () => {
      const ready = said.find((answer) => answer.kind === "ready");
      if (ready === undefined || !orphan) return;
      clearTimeout(late);
      const tell: Begun["hear"] = (heard) => {
        hear = heard;
        for (const answer of said.splice(0)) heard(answer);
      };
      resolve({ ok: true, pid: ready.pid, channel, hear: tell });
    };
    onLines(channel, (line) => {
      const answer = decodeAnswer(line);
      if (answer !== undefined) hear(answer);
      look();
    });
    shell.on("exit", () => {
      orphan = true;
      look();
    });
    channel.on("error", () => undefined);
    channel.on("close", () => {
      const trouble = said.find((answer) => answer.kind === "trouble");
      fail(trouble?.text ?? "it ended before it was ready, see above");
    });
    shell.unref();
  });
}

/**
 * Through a shell that ends at once, in a session of its own: the guardian is no child of the daemon, in none of its
 * process groups, and not found by who kills a process with all that came of it.
 */
function launch(program: string): ChildProcess {
  return spawn("/bin/sh", ["-c", '"$@" &', "sh", process.execPath, ...FLAGS, program], {
    // Keeps no file system busy, and takes over no setting of the daemon's runtime.
    cwd: "/",
    env: { PATH: [process.env["PATH"] ?? [], USUAL].flat().join(":") },
    detached: true,
    // Node.js makes both ends close-on-exec: no other child keeps the daemon's open once it is dead.
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
}

function onLines(channel: Socket, heard: (line: string) => void): void {
  let begun = "";
  channel.setEncoding("utf8").on("data", (part: string) => {
    const lines = (begun + part).split("\n");
    begun = (lines.pop() ?? "").slice(0, LIMITS.line);
    for (const line of lines) heard(line);
  });
}
