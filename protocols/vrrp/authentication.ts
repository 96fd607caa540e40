/** Signed adverts of one router: what it signs, and whom it believes (draft-cassen-vrrp-auth-hmac-01). */
import type { Ip } from "../../src/core/addr.ts";
import type { Duration } from "../../src/core/time.ts";
import { type Advert, type AdvertPacket, encodeAdvert } from "./codec.ts";
import type { RouterConfig } from "./config.ts";
import type { AuthReason } from "./events.ts";
import {
  isAfter,
  isSignedWith,
  microsecondsBetween,
  nextSequence,
  readTrailer,
  type Sequence,
  sequenceAt,
  signAdvert,
  TRAILER_SIZE,
} from "./hmac.ts";
import type { Peer, Router, VrrpState } from "./state.ts";

export function signs({ authentication }: RouterConfig): boolean {
  return authentication !== undefined && authentication.mode !== "receive-only";
}

/**
 * The trailer of one transmission, which is the router's latest from now on; undefined without a key.
 * @param ahead for an advert that somebody else will send, perhaps: its sequence is of a time so much later, half of the
 * window at most, and this router's go on without it
 */
export function signature(
  router: Router,
  advert: Advert,
  source: Ip,
  state: VrrpState,
  ahead: Duration,
): Uint8Array | undefined {
  const { authentication } = router.config;
  const [key] = authentication?.keys ?? [];
  if (authentication === undefined || key === undefined) return undefined;
  const utc = utcOf(state) + Math.min(ahead, authentication.window / 2);
  const sequence = nextSequence(router.sequence, utc, timeWindow(router.config));
  if (ahead === 0) router.sequence = sequence;
  // The checksum, which depends on the destination, is not signed.
  const message = encodeAdvert(advert, { source, destination: source, checksum: "message" });
  return signAdvert(message, source, key, sequence);
}

/** The window of a router that compares times. */
function timeWindow({ authentication }: RouterConfig): Duration | undefined {
  return authentication?.replay === "time" ? authentication.window : undefined;
}

function utcOf({ now, utc }: VrrpState): number {
  return utc + now;
}

/** What is known of a signed advert that is believed. */
export interface Authenticated {
  readonly keyId: number;
  readonly sequence: Sequence;
  /** Microseconds by which its sender's clock is ahead of the one here; the way here makes it a little less. */
  readonly ahead: number;
}

/**
 * Whether a router with authentication believes an advert: undefined for an unsigned one that it takes.
 * @param peer its sender, where it was heard before
 */
export function authenticate(
  router: Router,
  { payload, source }: AdvertPacket,
  trailer: Uint8Array | undefined,
  peer: Peer | undefined,
  state: VrrpState,
): Authenticated | AuthReason | undefined {
  const { authentication } = router.config;
  if (authentication === undefined) return undefined;
  if (trailer === undefined) return authentication.mode === "enforce" ? "auth-missing" : undefined;
  const { keyId, sequence } = readTrailer(trailer);
  const now = sequenceAt(utcOf(state));
  const window = timeWindow(router.config);
  const ahead = microsecondsBetween(sequence, now);
  // First what costs least: a flood of old adverts is not worth a digest each.
  if (window !== undefined && Math.abs(ahead) > window) return "auth-window";
  const key = authentication.keys.find(({ id }) => id === keyId);
  if (key === undefined) return "auth-key";
  const message = payload.subarray(0, payload.length - TRAILER_SIZE);
  if (!isSignedWith(message, source, key, trailer)) return "auth-signature";
  const mark = peer?.sequence;
  if (mark === undefined || isAfter(sequence, mark)) return { keyId, sequence, ahead };
  // A mark outside of the window keeps nothing out that the window lets in, but a sender whose clock was set back.
  if (window !== undefined && Math.abs(microsecondsBetween(mark, now)) > window) return { keyId, sequence, ahead };
  return "auth-replay";
}

/** Remembers what only an advert that is obeyed may change. */
export function note(peer: Peer, found: Authenticated | undefined): void {
  peer.keyId = found?.keyId;
  // An unsigned one says nothing about the signed ones before it.
  if (found !== undefined) peer.sequence = found.sequence;
}

/** What a configuration says of authentication, without what is secret. */
export function authenticationWords(authentication: RouterConfig["authentication"]): string {
  if (authentication === undefined) return "none";
  const { keys, mode, replay } = authentication;
  return `${mode} with key ${keys.map(({ id }) => id).join(", ")} (${replay})`;
}
