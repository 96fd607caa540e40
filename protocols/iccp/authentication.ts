/** Who may take part in a session: messages signed with HMAC-SHA-256 (RFC 2104, FIPS 180-4). */
import { equalBytes, u32 } from "../../src/core/bytes.ts";
import { DIGEST_SIZE, hmacSha256 } from "../../src/core/hmac.ts";

export interface AuthenticationKey {
  /** 0 … 2^32-1, said in every message: keys are changed by adding the new one at both ends first. */
  readonly id: number;
  readonly secret: Uint8Array;
}

/** Octets of the value of the last parameter: key id 4, then the code over all octets of the message before it. */
export const SIGNATURE = 4 + DIGEST_SIZE;

/** Writes the code into a message whose last octets are reserved for it. */
export function sign(message: Uint8Array, key: AuthenticationKey): void {
  const end = message.length - DIGEST_SIZE;
  message.set(hmacSha256(key.secret, message.subarray(0, end)), end);
}

/**
 * Whether one of the keys has signed the message.
 * @param signature the value of its last parameter; undefined where it has none
 */
export function verify(
  message: Uint8Array,
  signature: Uint8Array | undefined,
  keys: readonly AuthenticationKey[],
): "unsigned" | "unknown-key" | "signature" | undefined {
  if (signature === undefined) return "unsigned";
  const id = u32(signature, 0);
  const key = keys.find((one) => one.id === id);
  if (key === undefined) return "unknown-key";
  const code = hmacSha256(key.secret, message.subarray(0, message.length - DIGEST_SIZE));
  return equalBytes(code, signature.subarray(4)) ? undefined : "signature";
}
