/**
 * The calls of libc that the Linux host needs, through koffi: the one module that knows koffi. It needs no compiler; where
 * its binary is missing (a platform without one, an installation without optional packages) `openLibc` says so.
 *
 * Rules that hold here (koffi 3.3): memory whose address stands in another structure is not kept alive by koffi, so it is
 * allocated outside of the garbage collector's reach (`pinned`) and held for the life of its socket; a poll handle that is
 * collected is deaf, so whoever watches a descriptor keeps what `watch` returns.
 */
import { createRequire } from "node:module";

/** A call that failed: `code` is errno's name, ENETDOWN; `call` what was called. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  constructor(
    readonly call: string,
    readonly code: string,
  ) {
    super(`${call}: ${code}`);
  }
}

/** A descriptor that is watched; it is heard until `close`. */
export interface Watched {
  /** Goes on after an error that made the descriptor unreadable for a while (ENETDOWN). */
  restart(): void;
  close(): void;
}

export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): void;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array): void;
  getsockopt(fd: number, level: number, name: number, size: number): Uint8Array;
  /** A view of `into` that was received; undefined when nothing is there. */
  recv(fd: number, into: Uint8Array): Uint8Array | undefined;
  send(fd: number, bytes: Uint8Array): void;
  sendto(fd: number, bytes: Uint8Array, address: Uint8Array): void;
  close(fd: number): void;
  /** if_nametoindex(3); undefined where there is no such interface. */
  indexOf(name: string): number | undefined;
  /** timerfd_create(2): a descriptor that is readable when its time has come. */
  timer(): number;
  /** Rings in this many microseconds, once; 0 takes it back. */
  setTimer(fd: number, microseconds: number): void;
  /** Octets from a descriptor that is no socket; undefined when nothing is there. */
  read(fd: number, into: Uint8Array): Uint8Array | undefined;
  /** Memory at a fixed address, and that address; never freed: for what lives as long as its socket. */
  pinned(size: number): { readonly bytes: Uint8Array; readonly address: bigint };
  /** mlock2(2); undefined where this libc has none. */
  mlock2: ((address: bigint, length: number, flags: number) => void) | undefined;
  setns(fd: number, type: number): void;
  /** prctl(2) of this thread, with one argument. */
  prctl(option: number, argument: number): void;
  /** `heard(ok)` runs whenever there is something to read; `ok` is false when the descriptor reports an error. */
  watch(fd: number, heard: (ok: boolean) => void): Watched;
}

/** What of koffi is used. Its own types say less than it does (`poll`). */
interface Koffi {
  load(path: null): { func(definition: string): (...values: unknown[]) => number };
  errno(): number;
  os: { errno: Readonly<Record<string, number>> };
  alloc(type: string, length: number): unknown;
  address(pointer: unknown): bigint;
  view(pointer: unknown, length: number): ArrayBuffer;
  node: {
    poll(
      fd: number,
      what: { readonly readable: boolean },
      heard: (status: number) => void,
    ): {
      stop(): void;
      start(what: { readonly readable: boolean }, heard: (status: number) => void): void;
      close(): void;
    };
  };
}

export type LibcResult = { readonly ok: true; readonly libc: Libc } | { readonly ok: false; readonly message: string };

let opened: LibcResult | undefined;

/** libc, loaded at the first call. `message`: what is missing and what to do about it. */
export function openLibc(): LibcResult {
  opened ??= load();
  return opened;
}

function load(): LibcResult {
  if (process.platform !== "linux") {
    return { ok: false, message: `found the platform ${process.platform}, allowed: linux` };
  }
  try {
    const koffi = createRequire(import.meta.url)("koffi") as Koffi;
    return { ok: true, libc: bindings(koffi) };
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    return { ok: false, message: `the package koffi does not load (${why}); install it: npm install koffi@3.3.4` };
  }
}

const AGAIN = new Set(["EAGAIN", "EWOULDBLOCK", "EINTR"]);
const MSG_DONTWAIT = 0x40;
const CLOCK_MONOTONIC = 1;
/** TFD_NONBLOCK | TFD_CLOEXEC. */
const TFD_FLAGS = 0o4000 | 0o2000000;
/** Whether this machine writes the low octet first, as its kernel's structures do. */
export const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function bindings(koffi: Koffi): Libc {
  const lib = koffi.load(null);
  const raw = {
    socket: lib.func("int socket(int, int, int)"),
    bind: lib.func("int bind(int, const void *, uint32_t)"),
    setsockopt: lib.func("int setsockopt(int, int, int, const void *, uint32_t)"),
    getsockopt: lib.func("int getsockopt(int, int, int, _Out_ void *, _Inout_ uint32_t *)"),
    recv: lib.func("intptr_t recv(int, _Out_ void *, size_t, int)"),
    send: lib.func("intptr_t send(int, const void *, size_t, int)"),
    sendto: lib.func("intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)"),
    close: lib.func("int close(int)"),
    if_nametoindex: lib.func("unsigned int if_nametoindex(const char *)"),
    read: lib.func("intptr_t read(int, _Out_ void *, size_t)"),
    timerfd_create: lib.func("int timerfd_create(int, int)"),
    timerfd_settime: lib.func("int timerfd_settime(int, int, const void *, void *)"),
    setns: lib.func("int setns(int, int)"),
    prctl: lib.func("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)"),
  };
  const specBytes = new Uint8Array(32);
  const spec = new DataView(specBytes.buffer);
  const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
  const code = () => {
    const number = koffi.errno();
    return names.get(number) ?? `errno ${number}`;
  };
  const checked = (call: string, result: number): number => {
    if (result < 0) throw new CallFailed(call, code());
    return result;
  };
  return {
    socket: (domain, type, protocol) => checked("socket", raw.socket(domain, type, protocol)),
    bind: (fd, address) => void checked("bind", raw.bind(fd, address, address.length)),
    setsockopt: (fd, level, name, value) =>
      void checked("setsockopt", raw.setsockopt(fd, level, name, value, value.length)),
    getsockopt: (fd, level, name, size) => {
      const value = new Uint8Array(size);
      checked("getsockopt", raw.getsockopt(fd, level, name, value, [size]));
      return value;
    },
    recv: (fd, into) => {
      const length = raw.recv(fd, into, into.length, MSG_DONTWAIT);
      if (length >= 0) return into.subarray(0, length);
      const why = code();
      if (AGAIN.has(why)) return undefined;
      throw new CallFailed("recv", why);
    },
    send: (fd, bytes) => void checked("send", raw.send(fd, bytes, bytes.length, MSG_DONTWAIT)),
    sendto: (fd, bytes, address) =>
      void checked("sendto", raw.sendto(fd, bytes, bytes.length, MSG_DONTWAIT, address, address.length)),
    close: (fd) => void checked("close", raw.close(fd)),
    indexOf: (name) => raw.if_nametoindex(name) || undefined,
    timer: () => checked("timerfd_create", raw.timerfd_create(CLOCK_MONOTONIC, TFD_FLAGS)),
    setTimer: (fd, microseconds) => {
      // struct itimerspec: no interval, then seconds and nanoseconds from now.
      spec.setBigInt64(16, BigInt(Math.floor(microseconds / 1e6)), LITTLE);
      spec.setBigInt64(24, BigInt(Math.round((microseconds % 1e6) * 1_000)), LITTLE);
      checked("timerfd_settime", raw.timerfd_settime(fd, 0, specBytes, null));
    },
    read: (fd, into) => {
      const length = raw.read(fd, into, into.length);
      if (length >= 0) return into.subarray(0, length);
      const why = code();
      if (AGAIN.has(why)) return undefined;
      throw new CallFailed("read", why);
    },
    mlock2: optional(() => {
      const call = lib.func("int mlock2(uintptr_t, size_t, unsigned int)");
      return (address: bigint, length: number, flags: number) => void checked("mlock2", call(address, length, flags));
    }),
    setns: (fd, type) => void checked("setns", raw.setns(fd, type)),
    prctl: (option, argument) => void checked("prctl", raw.prctl(option, argument, 0, 0, 0)),
    pinned: (size) => {
      const pointer = koffi.alloc("uint8_t", size);
      pins.push(pointer);
      return { bytes: new Uint8Array(koffi.view(pointer, size)), address: koffi.address(pointer) };
    },
    watch: (fd, heard) => {
      const call = (status: number) => {
        try {
          heard(status >= 0);
        } catch (error) {
          // koffi would keep it for the next call into it, which may be from within the collector of garbage.
          setImmediate(() => {
            throw error;
          });
        }
      };
      const handle = koffi.node.poll(fd, { readable: true }, call);
      return {
        restart: () => {
          handle.stop();
          handle.start({ readable: true }, call);
        },
        close: () => handle.close(),
      };
    },
  };
}

function optional<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

/** Types of sockets, and the flags that every one of ours has: SOCK_NONBLOCK | SOCK_CLOEXEC. */
export const SOCK_RAW = 3;
export const SOCK_FLAGS = 0o4000 | 0o2000000;

/** Keeps what was allocated: koffi frees nothing that is still referred to. */
const pins: unknown[] = [];
