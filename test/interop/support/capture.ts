/** What comes in by one interface of a namespace, with the kernel's time of it: tcpdump, read as it writes. */
import { type ChildProcess, spawn } from "node:child_process";
import { CaptureReader } from "../../../src/capture/read.ts";
import { end, onLeaving, until } from "./namespaces.ts";

export class Capture {
  readonly pid: number;
  ready = false;
  errors = "";
  private readonly child: ChildProcess;
  private readonly reader = new CaptureReader();
  private readonly over: Promise<void>;
  private readonly called: () => void;

  /**
   * @param heard is given octets of its own, and microseconds since 1970
   * @param filter of pcap-filter(7)
   */
  constructor(namespace: string, device: string, heard: (bytes: Uint8Array, at: number) => void, filter = "") {
    const how = ["-Q", "in", "-n", "-U", "--immediate-mode", "--nano", "-w", "-"];
    const tcpdump = ["tcpdump", "-i", device, ...how, ...(filter === "" ? [] : [filter])];
    this.child = spawn("ip", ["netns", "exec", namespace, ...tcpdump], { stdio: ["ignore", "pipe", "pipe"] });
    const { stdout, stderr, pid } = this.child;
    if (stdout === null || stderr === null || pid === undefined) throw new Error("tcpdump does not start");
    this.pid = pid;
    this.called = onLeaving(() => end(pid, "SIGKILL"));
    stderr.setEncoding("utf8").on("data", (part: string) => {
      this.errors += part;
      if (this.errors.includes("listening on")) this.ready = true;
    });
    stdout.on("data", (piece: Uint8Array) => {
      for (const { seconds, nanoseconds, bytes } of this.reader.push(piece)) {
        heard(bytes, seconds * 1e6 + nanoseconds / 1e3);
      }
    });
    this.over = new Promise((resolve) => this.child.once("close", () => resolve()));
  }

  /** Resolves when it listens. */
  async listens(): Promise<void> {
    await until("tcpdump listens", () => this.ready);
  }

  async close(): Promise<void> {
    this.child.kill("SIGTERM");
    await this.over;
    this.called();
  }
}
