import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/core/bytes.ts";
import { DIGEST_SIZE, hmacSha256 } from "../../src/core/hmac.ts";

describe("HMAC-SHA-256 in plain arithmetic", () => {
  const ascii = (text: string) => new TextEncoder().encode(text);
  const same = (octet: number, length: number) => new Uint8Array(length).fill(octet);
  const longText =
    "This is a test using a larger than block-size key and a larger than block-size data. " +
    "The key needs to be hashed before being used by the HMAC algorithm.";
  const cases = [
    [same(0x0b, 20), ascii("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
    [
      ascii("Jefe"),
      ascii("what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    [same(0xaa, 20), same(0xdd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"],
    [
      fromHex("0102030405060708090a0b0c0d0e0f10111213141516171819") ?? same(0, 0),
      same(0xcd, 50),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ],
    [
      same(0xaa, 131),
      ascii("Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ],
    [same(0xaa, 131), ascii(longText), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"],
  ] as const;

  it("gives the codes of RFC 4231 §4.2 to §4.8", () => {
    for (const [key, data, code] of cases) expect(toHex(hmacSha256(key, data))).toBe(code);
  });

  it("gives what another implementation gives, for every length around the blocks", () => {
    for (let length = 0; length < 260; length++) {
      const data = Uint8Array.from({ length }, (_, i) => i * 7);
      const key = data.subarray(0, length % 131);
      const expected = createHmac("sha256", key).update(data).digest("hex");
      expect(toHex(hmacSha256(key, data))).toBe(expected);
      expect(toHex(hmacSha256(key, data.subarray(0, 5), data.subarray(5)))).toBe(expected);
    }
    expect(hmacSha256(new Uint8Array(0))).toHaveLength(DIGEST_SIZE);
  });
});
