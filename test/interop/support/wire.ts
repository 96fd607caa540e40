/**
 * The wire between the speakers, seen from the bridge: every frame that enters one of its ports, with the kernel's time
 * of it. A frame's sender is known by its port, whatever MAC and address it claims.
 */
import { PcapngWriter } from "../../../src/capture/write.ts";
import { Capture } from "./capture.ts";
import { type Facts, factsOf, type SeenAdvert } from "./frames.ts";
import { until } from "./namespaces.ts";

export type Station = "a" | "b" | "client";

export interface Seen<F extends Facts = Facts> {
  readonly from: Station;
  /** Microseconds since 1970. */
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly facts: F;
}

/** A sorted view over what was heard; arrival order differs between ports by the reading, never by the times. */
export class Wire {
  private readonly heard: Seen[] = [];
  private readonly captures: Capture[];

  private constructor(
    private readonly namespace: string,
    stations: readonly Station[],
  ) {
    this.captures = stations.map((station) => this.listen(station));
  }

  private listen(station: Station): Capture {
    return new Capture(this.namespace, station, (bytes, at) => {
      this.heard.push({ from: station, at, bytes, facts: factsOf(bytes) });
    });
  }

  /** Resolves when all ports are listened to. */
  static async open(namespace: string, stations: readonly Station[]): Promise<Wire> {
    const wire = new Wire(namespace, stations);
    for (const capture of wire.captures) await capture.listens();
    return wire;
  }

  /** Listens to a port that has been made anew. */
  async reopen(station: Station): Promise<void> {
    const capture = this.listen(station);
    this.captures.push(capture);
    await capture.listens();
  }

  /** All frames in the order of their times. */
  get frames(): readonly Seen[] {
    return this.heard.toSorted((one, other) => one.at - other.at);
  }

  adverts(from?: Station): readonly Seen<SeenAdvert>[] {
    return this.of("advert", from);
  }

  of<K extends Facts["kind"]>(kind: K, from?: Station): readonly Seen<Extract<Facts, { kind: K }>>[] {
    return this.frames.filter(
      (seen): seen is Seen<Extract<Facts, { kind: K }>> =>
        seen.facts.kind === kind && (from === undefined || seen.from === from),
    );
  }

  /** Waits for the first frame that is so after `since`. */
  async first(what: string, so: (seen: Seen) => boolean, since = 0): Promise<Seen> {
    let found: Seen | undefined;
    let looked = 0;
    const look = () => {
      for (; looked < this.heard.length && found === undefined; looked++) {
        const one = this.heard[looked];
        if (one !== undefined && one.at >= since && so(one)) found = one;
      }
      return found !== undefined;
    };
    await until(what, look);
    return found as unknown as Seen;
  }

  /** Waits for the next advert of a station: from now on, or from `since`. */
  async advert(from: Station, so: (advert: SeenAdvert) => boolean = master, since = now()): Promise<Seen<SeenAdvert>> {
    const wanted = (seen: Seen) => seen.from === from && seen.facts.kind === "advert" && so(seen.facts);
    return (await this.first(`an advert of ${from}`, wanted, since)) as Seen<SeenAdvert>;
  }

  /** Waits until a station has sent this many further adverts: a time that is measured by what happens in it. */
  async rounds(from: Station, count: number): Promise<void> {
    const begin = now();
    let seen = 0;
    let looked = 0;
    const enough = () => {
      for (; looked < this.heard.length; looked++) {
        const one = this.heard[looked];
        if (one?.from === from && one.facts.kind === "advert" && one.at >= begin) seen++;
      }
      return seen >= count;
    };
    await until(`${count} adverts of ${from}`, enough);
  }

  /** What a station has sent, as a capture file. */
  pcapng(from: Station): Uint8Array {
    return pcapngOf(
      from,
      this.frames.filter((seen) => seen.from === from),
    );
  }

  /** What was said, for a failure's message: the same thing again is counted only. */
  story(): string {
    const lines: { text: string; at: number; count: number }[] = [];
    const last = new Map<Station, { text: string; count: number }>();
    for (const { at, from, facts } of this.frames) {
      if (facts.kind === "other" || facts.kind === "report") continue;
      const text = `${from} ${JSON.stringify({ ...facts, sequence: undefined })}`;
      const before = last.get(from);
      if (before?.text === text) {
        before.count++;
        continue;
      }
      const line = { text, at, count: 1 };
      lines.push(line);
      last.set(from, line);
    }
    const start = lines[0]?.at ?? 0;
    const told = lines.slice(-40).map(({ text, at, count }) => `${((at - start) / 1e6).toFixed(6)} ${count}× ${text}`);
    return [...told, ...this.captures.map(({ errors }) => errors)].join("\n");
  }

  async close(): Promise<void> {
    await Promise.all(this.captures.map((capture) => capture.close()));
  }
}

/** Frames with their times, in microseconds since 1970, as a capture file of one interface. */
export function pcapngOf(name: string, frames: readonly Pick<Seen, "at" | "bytes">[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  const writer = new PcapngWriter((piece) => pieces.push(piece));
  const number = writer.addInterface({ name });
  for (const { at, bytes } of frames) {
    const seconds = Math.floor(at / 1e6);
    writer.packet({ interface: number, seconds, nanoseconds: Math.round((at - seconds * 1e6) * 1e3), bytes });
  }
  writer.flush();
  return Buffer.concat(pieces);
}

/** The clock of the frames' times. */
export function now(): number {
  return (performance.timeOrigin + performance.now()) * 1e3;
}

const master = ({ priority }: SeenAdvert) => priority > 0;
