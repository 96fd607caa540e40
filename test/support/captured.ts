/** Every whole Ethernet frame of the repository's captures, beside what its sidecar says of it. */

import { decodeEthernet, type EthernetFrame } from "../../protocols/ethernet/codec.ts";
import { decodeIp, type IpPacket } from "../../protocols/ip/codec.ts";
import { CaptureReader } from "../../src/capture/read.ts";
import { captureFiles, octetsOf, sidecarOf } from "../capture/fixtures.ts";

const ETHERNET = 1;

export interface CapturedFrame {
  /** "file#number", for messages. */
  readonly where: string;
  readonly ethernet: EthernetFrame;
  /** What the sidecar says; a crafted frame's is under `decode`, its verdict beside it. */
  readonly said: Readonly<Record<string, unknown>>;
  readonly verdict: { readonly expect?: string; readonly reason?: string };
}

export function capturedFrames(): CapturedFrame[] {
  const all: CapturedFrame[] = [];
  for (const file of captureFiles) {
    if (file.endsWith(".gz")) continue;
    const reader = new CaptureReader();
    const { frames } = sidecarOf(file);
    for (const record of reader.push(octetsOf(file))) {
      if (record.interface.linkType !== ETHERNET || record.bytes.length < record.length - record.interface.fcsLength)
        continue;
      const ethernet = decodeEthernet(record.bytes);
      const frame = frames[record.number - 1] as CapturedFrame["said"] | undefined;
      if (!ethernet.ok || frame === undefined) continue;
      all.push({
        where: `${file}#${record.number}`,
        ethernet: ethernet.value,
        said: (frame["decode"] ?? frame) as CapturedFrame["said"],
        verdict: frame as CapturedFrame["verdict"],
      });
    }
  }
  return all;
}

export interface CapturedPacket extends CapturedFrame {
  readonly ip: IpPacket;
}

/** Those that carry a whole IP packet of one of the protocols. */
export function capturedPackets(...protocols: readonly number[]): CapturedPacket[] {
  return capturedFrames().flatMap((frame) => {
    const { type, payload } = frame.ethernet;
    if (type !== 0x0800 && type !== 0x86dd) return [];
    const ip = decodeIp(payload);
    return ip.ok && protocols.includes(ip.value.protocol) ? [{ ...frame, ip: ip.value }] : [];
  });
}
