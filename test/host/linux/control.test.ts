import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Link, socketOf } from "../../../cli/control.ts";
import { Failure } from "../../../cli/output.ts";
import { type Client, type Control, type ControlOptions, type Json, listen } from "../../../src/host/linux/control.ts";

let directory: string;
let path: string;
let said: string[];
const controls: Control[] = [];
const sockets: Socket[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hotpair-"));
  path = join(directory, "gw1.sock");
  said = [];
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const control of controls.splice(0)) control.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A daemon in small: it says its pid, repeats what it is asked, and fails on demand. */
async function daemon(answer?: ControlOptions["answer"]): Promise<Control> {
  const result = await listen({
    path,
    log: (line) => said.push(line),
    answer:
      answer ??
      (({ verb, fields }) => {
        if (verb === "who") return { pid: process.pid };
        if (verb === "fail") throw new Error("it cannot");
        if (verb === "no") return { error: "no" };
        return { verb, fields };
      }),
  });
  if (!result.ok) throw new Error(result.message);
  controls.push(result.control);
  return result.control;
}

/** A client that writes octets as they are, and reads lines. */
class Raw {
  readonly lines: Json[] = [];
  readonly closed: Promise<void>;
  private readonly waiting = new Set<() => void>();
  readonly socket: Socket;

  constructor() {
    this.socket = connect(path);
    sockets.push(this.socket);
    this.closed = new Promise((resolve) => this.socket.on("close", () => resolve()));
    createInterface({ input: this.socket }).on("line", (line) => {
      this.lines.push(JSON.parse(line) as Json);
      for (const look of this.waiting) look();
    });
  }

  write(text: string): this {
    this.socket.write(text);
    return this;
  }

  until(count: number): Promise<readonly Json[]> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.lines.length < count) return;
        this.waiting.delete(look);
        resolve(this.lines);
      };
      this.waiting.add(look);
      look();
    });
  }
}

describe("the control socket", () => {
  test("is for its owner alone, whatever the mask of the process is", async () => {
    const mask = process.umask(0);
    try {
      path = join(directory, "made", "gw1.sock");
      await daemon();
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(statSync(join(directory, "made")).mode & 0o777).toBe(0o700);
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(mask);
    }
  });

  test("is gone with its daemon", async () => {
    const control = await daemon();
    controls.splice(0);
    control.close();
    expect(existsSync(path)).toBe(false);
  });

  test("of a living daemon is refused to another one, which is told the pid", async () => {
    await daemon();
    const second = await listen({ path, log: () => {}, answer: () => ({}) });
    expect(second).toEqual({ ok: false, message: expect.stringContaining(`pid ${process.pid}`) });
    expect(await new Raw().write('{"id":1,"verb":"hello"}\n').until(1)).toMatchObject([{ id: 1, ok: true }]);
  });

  test("of a dead daemon is taken over", async () => {
    // Killed: it gives nothing back.
    const program = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    expect(statSync(path).isSocket()).toBe(true);
    await daemon();
    expect(await new Raw().write('{"id":1,"verb":"hello"}\n').until(1)).toMatchObject([{ id: 1, ok: true }]);
  });

  test("is no reason to remove a file that somebody has there", async () => {
    writeFileSync(path, "precious");
    const result = await listen({ path, log: () => {}, answer: () => ({}) });
    expect(result).toEqual({ ok: false, message: expect.stringContaining("something else than a socket") });
    expect(existsSync(path)).toBe(true);
  });

  test("whose path is longer than the kernel takes is refused before anything is made", async () => {
    path = join(directory, "a".repeat(120), "gw1.sock");
    const result = await listen({ path, log: () => {}, answer: () => ({}) });
    expect(result).toEqual({ ok: false, message: expect.stringContaining("107 octets") });
    expect(existsSync(join(directory, "a".repeat(120)))).toBe(false);
  });
});

describe("a request", () => {
  test("gets its answer, in the order of the requests, also when they come in pieces", async () => {
    const answers: (() => void)[] = [];
    await daemon(async ({ verb }) => {
      // The first takes longer than the second.
      if (verb === "slow") await new Promise<void>((resolve) => answers.push(resolve));
      else if (verb === "release") answers.shift()?.();
      return { verb };
    });
    const other = new Raw();
    const raw = new Raw().write('{"id":1,"verb":"sl').write('ow"}\n{"id":"two","verb":"b"}\n\n');
    while (answers.length === 0) await other.write('{"id":0,"verb":"poll"}\n').until(other.lines.length + 1);
    expect(raw.lines).toEqual([]);
    other.write('{"id":9,"verb":"release"}\n');
    expect(await raw.until(2)).toEqual([
      { id: 1, ok: true, verb: "slow" },
      { id: "two", ok: true, verb: "b" },
    ]);
  });

  test.each(["nonsense", "[]", "7", '{"id":1}', '{"id":1,"verb":7}', "null"])(
    "that is none is told so: %s",
    async (line) => {
      await daemon();
      const [answer] = await new Raw().write(`${line}\n`).until(1);
      expect(answer).toMatchObject({ ok: false, error: expect.stringContaining("allowed: a JSON object") });
    },
  );

  test("that fails is answered with the reason, and the next one is answered", async () => {
    await daemon();
    const raw = new Raw().write('{"id":1,"verb":"fail"}\n{"id":2,"verb":"no"}\n{"id":3,"verb":"yes"}\n');
    expect(await raw.until(3)).toMatchObject([
      { id: 1, ok: false, error: "it cannot" },
      { id: 2, ok: false, error: "no" },
      { id: 3, ok: true },
    ]);
  });

  test("of umlauts that are cut in two is read as it was written", async () => {
    await daemon();
    const raw = new Raw();
    const octets = new TextEncoder().encode('{"id":1,"verb":"ä"}\n');
    raw.socket.write(octets.subarray(0, 17));
    raw.socket.write(octets.subarray(17));
    expect(await raw.until(1)).toMatchObject([{ verb: "ä" }]);
  });
});

describe("a client", () => {
  test("that sends a line without an end is dropped, with a reason", async () => {
    await daemon();
    const raw = new Raw().write("x".repeat(70_000));
    await raw.closed;
    expect(raw.lines).toEqual([{ type: "dropped", reason: "request-too-long" }]);
    expect(said).toEqual(["control: a client was dropped (request-too-long)"]);
  });

  test("that asks without waiting for answers is dropped", async () => {
    await daemon(() => new Promise(() => {}));
    const raw = new Raw().write('{"id":1,"verb":"a"}\n'.repeat(200));
    await raw.closed;
    expect(raw.lines.at(-1)).toEqual({ type: "dropped", reason: "too-many-requests" });
  });

  test("beyond the 32nd is told so and let go; when one leaves there is room", async () => {
    await daemon();
    const many = Array.from({ length: 32 }, () => new Raw().write('{"id":1,"verb":"a"}\n'));
    for (const one of many) await one.until(1);
    const late = new Raw();
    await late.closed;
    expect(late.lines).toEqual([{ type: "dropped", reason: "too-many-clients" }]);
    many[0]?.socket.end();
    await many[0]?.closed;
    expect(await new Raw().write('{"id":1,"verb":"a"}\n').until(1)).toHaveLength(1);
  });

  test("that follows and does not read is dropped, and nobody else waits for it", async () => {
    const clients: Client[] = [];
    const gone: string[] = [];
    await daemon(({ verb }, client) => {
      if (verb !== "follow") return { verb };
      clients.push(client);
      client.onClose(() => gone.push("it"));
      return {};
    });
    const slow = new Raw().write('{"id":1,"verb":"follow"}\n');
    await slow.until(1);
    slow.socket.pause();
    const line = { entry: "x".repeat(1_000) };
    for (let i = 0; i < 4_000 && gone.length === 0; i++) clients[0]?.tell(line);
    expect(gone).toEqual(["it"]);
    expect(said).toEqual(["control: a client was dropped (reads-too-slowly)"]);
    clients[0]?.tell(line);
    expect(await new Raw().write('{"id":2,"verb":"hello"}\n').until(1)).toMatchObject([{ verb: "hello" }]);
    slow.socket.resume();
    await slow.closed;
  });
});

describe("who asks", () => {
  test("finds the only socket, and is told of none and of several", () => {
    expect(() => socketOf(undefined, directory)).toThrow(Failure);
    expect(() => socketOf(undefined, join(directory, "nothing"))).toThrow(/no hotpair runs here/);
    writeFileSync(path, "");
    writeFileSync(join(directory, "notes.txt"), "");
    expect(socketOf(undefined, directory)).toBe(path);
    expect(socketOf("gw2", directory)).toBe(join(directory, "gw2.sock"));
    expect(socketOf("/some/where", directory)).toBe("/some/where");
    writeFileSync(join(directory, "gw2.sock"), "");
    expect(() => socketOf(undefined, directory)).toThrow(/found several sockets.*gw1\.sock.*gw2\.sock/);
    try {
      socketOf(undefined, directory);
    } catch (error) {
      expect(error).toMatchObject({ exitCode: 2 });
    }
  });

  test("is told what to do where nobody is, and where a daemon has died", async () => {
    await expect(Link.to(path)).rejects.toMatchObject({ exitCode: 3, message: expect.stringContaining("hotpair run") });
    mkdirSync(join(directory, "x"));
    writeFileSync(path, "");
    await expect(Link.to(path)).rejects.toMatchObject({ exitCode: 3 });
  });

  test("is told when the daemon goes away in the middle of its question", async () => {
    const server = createServer((socket) => socket.once("data", () => socket.destroy()));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const link = await Link.to(path);
    await expect(link.ask("state")).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringContaining("went away"),
    });
    await new Promise((resolve) => server.close(resolve));
  });

  test.each(["HTTP/1.1 400 Bad Request\r\n", "7\n"])("is told when it is no hotpair that answers: %j", async (text) => {
    const server = createServer((socket) => socket.once("data", () => socket.end(text)));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const link = await Link.to(path);
    await expect(link.ask("state")).rejects.toMatchObject({ exitCode: 3 });
    await new Promise((resolve) => server.close(resolve));
  });

  test("hears what answers nothing beside its answers", async () => {
    await daemon((_, client) => {
      client.tell({ follow: 1, entry: { type: "a" } });
      return { done: true };
    });
    const link = await Link.to(path);
    const heard: Json[] = [];
    link.heard = (line) => heard.push(line);
    expect(await link.ask("follow")).toMatchObject({ ok: true, done: true });
    expect(heard).toEqual([{ follow: 1, entry: { type: "a" } }]);
    link.close();
  });
});
