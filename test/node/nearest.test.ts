import { expect, test } from "vitest";
import { didYouMean, nearest } from "../../src/node/nearest.ts";

const KEYS = ["vrid", "priority", "interval", "addresses", "virtual-mac", "preempt"];

test.each([
  ["vird", "vrid"],
  ["vrd", "vrid"],
  ["Priority", "priority"],
  ["intervall", "interval"],
  ["adresses", "addresses"],
  ["address", "addresses"],
  ["virtual_mac", "virtual-mac"],
  ["virtualMac", "virtual-mac"],
])("%s was meant as %s", (word, meant) => {
  expect(nearest(word, KEYS)).toBe(meant);
  expect(didYouMean(word, KEYS)).toBe(` (did you mean "${meant}"?)`);
});

test.each(["x", "id", "authentication", "", "z".repeat(1_000)])("nothing is guessed for %j", (word) => {
  expect(nearest(word, KEYS)).toBeUndefined();
  expect(didYouMean(word, KEYS)).toBe("");
});
