/** What a service manager is told: sd_notify(3) of systemd, where one listens. */
import { LITTLE, type Libc, SOCK_FLAGS } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

export type Readiness = "READY=1" | "RELOADING=1" | "STOPPING=1";

/**
 * Tells whoever started this process how far it is; nobody where `to` (NOTIFY_SOCKET) is not set. What cannot be told is
 * said to `complain`: the service manager may then take this process for one that does not come up.
 */
export function notifier(libc: Libc, to: string | undefined, complain: (line: string) => void) {
  return (readiness: Readiness): void => {
    if (to === undefined || to === "") return;
    // sd_notify(3): with the time, so that a reload is told from one that came before it.
    const now = readiness === "RELOADING=1" ? `\nMONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}` : "";
    try {
      const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_FLAGS, 0);
      try {
        libc.sendto(fd, new TextEncoder().encode(`${readiness}${now}`), address(to));
      } finally {
        libc.close(fd);
      }
    } catch (error) {
      complain(`NOTIFY_SOCKET ${to}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
}

/** struct sockaddr_un; an abstract name is written with an @ for its zero. */
function address(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (path.startsWith("@")) name[0] = 0;
  const bytes = new Uint8Array(2 + name.length + (path.startsWith("@") ? 0 : 1));
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, LITTLE);
  bytes.set(name, 2);
  return bytes;
}
