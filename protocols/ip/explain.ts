/** Where the addresses of an interface come from: its link, and its file. */
import { type Explainable, eventOf, newest } from "../../src/node/past.ts";
import type { IpEvent } from "./events.ts";

export const explain: Explainable = {
  subjects: () => [],
  now: () => undefined,
  account(fact, past) {
    if (fact.what.kind !== "event") return undefined;
    const event = eventOf<IpEvent>(fact);
    if (event.type !== "ip.addresses" && event.type !== "ip.unresolved") return undefined;
    const because = newest(past.within(fact).link(fact.node, event.port), past.before(fact).born(fact.node));
    if (event.type === "ip.unresolved") {
      const text = `${event.port}: ${event.address} does not answer (${event.reason})`;
      const silence = past.before(fact).silence(fact.node, event.port);
      return { state: "unresolved", reason: event.reason, text, because: silence ?? because, ends: "when it answers" };
    }
    const text = `${event.port}: ${event.addresses.length === 0 ? "no address" : event.addresses.join(", ")}`;
    return { state: event.up ? "up" : "down", reason: "addresses", text, because };
  },
};
