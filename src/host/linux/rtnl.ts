/** The kernel's view of links and addresses: asked once, then kept by its events; and wishes to it, carried out at once. */
import { CallFailed, LITTLE, type Libc, SOCK_FLAGS, SOCK_RAW, type Watched } from "./libc.ts";
import { encodeRequest, GROUPS, type Request } from "./netlink.ts";
import { decodeNews, type News } from "./netlink-news.ts";

const AF_NETLINK = 16;
const SOL_SOCKET = 1;
const SO_RCVBUF_FORCE = 33;
const SOL_NETLINK = 270;
const ADD_MEMBERSHIP = 1;
/** RTNLGRP_NEIGH: not among those of `GROUPS`, for ARP and ND are in it, too. */
const NEIGHBOURS = 3;
/** Octets of events that the kernel keeps for us; beyond, it says so, and everything is asked anew. */
const RECEIVE_BUFFER = 1 << 21;
/** A dump comes in pieces of up to 32 KiB. */
const PIECE = 1 << 16;

/** struct nlmsghdr: where a message has its number. */
const SEQUENCE = 8;
/** Messages that are taken in one go, before timers get their turn. */
const BATCH = 4_096;

/** A wish that the kernel has refused. */
export class Refused extends Error {
  override readonly name = "Refused";
  constructor(
    readonly request: Request,
    /** The kernel's errno, positive: 17 EEXIST, 19 ENODEV, 99 EADDRNOTAVAIL, 1 EPERM. */
    readonly errno: number,
  ) {
    super(`the kernel refuses ${request.kind}: errno ${errno}`);
  }
}

export class Rtnl {
  private readonly asking: number;
  private readonly hearing: number;
  private readonly watched: Watched;
  private readonly buffer = new Uint8Array(PIECE);
  private sequence = 0;
  /** How often events were lost because they were not taken in time. */
  overruns = 0;

  /** @param heard is given what changes, and `overrun` when something was missed */
  constructor(
    private readonly libc: Libc,
    heard: (news: readonly News[]) => void,
  ) {
    this.asking = open(libc, 0);
    this.hearing = open(libc, GROUPS);
    try {
      libc.setsockopt(this.hearing, SOL_SOCKET, SO_RCVBUF_FORCE, Uint8Array.from(int(RECEIVE_BUFFER)));
    } catch (error) {
      // Without CAP_NET_ADMIN the default has to do.
      if (!(error instanceof CallFailed)) throw error;
    }
    this.watched = libc.watch(this.hearing, () => this.drain(heard));
  }

  /** Has the kernel tell of the tables of its bridges, too. */
  hearStations(): void {
    this.libc.setsockopt(this.hearing, SOL_NETLINK, ADD_MEMBERSHIP, Uint8Array.from(int(NEIGHBOURS)));
  }

  /** Everything that there is now. */
  dump(kind: "links" | "addresses" | "stations"): News[] {
    return this.send(orderOf([{ kind }]));
  }

  /** Of an interface as the kernel has it now, whatever its events were so far; undefined where there is none. */
  indexOf(name: string): number | undefined {
    return this.libc.indexOf(name);
  }

  /** Carries out wishes in their order; the first that the kernel refuses is thrown as `Refused`, the rest is done too. */
  carryOut(order: Order): void {
    if (order.requests.length > 0) this.send(order);
  }

  close(): void {
    this.watched.close();
    this.libc.close(this.hearing);
    this.libc.close(this.asking);
  }

  private send({ requests, messages, octets }: Order): News[] {
    const first = this.sequence + 1;
    for (const message of messages) message.setUint32(SEQUENCE, ++this.sequence, LITTLE);
    this.libc.send(this.asking, octets);
    return this.answers(requests, first);
  }

  /** The kernel has worked all of it off when `send` returns: what it says is there to be read. */
  private answers(requests: readonly Request[], first: number): News[] {
    const found: News[] = [];
    let open = requests.length;
    let refused: Refused | undefined;
    while (open > 0) {
      const piece = this.libc.recv(this.asking, this.buffer);
      if (piece === undefined) break;
      for (const news of decodeNews(piece)) {
        if (news.kind !== "answer" && news.kind !== "done") {
          found.push(news);
          continue;
        }
        // Left over from a request that was given up.
        if (news.sequence < first) continue;
        open--;
        const request = requests[news.sequence - first];
        if (news.kind === "answer" && news.errno !== 0 && request !== undefined)
          refused ??= new Refused(request, news.errno);
      }
    }
    if (refused !== undefined) throw refused;
    return found;
  }

  /** All that is there is heard at once: whoever looks sees what is so now, and not what was done and undone meanwhile. */
  private drain(heard: (news: readonly News[]) => void): void {
    const all: News[] = [];
    for (let count = 0; count < BATCH; count++) {
      try {
        const piece = this.libc.recv(this.hearing, this.buffer);
        if (piece === undefined) break;
        all.push(...decodeNews(piece));
      } catch (error) {
        if (!(error instanceof CallFailed) || error.code !== "ENOBUFS") throw error;
        this.overruns++;
        all.push({ kind: "overrun" });
      }
    }
    if (all.length > 0) heard(all);
  }
}

/** Wishes as the kernel takes them, to be carried out as often as one likes. */
export interface Order {
  readonly requests: readonly Request[];
  readonly octets: Uint8Array;
  /** One for each request, within the octets. */
  readonly messages: readonly DataView[];
}

export function orderOf(requests: readonly Request[]): Order {
  const all = requests.map((request) => encodeRequest(request, 0));
  const octets = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  const messages: DataView[] = [];
  let at = 0;
  for (const one of all) {
    octets.set(one, at);
    messages.push(new DataView(octets.buffer, at, one.length));
    at += one.length;
  }
  return { requests, octets, messages };
}

function open(libc: Libc, groups: number): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_FLAGS, 0);
  // struct sockaddr_nl: family, pad, pid (the kernel gives one), groups.
  libc.bind(fd, Uint8Array.from([...short(AF_NETLINK), 0, 0, 0, 0, 0, 0, ...int(groups)]));
  return fd;
}

function short(value: number): number[] {
  return [...new Uint8Array(Uint16Array.of(value).buffer)];
}

function int(value: number): number[] {
  return [...new Uint8Array(Int32Array.of(value).buffer)];
}
