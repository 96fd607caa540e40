/** Packets of a capture with adverts in them, as real ones come out of a file. */

import { ipFrame, ipPacket } from "../../protocols/ip/codec.ts";
import {
  type Advert,
  type ChecksumForm,
  encodeAdvert,
  VRRP_GROUP_4,
  VRRP_GROUP_6,
} from "../../protocols/vrrp/codec.ts";
import type { Ip, Mac } from "../../src/core/addr.ts";
import { type Duration, sec } from "../../src/core/time.ts";
import type { CapturedPacket } from "../../src/host/replay/replay.ts";

export interface Sent {
  /** Milliseconds. */
  readonly at: number;
  readonly from: string;
  readonly priority: number;
  readonly vrid?: number;
  readonly version?: 2 | 3;
  readonly interval?: Duration;
  readonly addresses?: readonly string[];
  readonly to?: string;
  readonly ttl?: number;
  readonly checksum?: ChecksumForm;
  readonly mac?: string;
}

/** The frame of one advert. */
export function advertFrame(sent: Sent): Uint8Array {
  const { from, priority, vrid = 51, version = 3, interval = sec(1), ttl = 255 } = sent;
  const { checksum = "pseudo-header", mac = `02:00:00:00:00:0${from.at(-1)}` } = sent;
  const six = from.includes(":");
  const addresses = (sent.addresses ?? [six ? "fe80::100" : "192.0.2.100"]) as Ip[];
  const common = { vrid, priority, interval, addresses };
  const advert: Advert =
    version === 3
      ? { version, ...common, reserved: 0 }
      : { version, ...common, authType: 0, authData: new Uint8Array(8) };
  const source = from as Ip;
  const destination = (sent.to ?? (six ? VRRP_GROUP_6 : VRRP_GROUP_4)) as Ip;
  const payload = encodeAdvert(advert, { source, destination, checksum });
  const group = (six ? "33:33:00:00:00:12" : "01:00:5e:00:00:12") as Mac;
  return ipFrame(
    sent.to === undefined ? group : ("02:00:00:00:00:99" as Mac),
    mac as Mac,
    ipPacket({ source, destination, protocol: 112, ttl, payload }),
  );
}

const TAP = { index: 0, name: undefined, linkType: 1, fcsLength: 0 };

/** A packet at a time in microseconds after an arbitrary one. */
export function packetOf(bytes: Uint8Array, number: number, us: number): CapturedPacket {
  const time = 1_700_000_000_000_000 + us;
  return {
    number,
    seconds: Math.floor(time / 1_000_000),
    nanoseconds: (time % 1_000_000) * 1_000,
    length: bytes.length,
    bytes,
    interface: TAP,
  };
}

/** A capture of these adverts, in the order given, numbered from 1. */
export function captureOf(...sent: readonly Sent[]): CapturedPacket[] {
  return sent.map((one, i) => packetOf(advertFrame(one), i + 1, one.at * 1_000));
}

/** Adverts of one router at its interval: `count` of them from `at` on. */
export function steady(sent: Sent, count: number): Sent[] {
  const step = (sent.interval ?? sec(1)) / 1_000;
  return Array.from({ length: count }, (_, i) => ({ ...sent, at: sent.at + i * step }));
}

/** All of them by time. */
export function together(...runs: readonly (readonly Sent[])[]): CapturedPacket[] {
  return captureOf(...runs.flat().sort((a, b) => a.at - b.at));
}
