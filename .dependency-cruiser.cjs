/** The direction rules of docs/architecture.md: src <- protocols <- cli; everything <- test. */
const PURE = "^src/(core|node|host/sim|host/replay)/|^protocols/";

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "core-imports-nothing",
      comment: "src/core is the ground: it imports only itself, not even node:*.",
      severity: "error",
      from: { path: "^src/core/" },
      to: { pathNot: "^src/core/" },
    },
    {
      name: "src-names-no-protocol",
      comment: "The engine knows no protocol and no command.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(protocols|cli|test|bench)/" },
    },
    {
      name: "protocols-know-no-command",
      severity: "error",
      from: { path: "^protocols/" },
      to: { path: "^(cli|test|bench)/" },
    },
    {
      name: "protocols-know-no-host",
      comment: "A machine runs in every host, so it knows none.",
      severity: "error",
      from: { path: "^protocols/" },
      to: { path: "^src/host/" },
    },
    {
      name: "protocols-read-no-captures",
      comment: "Reading files is a host's matter; what a packet of a capture looks like is a type.",
      severity: "error",
      from: { path: "^protocols/" },
      to: { path: "^src/capture/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "protocols-by-codec-and-events",
      comment:
        "Of another protocol only codec.ts and events.ts may be imported; the list protocols/index.ts imports all.",
      severity: "error",
      from: { path: "^protocols/([^/]+)/" },
      to: { path: "^protocols/[^/]+/", pathNot: ["^protocols/$1/", "^protocols/[^/]+/(codec|events)\\.ts$"] },
    },
    {
      name: "nothing-imports-tests",
      severity: "error",
      from: { pathNot: "^test/" },
      to: { path: "^test/" },
    },
    {
      name: "nothing-imports-the-command-line",
      severity: "error",
      from: { pathNot: "^(cli|test|bench)/" },
      to: { path: "^cli/" },
    },
    {
      name: "no-node-in-pure-folders",
      comment: "node:* only in src/host/linux, src/capture, cli, test, bench.",
      severity: "error",
      from: { path: PURE },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "zod-in-schemas-only",
      comment: "zod only where files are described: protocols/*/config*.ts, src/node, the lab's file in src/host/sim.",
      severity: "error",
      from: {
        path: "^(src|protocols|cli)/",
        pathNot: [
          "^protocols/[^/]+/config\\.ts$",
          "^protocols/[^/]+/config-[a-z]+\\.ts$",
          "^src/node/",
          "^src/host/sim/(topology|script|expectation|lab-context)\\.ts$",
          "^cli/schema\\.ts$",
        ],
      },
      to: { path: "^node_modules/zod/" },
    },
    {
      name: "yaml-in-one-place",
      severity: "error",
      from: { path: "^(src|protocols|cli)/", pathNot: "^src/node/source\\.ts$" },
      to: { path: "^node_modules/yaml/" },
    },
    {
      name: "command-line-packages-in-cli",
      severity: "error",
      from: { path: "^(src|protocols)/" },
      to: { path: "^node_modules/(commander|ink|react)/" },
    },
    {
      name: "no-development-packages-in-the-product",
      severity: "error",
      from: { path: "^(src|protocols|cli)/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], pathNot: "^node_modules/@types/" },
    },
    {
      name: "no-cycles",
      comment: "Types may refer to each other; code may not.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "resolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^dist/|^\\.dist-new/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "node", "default"] },
  },
};
