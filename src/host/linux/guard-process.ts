/**
 * The guardian: a small process beside the daemon that knows what the daemon holds. When the other end of its socket is
 * gone, for whatever reason, it says farewell, waits for a successor, and gives everything back. guardian.ts starts it.
 */
import { readlinkSync, writeFileSync, writeSync } from "node:fs";
import { type Answer, decodeOrder, encodeAnswer, type Holding, LIMITS, type Order } from "./holdings.ts";
import { CallFailed, type Libc, openLibc, type Watched } from "./libc.ts";
import { RELEASING } from "./predecessors.ts";
import { Release } from "./release.ts";

/** The descriptor of the socket to the daemon. */
const CHANNEL = 3;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const UNABLE = 3;
/** Octets that are taken from the socket in one go. */
const PIECE = 1 << 16;
/** Kept for the end, when the daemon no longer listens. */
const LAST_LINES = 50;
/** Milliseconds: the longest wait for a successor, and removing thousands of devices. */
const LONGEST = LIMITS.within / 1_000 + 120_000;
/** What is sent to a whole process group, by a terminal or a service manager, and what Node.js takes for itself. */
const IGNORED = ["SIGINT", "SIGHUP", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** Half of the way to "never": who is out of memory is the daemon. */
const OOM_SCORE = "-500";

class Guard {
  private readonly holdings = new Map<string, Holding>();
  private readonly piece = new Uint8Array(PIECE);
  private readonly text = new TextDecoder();
  private readonly lines: string[] = [];
  private readonly watched: Watched;
  private readonly release: Release;
  /** The beginning of a line. */
  private begun = "";
  /** Inside of a line that is too long. */
  private skipping = false;
  private releasing = false;

  constructor(private readonly libc: Libc) {
    this.release = new Release(libc, (text) => this.trouble(text));
    this.watched = libc.watch(CHANNEL, () => this.read());
  }

  /** @returns false when there is nothing that it could go on with */
  survive(error: unknown): boolean {
    this.trouble(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return this.releasing;
  }

  private trouble(text: string): void {
    if (!this.releasing) answer(this.libc, { kind: "trouble", text });
    else if (this.lines.length < LAST_LINES) this.lines.push(text);
  }

  private read(): void {
    while (!this.releasing) {
      let piece: Uint8Array | undefined;
      try {
        piece = this.libc.recv(CHANNEL, this.piece);
      } catch (error) {
        // ECONNRESET: it went without having read what it was told.
        if (!(error instanceof CallFailed)) throw error;
        piece = this.piece.subarray(0, 0);
      }
      if (piece === undefined) return;
      if (piece.length === 0) void this.giveBack();
      else this.take(this.text.decode(piece, { stream: true }));
    }
  }

  private take(text: string): void {
    const parts = text.split("\n");
    const rest = parts.pop() ?? "";
    for (const part of parts) {
      if (!this.skipping) this.obey(this.begun + part);
      this.skipping = false;
      this.begun = "";
    }
    this.begun = this.skipping ? "" : this.begun + rest;
    if (this.begun.length <= LIMITS.line) return;
    this.trouble("an order is too long");
    this.skipping = true;
    this.begun = "";
  }

  private obey(line: string): void {
    const result = decodeOrder(line);
    if (result.ok) this.carryOut(result.value);
    else this.trouble(`an order is not understood (${result.reason}): ${line.slice(0, 100)}`);
  }

  private carryOut(order: Order): void {
    if (order.kind === "goodbye") process.exit(0);
    if (order.kind === "drop") {
      this.holdings.delete(order.key);
      return;
    }
    const { holding } = order;
    if (this.holdings.size < LIMITS.holdings || this.holdings.has(holding.key)) this.holdings.set(holding.key, holding);
    else this.trouble(`${holding.key} is not guarded: there are ${LIMITS.holdings} holdings already`);
  }

  private async giveBack(): Promise<void> {
    this.releasing = true;
    this.watched.close();
    const all = [...this.holdings.values()];
    if (all.length === 0) process.exit(0);
    // Whatever becomes of the rest: it does not stay for ever.
    setTimeout(() => process.exit(1), LONGEST);
    try {
      this.release.farewell(all);
      this.release.hush(all);
    } catch (error) {
      this.survive(error);
    }
    const announced = this.announce();
    try {
      const given = await this.release.undo(all);
      this.lines.unshift(`the daemon is gone, ${all.length} holdings are given back: ${given}`);
    } catch (error) {
      this.survive(error);
    }
    if (announced !== undefined) this.libc.close(announced);
    // Last of all: whoever has stderr may not read it.
    for (const line of this.lines) say(line);
    process.exit(0);
  }

  /** By its name in the kernel's list of sockets a daemon that starts now sees that this is not over. */
  private announce(): number | undefined {
    try {
      const fd = this.libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      // struct sockaddr_un in the abstract name space, which goes with the network namespace: unix(7).
      const name = new TextEncoder().encode(`\0${RELEASING}${process.pid}`);
      this.libc.bind(fd, Uint8Array.from([...new Uint8Array(Uint16Array.of(AF_UNIX).buffer), ...name]));
      return fd;
    } catch (error) {
      this.trouble(
        `a successor of the daemon will not wait: ${error instanceof Error ? error.message : String(error)}`,
      );
      return undefined;
    }
  }
}

function say(line: string): void {
  try {
    writeSync(2, `hotpair: guardian: ${line}\n`);
  } catch {
    // stderr has gone with the daemon.
  }
}

function answer(libc: Libc, one: Answer): void {
  try {
    libc.send(CHANNEL, new TextEncoder().encode(`${encodeAnswer(one)}\n`));
  } catch (error) {
    // Nobody is there: reading says so too. Or nobody reads: then only words are lost.
    if (!(error instanceof CallFailed)) throw error;
  }
}

function guard(libc: Libc): Guard {
  try {
    return new Guard(libc);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    answer(libc, { kind: "trouble", text: `${error.message} (it needs CAP_NET_RAW and CAP_NET_ADMIN)` });
    process.exit(UNABLE);
  }
}

/** By hand there is none, and the number belongs to something of Node.js itself. */
function isStarted(): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${CHANNEL}`).startsWith("socket:");
  } catch {
    return false;
  }
}

function main(): void {
  if (!isStarted()) {
    say("is started by the daemon, not by hand");
    process.exit(UNABLE);
  }
  process.title = "hotpair: guardian";
  for (const signal of IGNORED) process.on(signal, () => undefined);
  try {
    writeFileSync("/proc/self/oom_score_adj", OOM_SCORE);
  } catch {
    // Without CAP_SYS_RESOURCE it stays as likely a victim as its size makes it, which is not very.
  }
  const opened = openLibc();
  if (!opened.ok) {
    say(opened.message);
    process.exit(UNABLE);
  }
  const started = guard(opened.libc);
  process.on("uncaughtException", (error) => {
    // The daemon starts another one; but once the daemon is gone nobody does.
    if (!started.survive(error)) process.exit(1);
  });
  answer(opened.libc, { kind: "ready", pid: process.pid });
}

main();
