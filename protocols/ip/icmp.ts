/** What the stack itself says by ICMP: echo replies and errors. */
import { type Ip, ipFrom, isMulticast } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Path } from "../../src/core/machine.ts";
import { type Instant, sec } from "../../src/core/time.ts";
import { CODE, encodeIcmp, type IcmpEcho, type IcmpError } from "../icmp/codec.ts";
import { ipLayout, ipPacket, PROTOCOL } from "./codec.ts";
import { packetFrame } from "./events.ts";
import { sourceFor } from "./neighbours.ts";
import { sendOwn } from "./output.ts";
import { type Interface, lose, MAX_ERRORS_A_SECOND, type Stack } from "./state.ts";

/** RFC 1812 §4.3.2.3: as much of the packet as fits 576 octets; RFC 4443 §2.4 (c): the minimum MTU of 1280. */
const MAX_ORIGINAL = { ipv4: 576 - 28, ipv6: 1280 - 48 } as const;

/**
 * RFC 1122 §3.2.2.6, RFC 4443 §4.2: the same identifier, sequence and data, from the address that was asked.
 * @param own the address to answer from
 */
export function answerEcho(
  stack: Stack,
  on: Interface,
  echo: IcmpEcho,
  own: Ip,
  asker: Ip,
  now: Instant,
  path: Path,
): void {
  const between = { source: own, destination: asker };
  const protocol = own.includes(":") ? PROTOCOL.icmpv6 : PROTOCOL.icmp;
  const payload = encodeIcmp({ ...echo, kind: "echo-reply" }, between);
  sendOwn(stack, packetFrame(ipPacket({ ...between, protocol, payload })), asker, on, now, path);
}

/**
 * Tells the sender of a packet that it went no further.
 * @param on the interface on which it came
 */
export function sayError(
  stack: Stack,
  on: Interface,
  frame: Frame,
  error: "ttl" | "no-route" | "no-neighbour",
  now: Instant,
  path: Path,
): void {
  const bytes = frame.bytes;
  const at = frame.payload;
  const layout = ipLayout(bytes, at);
  // RFC 1122 §3.2.2: none about a fragment but the first; here about none.
  if (!layout.ok || layout.value.fragment) return;
  const { family, protocol, upper, end } = layout.value;
  const source = ipFrom(bytes, family, layout.value.source);
  const destination = ipFrom(bytes, family, layout.value.destination);
  // RFC 1122 §3.2.2, RFC 4443 §2.4 (e): no error about an error, a group, or a sender that is not one host.
  if (isMulticast(destination) || isMulticast(source) || source === "0.0.0.0" || source === "::") return;
  if (frame.header.group || isError(bytes[upper] ?? 0, protocol)) return;
  const own = sourceFor(on, source);
  if (own === undefined) return;
  if (!allowed(stack, now)) {
    lose(stack, on.port, "icmp-limit", path);
    return;
  }
  const between = { source: own, destination: source };
  const codes = CODE[family];
  const message: IcmpError = {
    kind: error === "ttl" ? "time-exceeded" : "unreachable",
    code: error === "ttl" ? codes.hopLimit : error === "no-route" ? codes.noRoute : codes.hostUnreachable,
    parameter: 0,
    original: bytes.subarray(at, Math.min(end, at + MAX_ORIGINAL[family])),
  };
  const packet = ipPacket({
    ...between,
    protocol: family === "ipv4" ? PROTOCOL.icmp : PROTOCOL.icmpv6,
    payload: encodeIcmp(message, between),
  });
  sendOwn(stack, packetFrame(packet), source, on, now, path);
}

/** Whether an ICMP message of that first octet is itself an error: RFC 1122 §3.2.2, RFC 4443 §2.1. */
function isError(type: number, protocol: number): boolean {
  if (protocol === PROTOCOL.icmpv6) return type < 128;
  return protocol === PROTOCOL.icmp && (type === 3 || type === 4 || type === 5 || type === 11 || type === 12);
}

function allowed(stack: Stack, now: Instant): boolean {
  const second = Math.floor(now / sec(1));
  if (stack.errors.second !== second) stack.errors = { second, count: 0 };
  return ++stack.errors.count <= MAX_ERRORS_A_SECOND;
}
