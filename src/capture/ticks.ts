/**
 * pcapng times: a 64-bit count of units of 10^-n or 2^-n seconds, as two 32-bit words, to seconds and nanoseconds.
 * Exact: in doubles where the products stay below 2^53, in BigInt for the resolutions where they do not.
 */

/** if_tsresol (draft-ietf-opsawg-pcapng, Interface Description Block): microseconds when the option is absent. */
export const DEFAULT_RESOLUTION = 6;

const NANO = 1_000_000_000;

/** The largest number of units in a second for which the long division below is exact: 2^37 · 2^16 = 2^53. */
const EXACT_UNITS = 2 ** 37;
/** Up to here unit · 10^9 is exact. */
const EXACT_BINARY_EXPONENT = 23;

/** Turns counts of one interface into times; the result of the last `set` is in its fields: no object a packet. */
export class TickClock {
  seconds = 0;
  /** 0 … 999 999 999, rounded down. */
  nanoseconds = 0;
  private readonly units: number;
  private readonly bigUnits: bigint;
  private readonly binary: boolean;
  private readonly exact: boolean;

  /**
   * @param resolution the octet of if_tsresol: bit 7 set for a power of 2, bits 0–6 the negative exponent
   * @param offset if_tsoffset, seconds added to every time
   */
  constructor(
    resolution: number,
    private readonly offset: number,
  ) {
    const exponent = resolution & 0x7f;
    this.binary = (resolution & 0x80) !== 0;
    this.bigUnits = (this.binary ? 2n : 10n) ** BigInt(exponent);
    this.units = Number(this.bigUnits);
    this.exact = this.binary ? exponent <= EXACT_BINARY_EXPONENT : this.units <= EXACT_UNITS;
  }

  set(high: number, low: number): void {
    if (!this.exact) {
      this.setBig(high, low);
      return;
    }
    const { units } = this;
    // Long division in base 2^32, 2^16, 2^16: each partial dividend is below units · 2^16.
    const first = Math.floor(high / units);
    const second = (high - first * units) * 0x10000 + (low >>> 16);
    const secondQuotient = Math.floor(second / units);
    const third = (second - secondQuotient * units) * 0x10000 + (low & 0xffff);
    const thirdQuotient = Math.floor(third / units);
    const rest = third - thirdQuotient * units;
    this.seconds = first * 0x1_0000_0000 + secondQuotient * 0x10000 + thirdQuotient + this.offset;
    if (this.binary) this.nanoseconds = Math.floor((rest * NANO) / units);
    else if (units <= NANO) this.nanoseconds = rest * (NANO / units);
    else this.nanoseconds = Math.floor(rest / (units / NANO));
  }

  private setBig(high: number, low: number): void {
    const count = (BigInt(high) << 32n) | BigInt(low);
    this.seconds = Number(count / this.bigUnits) + this.offset;
    this.nanoseconds = Number(((count % this.bigUnits) * 1_000_000_000n) / this.bigUnits);
  }
}

/** Nanoseconds since 1970 as a 64-bit count in two words: the inverse of resolution 9. Seconds 0…18 446 744 072. */
export function nanosecondWords(seconds: number, nanoseconds: number): readonly [high: number, low: number] {
  const upper = Math.floor(seconds / 0x10000) * NANO;
  const lower = (upper % 0x10000) * 0x10000 + (seconds % 0x10000) * NANO + nanoseconds;
  return [Math.floor(upper / 0x10000) + Math.floor(lower / 0x1_0000_0000), lower % 0x1_0000_0000];
}
