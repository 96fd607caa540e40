/**
 * The control socket: a unix socket on which the owner of the process asks and orders. A request is one JSON object on a
 * line, `{ id, verb, … }`; each gets one answer, `{ id, ok, … }`, in the order of the requests. A line without an `id` is
 * something that happened, for who follows. docs/operating.md has the verbs.
 */
import { lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { createServer, connect as open, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { StringDecoder } from "node:string_decoder";

/** Characters of a request; more, and the client is dropped. */
const MAX_REQUEST = 65_536;
/** Clients at a time; one more is told so and let go. */
const MAX_CLIENTS = 32;
/** Octets that a client has not read yet; more, and it is dropped. */
const MAX_BACKLOG = 1 << 20;
/** Requests of one client that wait for the one before; more, and it is dropped. */
const MAX_WAITING = 64;
/** Milliseconds for a daemon to say who it is, and for a dropped client to read why. */
const PATIENCE = 1_000;
/** sun_path of Linux, less its final zero. */
const MAX_PATH = 107;

export type Json = Readonly<Record<string, unknown>>;

/** What is said to a request: fields of the answer; `error` makes it one that says no. */
export type Answer = Json & { readonly error?: string };

export interface Request {
  /** As the client gave it; null where it gave none. */
  readonly id: unknown;
  readonly verb: string;
  readonly fields: Json;
}

/** Why a client was dropped. */
export type DropReason = "request-too-long" | "too-many-requests" | "reads-too-slowly" | "too-many-clients";

export interface ControlOptions {
  readonly path: string;
  /** What a request leads to. What it throws is the answer's error. */
  readonly answer: (request: Request, client: Client) => Answer | Promise<Answer>;
  /** Told in a line: a client was dropped. */
  readonly log: (line: string) => void;
}

export type ControlResult =
  | { readonly ok: true; readonly control: Control }
  | { readonly ok: false; readonly message: string };

/** One who is connected. */
export interface Client {
  /** A line that answers nothing. */
  tell(line: Json): void;
  /** Called once, when it is gone. */
  onClose(done: () => void): void;
}

/** Takes the path for this process. `message`: who has it, or why it cannot be had. */
export async function listen(options: ControlOptions): Promise<ControlResult> {
  const { path } = options;
  if (new TextEncoder().encode(path).length > MAX_PATH) {
    return { ok: false, message: `${path}: found a path of more than ${MAX_PATH} octets, allowed: a shorter one` };
  }
  const taken = await takenBy(path);
  if (taken !== undefined) return { ok: false, message: taken };
  const control = new Control(options);
  const error = await control.listen();
  return error === undefined ? { ok: true, control } : { ok: false, message: `${path}: ${error.message}` };
}

/** What is in the way; what a dead daemon has left there is removed. */
async function takenBy(path: string): Promise<string | undefined> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  if (!there.isSocket())
    return `${path}: found something else than a socket there; remove it, or choose another --socket`;
  const who = await whoIsAt(path);
  if (who === "nobody") {
    // Only the one that was looked at: somebody else may have taken the path meanwhile.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === there.ino) unlinkSync(path);
    return undefined;
  }
  return `${path}: a hotpair runs here already (${who}); stop it, or give this one another --socket`;
}

/** "pid 4711", or "nobody" behind a socket that is left over. */
function whoIsAt(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = open(path);
    let heard = "";
    const done = (who: string) => {
      clearTimeout(patience);
      socket.destroy();
      resolve(who);
    };
    const patience = setTimeout(() => done("it does not say its pid"), PATIENCE);
    socket.on("connect", () => socket.write('{"id":0,"verb":"who"}\n'));
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      done(code === "ECONNREFUSED" || code === "ENOENT" ? "nobody" : `${code ?? "an error"} when asked for its pid`);
    });
    socket.on("data", (octets: Buffer) => {
      heard += octets.toString("utf8");
      const pid = /"pid":(\d+)/.exec(heard)?.[1];
      if (pid !== undefined) done(`pid ${pid}`);
      else if (heard.includes("\n") || heard.length > MAX_REQUEST) done("it does not say its pid");
    });
    socket.on("close", () => done("it does not say its pid"));
  });
}

export class Control {
  private readonly server: Server;
  private readonly clients = new Set<Connection>();

  constructor(private readonly options: ControlOptions) {
    this.server = createServer((socket) => this.welcome(socket));
  }

  get path(): string {
    return this.options.path;
  }

  /** @returns what went wrong */
  listen(): Promise<Error | undefined> {
    const { path } = this.options;
    return new Promise((resolve) => {
      // Later ones are of single clients that could not be let in: too many open files.
      this.server.on("error", (error) => {
        this.options.log(`control: ${error.message}`);
        resolve(error);
      });
      this.server.once("listening", () => resolve(undefined));
      try {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      } catch (error) {
        resolve(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      // Nobody else may connect at any moment: bind, which is done before listen() returns, makes it with this mask.
      const mask = process.umask(0o177);
      try {
        this.server.listen(path);
      } finally {
        process.umask(mask);
      }
    });
  }

  /** Lets everybody go, after what they were told, and gives the path back. */
  close(): void {
    this.server.close();
    for (const client of this.clients) client.end();
  }

  private welcome(socket: Socket): void {
    const client = new Connection(socket, this.options);
    if (this.clients.size >= MAX_CLIENTS) {
      client.drop("too-many-clients");
      return;
    }
    this.clients.add(client);
    client.onClose(() => this.clients.delete(client));
  }
}

class Connection implements Client {
  private readonly decoder = new StringDecoder("utf8");
  private unread = "";
  private readonly waiting: string[] = [];
  private busy = false;
  private gone = false;
  private readonly closers: (() => void)[] = [];

  constructor(
    private readonly socket: Socket,
    private readonly options: ControlOptions,
  ) {
    socket.on("data", (octets: Buffer) => this.read(this.decoder.write(octets)));
    // Whoever goes away, or resets, is told nothing any more; `close` comes after either.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.over());
  }

  tell(line: Json): void {
    if (this.gone) return;
    this.socket.write(`${JSON.stringify(line)}\n`);
    if (this.socket.writableLength > MAX_BACKLOG) this.drop("reads-too-slowly");
  }

  onClose(done: () => void): void {
    if (this.gone) done();
    else this.closers.push(done);
  }

  end(): void {
    this.socket.end();
    setTimeout(() => this.socket.destroy(), PATIENCE).unref();
  }

  drop(reason: DropReason): void {
    if (this.gone) return;
    this.options.log(`control: a client was dropped (${reason})`);
    this.socket.end(`${JSON.stringify({ type: "dropped", reason })}\n`);
    this.over();
    setTimeout(() => this.socket.destroy(), PATIENCE).unref();
  }

  private over(): void {
    if (this.gone) return;
    this.gone = true;
    this.waiting.length = 0;
    for (const done of this.closers) done();
  }

  private read(text: string): void {
    if (this.gone) return;
    this.unread += text;
    const lines = this.unread.split("\n");
    this.unread = lines.pop() ?? "";
    if (this.unread.length > MAX_REQUEST || lines.some((line) => line.length > MAX_REQUEST)) {
      this.drop("request-too-long");
      return;
    }
    for (const line of lines) if (line.trim() !== "") this.waiting.push(line);
    if (this.waiting.length > MAX_WAITING) this.drop("too-many-requests");
    else if (!this.busy) void this.work();
  }

  /** One request after the other: answers come in the order of the questions. */
  private async work(): Promise<void> {
    this.busy = true;
    for (let line = this.waiting.shift(); line !== undefined; line = this.waiting.shift()) {
      const { id, request } = parse(line);
      const answer = request === undefined ? MALFORMED : await this.answer(request);
      this.tell({ id, ok: answer.error === undefined, ...answer });
    }
    this.busy = false;
  }

  private async answer(request: Request): Promise<Answer> {
    try {
      return await this.options.answer(request, this);
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}

const MALFORMED: Answer = { error: "found no request, allowed: a JSON object with id and verb on one line" };

function parse(line: string): { readonly id: unknown; readonly request: Request | undefined } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { id: null, request: undefined };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { id: null, request: undefined };
  const { id = null, verb, ...fields } = value as { id?: unknown; verb?: unknown };
  return { id, request: typeof verb === "string" ? { id, verb, fields } : undefined };
}
