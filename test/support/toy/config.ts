import * as z from "zod";
import { duration, portName } from "../../../src/node/units.ts";

export const helloSchema = z.strictObject({ interface: portName, every: duration.prefault("1s") });
export type HelloConfig = z.output<typeof helloSchema>;
