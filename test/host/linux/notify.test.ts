import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Libc, openLibc } from "../../../src/host/linux/libc.ts";
import { notifier } from "../../../src/host/linux/notify.ts";

const opened = openLibc();
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A service manager in small: a datagram socket of that name. */
function manager(libc: Libc, name: Uint8Array): { readonly fd: number; readonly hear: () => string } {
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, LITTLE);
  address.set(name, 2);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  libc.bind(fd, address);
  return { fd, hear: () => new TextDecoder().decode(libc.recv(fd, new Uint8Array(256))) };
}

const octets = (text: string) => new TextEncoder().encode(text);

describe.skipIf(!opened.ok)(`a service manager${opened.ok ? "" : `: ${opened.message}`}`, () => {
  const libc = opened.ok ? opened.libc : (undefined as never);
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "hotpair-"));
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each(["READY=1", "STOPPING=1"] as const)("is told %s at a path (sd_notify(3))", (readiness) => {
    const path = join(directory, `${readiness}.sock`);
    const { fd, hear } = manager(libc, octets(`${path}\0`));
    notifier(libc, path, (line) => expect.fail(line))(readiness);
    expect(hear()).toBe(readiness);
    libc.close(fd);
  });

  test("is told at an abstract name, and of a reload with the time at which it began", () => {
    const name = `hotpair-test-${process.pid}`;
    const { fd, hear } = manager(libc, octets(`\0${name}`));
    const before = process.hrtime.bigint() / 1_000n;
    notifier(libc, `@${name}`, (line) => expect.fail(line))("RELOADING=1");
    const [, at = "0"] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(hear()) ?? [];
    expect(BigInt(at)).toBeGreaterThanOrEqual(before);
    expect(BigInt(at)).toBeLessThanOrEqual(process.hrtime.bigint() / 1_000n);
    libc.close(fd);
  });

  test("that is not there is a line in the log, and no end", () => {
    const said: string[] = [];
    notifier(libc, join(directory, "nobody"), (line) => said.push(line))("READY=1");
    expect(said).toEqual([expect.stringContaining("ENOENT")]);
    notifier(libc, undefined, (line) => said.push(line))("READY=1");
    expect(said).toHaveLength(1);
  });
});
