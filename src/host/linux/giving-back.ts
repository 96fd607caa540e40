/** Carries out what holdings want undone: addresses and settings at once, then devices, firewall rules last. */
import { toHex } from "../../core/bytes.ts";
import type { Holding, Undo } from "./holdings.ts";
import type { Request } from "./netlink.ts";
import { nft } from "./nft.ts";
import { orderOf, Refused, type Rtnl } from "./rtnl.ts";
import { readSysctl, writeSysctl } from "./sysctl.ts";

/** What was to be removed is not there: ENOENT, ENXIO, ENODEV, EADDRNOTAVAIL. */
const GONE = new Set([2, 6, 19, 99]);
/** EOPNOTSUPP: what was a port of a bridge is none any more. */
const NO_PORT = 95;
/** Group of the devices that are removed together: nobody else's, because no other process has our number. */
const GROUP = 0x68000000 + process.pid;

type Link = Extract<Undo, { kind: "link" }>;
type Address = Extract<Undo, { kind: "address" }>;

/** A device, and the addresses that go with it. */
interface Leaving {
  readonly link: Link;
  readonly along: readonly Address[];
}

/**
 * Removing devices takes the kernel twenty milliseconds, in which nothing else happens here: so all addresses that are
 * due go first. The rules go last, because until then they may shield an address.
 *
 * IPv6 addresses of a device that is due go with it. Taken off a device that is on, each would have the kernel say that
 * it leaves a group (RFC 3810 §6.1), from the virtual MAC: bridges would look for that here, where the successor is not.
 * A device that is removed says nothing, and two hundred are removed in the time in which three are switched off.
 */
export class GivingBack {
  private readonly users = new Map<string, number>();
  private links: Leaving[] = [];
  private rules: string[] = [];
  private working: Promise<void> | undefined;

  /**
   * @param all holdings that will be given back
   * @param trouble is told, in words, what could not be done
   */
  constructor(
    private readonly rtnl: Rtnl,
    all: Iterable<Holding>,
    private readonly trouble: (text: string) => void,
  ) {
    for (const { undo } of all) {
      for (const step of new Set(undo.map(nameOf))) this.users.set(step, (this.users.get(step) ?? 0) + 1);
    }
  }

  /** Once for each of them. */
  give({ undo }: Holding): void {
    const steps = new Map(undo.map((step) => [nameOf(step), step]));
    const due: Undo[] = [];
    for (const [name, step] of steps) {
      const left = (this.users.get(name) ?? 0) - 1;
      this.users.set(name, left);
      if (left <= 0) due.push(step);
    }
    const addresses = new Set(due.filter((step) => step.kind === "address"));
    for (const step of due) {
      if (step.kind !== "link") continue;
      const along = [...addresses].filter(({ index, address }) => index === step.index && address.length === 16);
      for (const address of along) addresses.delete(address);
      this.links.push({ link: step, along });
    }
    for (const address of addresses) this.take(address);
    for (const step of due) {
      if (step.kind === "sysctl") this.restore(step.path, step.value);
      else if (step.kind === "bridge-port") this.resetPort(step);
    }
    for (const step of due) if (step.kind === "firewall") this.rules.push(step.text);
    if (this.links.length + this.rules.length > 0) this.working ??= this.work();
  }

  /** Resolves when everything that was given to it so far is done. */
  async finished(): Promise<void> {
    while (this.working !== undefined) await this.working;
  }

  private async work(): Promise<void> {
    try {
      for (;;) {
        // What has come in meanwhile has its turn: addresses that are due now do not wait for devices.
        await turn();
        if (this.links.length > 0) this.removeLinks(this.links.splice(0));
        else if (this.rules.length > 0) await this.removeRules(this.rules.splice(0));
        else return;
      }
    } catch (error) {
      this.trouble(`not everything is given back: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.working = undefined;
    }
  }

  /** One by one two hundred of them would take five seconds, as a group they take the time of one. */
  private removeLinks(leaving: readonly Leaving[]): void {
    const names = new Map<number, string>();
    for (const news of this.rtnl.dump("links")) if (news.kind === "link") names.set(news.index, news.name);
    const there: Link[] = [];
    for (const { link, along } of leaving) {
      if (names.get(link.index) === link.name) there.push(link);
      // What has another name now stays, but not with the addresses.
      else for (const address of along) this.take(address);
    }
    if (there.length > 1) {
      for (const link of there) this.remove({ kind: "group-link", index: link.index, group: GROUP }, nameOf(link));
      this.remove({ kind: "delete-group", group: GROUP }, `a group of ${there.length} devices`);
    }
    // The only one, or what the kernel would not remove with the others.
    for (const link of there) this.remove({ kind: "delete-link", index: link.index }, nameOf(link));
  }

  private async removeRules(texts: readonly string[]): Promise<void> {
    // At once, because each run of nft takes milliseconds; it does all of a text or nothing.
    if (texts.length > 1 && (await nft(texts.join("\n"))) === undefined) return;
    for (const text of texts) {
      const wrong = await nft(text);
      if (wrong !== undefined) this.trouble(`firewall rules stay behind: ${wrong}`);
    }
  }

  private take(address: Address): void {
    this.remove({ ...address, kind: "delete-address" }, nameOf(address));
  }

  private resetPort({ index, name, flags }: Extract<Undo, { kind: "bridge-port" }>): void {
    if (this.rtnl.indexOf(name) !== index) return;
    this.remove({ kind: "port-flags", index, flags }, `how port ${name} is set`);
  }

  private remove(request: Request, what: string): void {
    try {
      this.rtnl.carryOut(orderOf([request]));
    } catch (error) {
      if (error instanceof Refused && (GONE.has(error.errno) || error.errno === NO_PORT)) return;
      this.trouble(`${what} stays behind: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private restore(path: string, value: string): void {
    const now = readSysctl(path);
    // Gone with its device, or as it should be.
    if (now === undefined || now === value) return;
    if (!writeSysctl(path, value)) this.trouble(`net/${path} stays at ${now}: the kernel does not take ${value}`);
  }
}

/** The same text for the same step, which the log shows. */
function nameOf(step: Undo): string {
  switch (step.kind) {
    case "address":
      return `address ${toHex(step.address)}/${step.length} of interface ${step.index}`;
    case "link":
      return `device ${step.name} (${step.index})`;
    case "bridge-port":
      return `port ${step.name} (${step.index}) ${step.flags}`;
    case "sysctl":
      return `setting ${step.path} ${step.value}`;
    case "firewall":
      return `rules ${step.text}`;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
