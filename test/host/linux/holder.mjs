/**
 * A daemon in small for guardian.test.ts: `holder.mjs GUARDIAN.JS HOLDINGS` holds these and does nothing else.
 * Says on stdout, one line each: "guardian PID" for every guardian it has, "hook PID" for a child in a session of its
 * own, "held", "dropped", "left". Reads on stdin: "goodbye", "drop KEY".
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const [program, text] = process.argv.slice(2);
const { startGuardian } = await import(program);
const holdings = JSON.parse(text, (_, value) =>
  typeof value?.hex === "string" ? Buffer.from(value.hex, "hex") : value,
);

const say = (line) => process.stdout.write(`${line}\n`);
const log = (line) => {
  process.stderr.write(`holder: ${line}\n`);
  if (/^\d+ guards/.test(line)) say(`guardian ${result.guardian.pid}`);
};
const result = await startGuardian({ log });
if (!result.ok) {
  say(`none: ${result.message}`);
  process.exit(3);
}
const { guardian } = result;
say(`guardian ${guardian.pid}`);
const hook = spawn("sleep", ["3600"], { detached: true, stdio: "ignore" });
say(`hook ${hook.pid}`);
for (const holding of holdings) guardian.hold(holding.key, holding);
say("held");

for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith("drop ")) {
    guardian.hold(line.slice("drop ".length), undefined);
    say("dropped");
  }
  if (line === "goodbye") {
    await guardian.goodbye();
    say("left");
    process.exit(0);
  }
}
