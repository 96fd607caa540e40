import { test } from "vitest";
import { writeFileSync } from "node:fs";
import { recordsOf, sidecars } from "./support/ground-truth.ts";
import { replayPackets } from "./support/replay.ts";
import { describeObserved } from "../protocols/vrrp/observer-view.ts";
test("x", async () => {
  let out = "";
  for (const s of sidecars()) {
    const kind = s["kind"];
    if (kind !== "vrrp" && kind !== "format" && kind !== "carp") continue;
    const seen = replayPackets(await recordsOf(s.file));
    out += `== ${s.file}\n` + seen.map((e) => `   ${e.t.toFixed(6)} ${describeObserved(e)}\n`).join("");
  }
  writeFileSync("/tmp/look.txt", out);
});
