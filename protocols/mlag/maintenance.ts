/** Planned work: what it would cost now, and whether it is begun. */
import type { Instant } from "../../src/core/time.ts";
import type { MaintenanceCommand } from "./config.ts";
import { setMaintenance } from "./core.ts";
import type { MlagReason } from "./events.ts";
import { type MlagState, note, say } from "./state.ts";

interface Objection {
  readonly reason: MlagReason;
  readonly detail: string;
}

/** Takes the switch into maintenance, unless hosts would lose frames by it; back out of it in any case. */
export function orderMaintenance(state: MlagState, { on, of, force }: MaintenanceCommand, now: Instant): void {
  note(state, "order", "command", now);
  const found = on && !state.maintenance ? objections(state) : [];
  const [first] = found;
  const detail = found.map((one) => one.detail).join("; ");
  const refused = first !== undefined && !force;
  const reason = refused ? first.reason : "operator";
  say(state, { type: "mlag.maintenance", on, of, refused, reason, detail }, now, "order");
  if (!refused) setMaintenance(state, on, now);
}

/** What speaks against members that go, and against a peer link that goes. */
function objections(state: MlagState): readonly Objection[] {
  const found: Objection[] = [];
  const object = (reason: MlagReason, detail: string) => found.push({ reason, detail });
  if (!state.session) object("no-peer", "there is no session with a peer that could take over");
  if (!state.keepalive) {
    object("no-keepalive", "the keepalive is down: a loss of the peer link would be taken for one of the peer");
  }
  for (const { id, up, peer, slow } of state.halves) {
    if (!up) continue;
    if (peer !== "up") object("single-leg", `M-LAG ${id} has only the half here`);
    if (slow.size > 0) {
      const links = [...slow].join(", ");
      object(
        "slow-partner",
        `the partner of M-LAG ${id} uses slow LACP on ${links}: it would miss this switch for 90 s`,
      );
    }
  }
  return found;
}

/** What the partner of a link has asked for. @param slow whether it hears LACPDUs every 30 s only */
export function partnerRate(state: MlagState, bundle: string, link: string, slow: boolean): void {
  const half = state.halves.find(({ port }) => port === bundle);
  if (slow) half?.slow.add(link);
  else half?.slow.delete(link);
}
