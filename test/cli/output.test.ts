import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Failure, hasColor, paint, toExitCode } from "../../cli/output.ts";

const terminal = { isTTY: true };

describe("colours are for terminals whose user did not say NO_COLOR", () => {
  beforeEach(() => {
    vi.stubEnv("NO_COLOR", "");
    vi.stubEnv("TERM", "xterm");
  });
  afterEach(() => vi.unstubAllEnvs());

  test("a terminal has them, a pipe or a file does not", () => {
    expect(paint("red", "down", terminal)).toBe("\u001b[31mdown\u001b[39m");
    expect(paint("red", "down", {})).toBe("down");
  });

  test.each([
    ["NO_COLOR", "1"],
    ["TERM", "dumb"],
  ])("%s=%s", (name, value) => {
    vi.stubEnv(name, value);
    expect(hasColor(terminal)).toBe(false);
  });
});

describe("a command ends with its exit code", () => {
  let said = "";
  beforeEach(() => {
    said = "";
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    for (const signal of ["SIGINT", "SIGTERM"]) process.removeAllListeners(signal);
    process.stdout.removeAllListeners("error");
  });

  test("its own", async () => {
    expect(await toExitCode(async () => 1)).toBe(1);
    expect(said).toBe("");
  });

  test("that of a failure, whose lines go to stderr", async () => {
    const failing = async () => {
      throw new Failure(3, ["no permission on eth0", "run it as root"]);
    };
    expect(await toExitCode(failing)).toBe(3);
    expect(said).toBe("no permission on eth0\nrun it as root\n");
  });

  test("70 for a mistake of the program itself, told apart from every other code", async () => {
    const broken = async () => {
      throw new TypeError("x is not a function");
    };
    expect(await toExitCode(broken)).toBe(70);
    expect(said).toMatch(/^internal error, please report it: TypeError: x is not a function/);
  });
});
