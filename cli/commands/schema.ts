/** `hotpair schema`: the JSON Schema of the files, for editors and other programs. */
import { Argument, type Command } from "commander";
import { protocols } from "../../protocols/index.ts";
import { OK, print, printJson } from "../output.ts";
import type { Finish } from "../program.ts";
import { bothSchemas, jsonSchema, KINDS, type Kind, schemaText } from "../schema.ts";

export function register(program: Command, finish: Finish): void {
  program
    .command("schema")
    .summary("the JSON Schema of both files")
    .description("Prints the JSON Schema (2020-12) of both files as one document, or of one of them.")
    .addArgument(new Argument("[kind]", "of which file").choices(KINDS))
    .option("--json", "on one line")
    .addHelpText("after", "\nExample:\n  $ hotpair schema > schema.json")
    .action((kind: Kind | undefined, options: { json?: boolean }) =>
      finish(async () => show(kind, options.json === true)),
    );
}

async function show(kind: Kind | undefined, json: boolean): Promise<number> {
  const schema = kind === undefined ? bothSchemas(protocols) : jsonSchema(kind, protocols);
  await (json ? printJson(schema) : print(schemaText(schema).trimEnd()));
  return OK;
}
