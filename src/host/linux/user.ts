/** As whom a program runs, and whether a program may run as root at all. */
import { accessSync, constants, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { drop, ok, type Result } from "../../core/result.ts";

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Where a program without a slash in its name is looked for; also its PATH. */
export const SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** By Debian's and everybody else's number, where /etc/passwd does not say. */
const NOBODY = 65534;

/**
 * `user` or `user:group`, by name (of /etc/passwd and /etc/group) or number; without it nobody when this process is
 * root, and otherwise whoever it is. Supplementary groups are not given.
 * @returns as reason a sentence for the operator
 */
export function userOf(text: string | undefined, self: number = process.getuid?.() ?? 0): Result<User> {
  const passwd = table("/etc/passwd");
  const [wanted = "", group] = (text ?? (self === 0 ? "nobody" : String(self))).split(":");
  const row = passwd.find(([name, , uid]) => name === wanted || uid === wanted);
  const uid = Number(row?.[2] ?? (text === undefined && self === 0 ? NOBODY : number(wanted)));
  if (!Number.isInteger(uid)) return drop(`found the user ${wanted}, allowed: a name of /etc/passwd, or a number`);
  const gid = group === undefined ? Number(row?.[3] ?? uid) : groupOf(group);
  if (!Number.isInteger(gid)) return drop(`found the group ${group}, allowed: a name of /etc/group, or a number`);
  if (self !== 0 && uid !== self)
    return drop(`found the user ${wanted}, allowed: only root may run programs as others`);
  return ok({ name: row?.[0] ?? wanted, uid, gid, home: row?.[5] ?? "/" });
}

function groupOf(text: string): number {
  const row = table("/etc/group").find(([name]) => name === text);
  return Number(row?.[2] ?? number(text));
}

/** NaN for what is no plain number. */
function number(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

function table(path: string): string[][] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .map((line) => line.split(":"));
  } catch {
    // A container without the file: numbers still do.
    return [];
  }
}

/**
 * Why a program must not run as root: somebody else could have put it there. keepalived calls this script security.
 * Undefined when it may, or when there is no such program: that is found out by running it.
 */
export function unsafeAsRoot(program: string): string | undefined {
  const file = located(program);
  if (file === undefined) return undefined;
  for (let path = file; ; path = dirname(path)) {
    const stat = statSync(path, { throwIfNoEntry: false });
    // Removed since: it will not be found.
    if (stat === undefined) return undefined;
    const { uid, mode } = stat;
    const sticky = path !== file && (mode & 0o1000) !== 0;
    if (uid !== 0) return `found ${path} owned by another than root: chown root ${path}, or set another user`;
    if ((mode & 0o022) !== 0 && !sticky) {
      return `found ${path} writable by others than root: chmod go-w ${path}, or set another user`;
    }
    if (path === "/") return undefined;
  }
}

function located(program: string): string | undefined {
  const places = program.includes("/") ? [program] : SEARCH.split(":").map((place) => join(place, program));
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return realpathSync(place);
    } catch {
      // Not here: the next place.
    }
  }
  return undefined;
}
