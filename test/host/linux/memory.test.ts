import { expect, test } from "vitest";
import { CallFailed, type Libc } from "../../../src/host/linux/libc.ts";
import { keepCode } from "../../../src/host/linux/memory.ts";

const MAPS = `00400000-00d2e000 r--p 00000000 fe:00 1234                       /usr/bin/node
00d2e000-02b4d000 r-xp 0092e000 fe:00 1234                       /usr/bin/node
03a00000-03b00000 rw-p 03600000 fe:00 1234                       /usr/bin/node
3aec0000-3c0b1000 rw-p 00000000 00:00 0                          [heap]
7f1200000000-7f1200021000 rwxp 00000000 00:00 0 
7f7faa325000-7f7faa478000 r-xp 00026000 fe:00 99                         /lib/x86_64-linux-gnu/libc.so.6
7ffd11200000-7ffd11202000 r-xp 00000000 00:00 0                          [vdso]
`;

function libcWith(mlock2: Libc["mlock2"]): Libc {
  return { mlock2 } as unknown as Libc;
}

test("code and constants of files are kept once they are read; heap, stack and compiled code are left to Node.js", () => {
  const kept: string[] = [];
  const libc = libcWith((address, length, flags) =>
    kept.push(`${address.toString(16)}+${length.toString(16)} ${flags}`),
  );
  expect(keepCode(libc, MAPS)).toBeUndefined();
  expect(kept).toEqual(["400000+92e000 1", "d2e000+1e1f000 1", "7f7faa325000+153000 1"]);
});

test("what the kernel refuses is said with what would help, and ends nothing", () => {
  const refused = () => {
    throw new CallFailed("mlock2", "ENOMEM");
  };
  expect(keepCode(libcWith(refused), MAPS)).toMatch(/mlock2: ENOMEM \(CAP_IPC_LOCK/);
  expect(keepCode(libcWith(undefined), MAPS)).toMatch(/no mlock2/);
});
