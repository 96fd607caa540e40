/**
 * Makes a checkout ready to run: installs what is missing, builds what has changed. Plain JavaScript without
 * dependencies, because it runs before there are any. When there is nothing to do it only looks at file times.
 *
 *   node cli/setup.mjs            as the npm scripts call it
 *   await setUp(root)             as hotpair.mjs calls it; throws SetupError
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = 20;
/** Exit code of everything that this machine cannot do. */
const UNABLE = 3;
/** What the build reads; a change of any of it makes dist/ stale. */
const SOURCES = ["src", "protocols", "cli", "bench", "tsconfig.json", "tsconfig.build.json"];
/** Milliseconds after which another set-up that still holds the lock is taken for dead, and between looks at it. */
const LOCK_AGE = 300_000;
const LOCK_WAIT = 100;

export class SetupError extends Error {}

/** A checkout, as opposed to an installed package, has what the build needs. */
export function isCheckout(root) {
  return existsSync(join(root, "tsconfig.build.json")) && existsSync(join(root, "package-lock.json"));
}

/** Installs and builds what is missing or stale under `root`. */
export function setUp(root) {
  checkNode();
  if (isInstalled(root) && isBuilt(root)) return;
  const release = lock(root);
  try {
    if (!isInstalled(root)) install(root);
    if (!isBuilt(root)) build(root);
  } finally {
    release();
  }
}

function checkNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= OLDEST_NODE) return;
  throw new SetupError(
    `hotpair needs Node.js ${OLDEST_NODE} or newer, this is ${process.version} (https://nodejs.org)`,
  );
}

// --- dependencies ---

const lockHash = (root) =>
  createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
const installStamp = (root) => join(root, "node_modules", ".hotpair-installed");

function isInstalled(root) {
  // tsc stands for the development packages: an install without them cannot build.
  if (!existsSync(join(root, "node_modules", "typescript", "bin", "tsc"))) return false;
  const hash = lockHash(root);
  if (read(installStamp(root)) === hash) return true;
  // Installed by hand: npm's own record is at least as new as the lock file.
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record) || statSync(record).mtimeMs < statSync(join(root, "package-lock.json")).mtimeMs) return false;
  write(installStamp(root), hash);
  return true;
}

function install(root) {
  say("installing dependencies (npm ci) ...");
  // Inside `npm start` npm says where it is; elsewhere it is looked for.
  const { npm_execpath } = process.env;
  const script = npm_execpath !== undefined && /npm-cli\.c?js$/.test(npm_execpath);
  const [command, first] = script ? [process.execPath, [npm_execpath]] : ["npm", []];
  const words = [...first, "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = spawnSync(command, words, {
    cwd: root,
    // stdout belongs to the command that comes after.
    stdio: ["ignore", 2, 2],
    shell: !script && process.platform === "win32",
  });
  if (result.error !== undefined) throw new SetupError(`npm cannot be run (${result.error.message}): install npm`);
  if (result.status !== 0) {
    throw new SetupError(`npm ci failed (see above): check the network, or the registry that npm is set to use`);
  }
  write(installStamp(root), lockHash(root));
}

// --- build ---

const STAMP = ".hotpair-built";

function isBuilt(root) {
  return existsSync(join(root, "dist", "cli", "main.js")) && read(join(root, "dist", STAMP)) === sourceHash(root);
}

/** Over the path, size and time of every source, the compiler's version and ours. */
function sourceHash(root) {
  const hash = createHash("sha256").update(`${lockHash(root)}\n`);
  const visit = (path) => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (stat.isDirectory()) {
      for (const entry of readdirSync(join(root, path)).sort()) visit(`${path}/${entry}`);
    } else if (/\.(ts|tsx|json)$/.test(path)) {
      hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`);
    }
  };
  for (const source of SOURCES) visit(source);
  return hash.digest("hex");
}

function build(root) {
  say("building ...");
  const hash = sourceHash(root);
  const dist = join(root, "dist");
  const fresh = join(root, ".dist-new");
  rmSync(fresh, { recursive: true, force: true });
  // Types are `npm run typecheck`'s business: without them a build takes seconds less.
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const words = [tsc, "-p", "tsconfig.build.json", "--noCheck", "--outDir", fresh, "--incremental", "false"];
  const result = spawnSync(process.execPath, [...words, "--tsBuildInfoFile", "null"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (result.status !== 0) throw new SetupError("the build failed (see above)");
  write(join(fresh, STAMP), hash);
  // All at once, so that no one meets half a build, and nothing stays of sources that are gone.
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
}

// --- one at a time ---

/** @returns the way to let go. */
function lock(root) {
  const held = join(root, ".hotpair-setup");
  for (let told = false; ; told = true) {
    try {
      mkdirSync(held);
      return () => rmSync(held, { recursive: true, force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw new SetupError(`the checkout cannot be written to (${error.message})`);
    }
    if (!told) say("waiting for another set-up of this checkout ...");
    const stat = statSync(held, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > LOCK_AGE) rmSync(held, { recursive: true, force: true });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_WAIT);
  }
}

function read(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function say(line) {
  process.stderr.write(`hotpair: ${line}\n`);
}

/** Runs it, with its errors as one line and exit code 3. */
export function setUpOrExit(root) {
  try {
    setUp(root);
  } catch (error) {
    say(error instanceof SetupError ? error.message : error.stack);
    process.exit(UNABLE);
  }
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] === self) setUpOrExit(dirname(dirname(self)));
