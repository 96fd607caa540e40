/** Signed adverts for routers of `test/support/vrrp.ts`: what keepalived with `auth_hmac` would send. */
import { type Advert, encodeAdvert, readAdvert, type Trailer, VRRP_GROUP_4 } from "../../protocols/vrrp/codec.ts";
import { advertFrame } from "../../protocols/vrrp/frames.ts";
import { type HmacKey, type Sequence, sequenceAt, signAdvert } from "../../protocols/vrrp/hmac.ts";
import type { Mac } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import type { Frame } from "../../src/core/frame.ts";
import { cs } from "../../src/core/time.ts";
import { type Bench, type Given, ip, packetOf } from "./vrrp.ts";

export const SECRET = "the secret of these routers, 32+";
export const OTHER_SECRET = "another secret that nobody knows";

/** What stands under `authentication` in a file. */
export function authentication(more: Given = {}): Given {
  return { authentication: { keys: [{ id: 1, secret: SECRET }], ...more } };
}

export function keyOf(secret = SECRET, id = 1): HmacKey {
  return { id, secret: new TextEncoder().encode(secret) };
}

export interface Signed {
  readonly source?: string;
  readonly destination?: string;
  readonly key?: HmacKey;
  readonly sequence?: Sequence;
}

/** A signed advert for 192.0.2.254 of VRID 10 that is sent now, by a clock like the receiver's. */
export function signed(bench: Bench, priority: number, given: Signed = {}): Frame {
  const source = ip(given.source ?? "192.0.2.1");
  const addresses = [ip("192.0.2.254")];
  const advert: Advert = { version: 3, vrid: 10, priority, interval: cs(100), reserved: 0, addresses };
  const carrier = { source, destination: ip(given.destination ?? VRRP_GROUP_4), checksum: "message" } as const;
  const sequence = given.sequence ?? sequenceAt(bench.state.utc + bench.now);
  const trailer = signAdvert(encodeAdvert(advert, carrier), source, given.key ?? keyOf(), sequence);
  return advertFrame(advert, carrier, "02:00:00:00:00:01" as Mac, trailer);
}

/** What signs an advert that was sent. */
export function trailerOf(frame: Frame): Trailer {
  const { payload, family } = packetOf(frame);
  const trailer = readAdvert(payload, family)?.trailer;
  assert(trailer !== undefined, "a signed advert");
  return trailer;
}

export function isSigned(frame: Frame): boolean {
  const { payload, family } = packetOf(frame);
  return readAdvert(payload, family)?.trailer !== undefined;
}
