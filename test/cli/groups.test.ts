import { describe, expect, test } from "vitest";
import { groupWord, keyOf, type RouterState } from "../../cli/groups.ts";

const MEMBERS = [
  { interface: "eth0", vrid: 1, family: "ipv4" },
  { interface: "eth1", vrid: 2, family: "ipv4" },
];

/** "master", or "initialize/shutdown" with its reason; "" for one that has said nothing. */
function word(...said: readonly string[]): string | undefined {
  const states = new Map<string, RouterState>();
  for (const [i, text] of said.entries()) {
    const [to = "", reason = "startup"] = text.split("/");
    const member = MEMBERS[i];
    if (member !== undefined && to !== "") states.set(keyOf(member), { ...member, to, reason, priority: 100 });
  }
  return groupWord(MEMBERS, states);
}

describe("what a sync group has come to", () => {
  test.each([
    ["master", "master", "MASTER"],
    ["backup", "backup", "BACKUP"],
    ["fault", "fault", "FAULT"],
    ["initialize/shutdown", "initialize/shutdown", "STOP"],
    ["initialize/no-address", "fault", "FAULT"],
    ["initialize/no-address", "initialize/no-address", "STOP"],
  ])("%s and %s: %s", (one, other, expected) => {
    expect(word(one, other)).toBe(expected);
    expect(word(other, one)).toBe(expected);
  });

  test.each([
    ["master", "backup"],
    ["fault", "master"],
    ["fault", "backup"],
    ["initialize/no-address", "backup"],
  ])("%s and %s: on their way, nothing is told", (one, other) => {
    expect(word(one, other)).toBeUndefined();
    expect(word(other, one)).toBeUndefined();
  });

  test("one that has said nothing yet keeps the group from being told", () => {
    expect(word("backup")).toBeUndefined();
    expect(word("", "initialize/shutdown")).toBeUndefined();
    expect(word()).toBeUndefined();
  });

  test("one that an operator has stopped holds the others neither back nor with it", () => {
    expect(word("initialize/shutdown", "master")).toBe("MASTER");
    expect(word("backup", "initialize/shutdown")).toBe("BACKUP");
  });
});
