/** The repository's captures and their sidecars (captures/README.md). */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const CAPTURES = fileURLToPath(new URL("../../captures/", import.meta.url));

export interface SidecarFrame {
  readonly n: number;
  readonly t?: number;
  readonly ts_ns?: string;
  readonly len?: number;
  readonly caplen?: number;
  readonly linktype?: number;
  readonly interface?: string;
  readonly if?: string;
  readonly sll?: Record<string, string>;
  readonly ip?: { readonly v: number };
  readonly arp?: object;
  readonly eth?: { readonly src: string; readonly dst: string };
  readonly vlan?: readonly unknown[];
  /** The verdict on a crafted frame. */
  readonly expect?: string;
  readonly decode?: Pick<SidecarFrame, "sll" | "ip" | "arp" | "eth" | "vlan">;
}

export interface Sidecar {
  readonly file: string;
  readonly frame_count: number;
  readonly frames: readonly SidecarFrame[];
  readonly expect?: { readonly read: string; readonly frames_before?: number; readonly error?: string };
}

/** Every capture in the folder, whether an index names it or not. */
export const captureFiles: readonly string[] = readdirSync(CAPTURES).filter((name) =>
  /\.(pcap|pcapng)(\.gz)?$/.test(name),
);

export function sidecarOf(file: string): Sidecar {
  const names = new Set(readdirSync(CAPTURES));
  const name = names.has(`${file}.json`) ? `${file}.json` : file.replace(/\.pcap$/, ".json");
  return JSON.parse(readFileSync(CAPTURES + name, "utf8"));
}

export function octetsOf(file: string): Uint8Array {
  return new Uint8Array(readFileSync(CAPTURES + file));
}
