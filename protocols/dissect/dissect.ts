/** Frames of a capture, one after the other, as one object each: what `hotpair decode` shows. */
import type { CaptureRecord } from "../../src/capture/record.ts";
import { dissectLink } from "./link.ts";
import { createSessions, type Sessions } from "./session.ts";
import type { Dissected } from "./types.ts";

/** The part of a capture's record that is looked at. */
export type DissectedRecord = Pick<
  CaptureRecord,
  "number" | "seconds" | "nanoseconds" | "length" | "capturedLength" | "bytes"
> & { readonly interface: Pick<CaptureRecord["interface"], "linkType" | "name" | "fcsLength"> };

type Time = Pick<DissectedRecord, "seconds" | "nanoseconds">;

/** What is remembered from frame to frame: the first one's time, and ICCP connections. */
export interface Dissector {
  origin: Time | undefined;
  readonly sessions: Sessions;
}

export function createDissector(): Dissector {
  return { origin: undefined, sessions: createSessions() };
}

/** Dissects the next record of a capture; any octets whatever give an answer. */
export function dissect(dissector: Dissector, record: DissectedRecord): Dissected {
  dissector.origin ??= { seconds: record.seconds, nanoseconds: record.nanoseconds };
  const { bytes, length, capturedLength } = record;
  const n = record.number;
  const t = secondsAfter(dissector.origin, record);
  dissector.sessions.n = n;
  dissector.sessions.t = t;
  // Files exist whose lengths on the wire are below those captured: then the captured one is believed.
  const wire = Math.max(bytes.length, length - record.interface.fcsLength);
  const { name, linkType } = record.interface;
  return {
    n,
    t,
    len: length,
    ...(capturedLength === length ? {} : { caplen: capturedLength }),
    ...(name === undefined ? {} : { if: name }),
    ...dissectLink(linkType, { bytes, wire }, dissector.sessions),
  };
}

/** To the nanosecond as long as a number can hold it, which is 104 days. */
function secondsAfter(origin: Time, time: Time): number {
  return ((time.seconds - origin.seconds) * 1e9 + (time.nanoseconds - origin.nanoseconds)) / 1e9;
}
