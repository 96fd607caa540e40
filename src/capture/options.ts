/** The option lists of pcapng blocks (draft-ietf-opsawg-pcapng §3.5): code, length, value padded to 32 bits. */
import { MAX_COMMENT, MAX_NAME } from "./record.ts";
import { DEFAULT_RESOLUTION } from "./ticks.ts";

export const OPT_COMMENT = 1;
export const IF_NAME = 2;
export const IF_DESCRIPTION = 3;
export const SHB_USERAPPL = 4;
export const IF_TSRESOL = 9;
export const IF_FCSLEN = 13;
export const IF_TSOFFSET = 14;
export const EPB_FLAGS = 2;

/** Called with each option; `at` is where its value begins. */
type Visit = (code: number, at: number, length: number) => void;

/** @returns false when an option reaches beyond `to`; those before it were visited. */
function eachOption(view: DataView, from: number, to: number, little: boolean, visit: Visit): boolean {
  let at = from;
  while (to - at >= 4) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === 0) return true;
    if (at + 4 + length > to) return false;
    visit(code, at + 4, length);
    at += 4 + ((length + 3) & ~3);
  }
  return true;
}

const UTF8 = new TextDecoder();

function text(view: DataView, at: number, length: number, most: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, Math.min(length, most));
  const end = bytes.indexOf(0);
  return UTF8.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export interface InterfaceOptions {
  name: string | undefined;
  resolution: number;
  /** Seconds. */
  offset: number;
  fcsLength: number;
}

/** Reads the options of an Interface Description Block. @returns what is wrong with them, as words, or the options. */
export function interfaceOptions(view: DataView, from: number, to: number, little: boolean): InterfaceOptions | string {
  const options: InterfaceOptions = { name: undefined, resolution: DEFAULT_RESOLUTION, offset: 0, fcsLength: 0 };
  let wrong: string | undefined;
  const whole = eachOption(view, from, to, little, (code, at, length) => {
    if (code === IF_NAME) options.name ??= text(view, at, length, MAX_NAME);
    else if (code === IF_TSRESOL) {
      if (length === 1) options.resolution = view.getUint8(at);
      else wrong = `its if_tsresol is ${length} octets long, not 1`;
    } else if (code === IF_TSOFFSET) {
      if (length === 8) options.offset = signed64(view, at, little);
      else wrong = `its if_tsoffset is ${length} octets long, not 8`;
    } else if (code === IF_FCSLEN && length === 1) options.fcsLength = fcsOctets(view.getUint8(at));
  });
  return wrong ?? (whole ? options : "its options reach beyond it");
}

/** The option counts bits, but the draft's own example is 4 and means octets: no check sequence has 4 or 8 bits. */
function fcsOctets(value: number): number {
  return value >= 16 ? value >>> 3 : value;
}

function signed64(view: DataView, at: number, little: boolean): number {
  const high = view.getInt32(little ? at + 4 : at, little);
  return high * 0x1_0000_0000 + view.getUint32(little ? at : at + 4, little);
}

export interface PacketOptions {
  /** The word of epb_flags; 0 when it is absent. */
  flags: number;
  comment: string | undefined;
}

/** Reads the options of a packet. Damaged ones end the list: the packet itself is whole. */
export function packetOptions(view: DataView, from: number, to: number, little: boolean): PacketOptions {
  const options: PacketOptions = { flags: 0, comment: undefined };
  eachOption(view, from, to, little, (code, at, length) => {
    if (code === OPT_COMMENT) {
      const line = text(view, at, length, MAX_COMMENT);
      const all = options.comment === undefined ? line : `${options.comment}\n${line}`;
      options.comment = all.slice(0, MAX_COMMENT);
    } else if (code === EPB_FLAGS && length === 4) options.flags = view.getUint32(at, little);
  });
  return options;
}
