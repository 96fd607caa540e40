/** The protocols of this program. A new one is a folder beside this file and a line in this list. */
import type { AnyProtocol } from "../src/node/protocol.ts";
import { bridgeProtocol } from "./bridge/index.ts";
import { flowProtocol } from "./flow/index.ts";
import { ipProtocol } from "./ip/index.ts";
import { lacpProtocol } from "./lacp/index.ts";
import { protocol as vrrpProtocol } from "./vrrp/index.ts";

/** In the order in which a node mounts them: what owns ports stands before what uses them. */
export const protocols: readonly AnyProtocol[] = [lacpProtocol, bridgeProtocol, ipProtocol, vrrpProtocol, flowProtocol];
