/** What the session with the peer, and the transport below it, come from: ICCP's and TCP's reasons. */
import { type Account, configured, type Fact, newest, type Origin } from "../../src/node/past.ts";
import type { IccpReason, IccpSession } from "../iccp/events.ts";
import type { TcpSession } from "../tcp/events.ts";
import { type Case, peerOf, way } from "./explain-causes.ts";
import { comeback } from "./explain-reasons.ts";

/** `way`: what last happened between both; `silence`: what keeps this end from hearing; `deaf`: the other end. */
type From = "way" | "silence" | "deaf" | "peer" | "order" | "files" | "link";

const FROM: Readonly<Record<IccpReason, From>> = {
  startup: "way",
  established: "way",
  "no-address": "link",
  refused: "peer",
  timeout: "silence",
  reset: "peer",
  closed: "peer",
  ended: "peer",
  replaced: "peer",
  overrun: "silence",
  stopped: "order",
  "handshake-timeout": "silence",
  "heartbeat-timeout": "silence",
  "one-way": "deaf",
  "domain-mismatch": "files",
  "version-mismatch": "files",
  "dialect-mismatch": "files",
  "same-system": "files",
  rejected: "files",
  authentication: "files",
  "unknown-mandatory": "files",
  malformed: "way",
  sequence: "silence",
  goodbye: "peer",
};

export function transportAccount(event: IccpSession | TcpSession, one: Case): Account {
  const name = event.type === "iccp.session" ? "session with the peer" : "connection to the peer";
  const reason = event.reason === "connected" ? "established" : event.reason;
  const detail = "detail" in event && event.detail !== "" ? `: ${event.detail}` : "";
  const text = `${name}: ${event.up ? "up" : "down"} (${event.reason}${detail})`;
  const because = cause(FROM[reason], one, text) ?? way(one);
  const ends = event.up ? undefined : `when ${comeback(one.config, false)}`;
  return { state: event.up ? "up" : "down", reason: event.reason, text, because, ends };
}

function cause(from: From, one: Case, text: string): Fact | Origin | undefined {
  const { past, node, config } = one;
  const { peerLink } = config;
  const peer = peerOf(one);
  switch (from) {
    case "way":
      return way(one);
    case "link":
      return newest(past.link(node, peerLink), past.born(node));
    case "silence":
      return past.silence(node, peerLink, peer);
    case "deaf": {
      const theirs = peer === undefined ? undefined : past.node(peer);
      const port = (theirs?.["mlag"] as typeof config | undefined)?.peerLink;
      return peer === undefined || port === undefined ? undefined : past.silence(peer, port, node);
    }
    case "order":
      return newest(past.command(node, "mlag"), past.command(node, "*"));
    case "files":
      return configured(node, text);
    case "peer": {
      if (peer === undefined) return undefined;
      // An end that goes is said by its own side, if it could say anything.
      const theirs =
        past.off(peer) ?? newest(past.last(peer, "iccp.session"), past.command(peer, "mlag"), past.born(peer));
      return newest(theirs, past.touched(node, peerLink, peer));
    }
  }
}
