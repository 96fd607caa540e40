/** Whether the two halves of an M-LAG see one host; a host that changes its name is seen by one of them first. */
import { after, type Instant, ms, NEVER } from "../../src/core/time.ts";
import { samePartner } from "./report.ts";
import type { Half } from "./state.ts";

/** Two halves that agreed disagree for no longer; a second pair whose peer died renames itself so. */
export const RENAME_PATIENCE = ms(500);

/** Notes what is known of the partner now. */
export function comparePartners(half: Half, now: Instant): void {
  const { partner, peerPartner } = half;
  const known = partner !== undefined && peerPartner !== undefined;
  if (!known || samePartner(partner, peerPartner)) {
    half.agreed = known;
    half.mismatchUntil = NEVER;
  } else if (half.agreed) {
    half.agreed = false;
    half.mismatchUntil = after(now, RENAME_PATIENCE);
  } else if (now >= half.mismatchUntil) {
    half.mismatchUntil = NEVER;
  }
}

/** The halves are cabled to two hosts: they carry at once, and have not just agreed. */
export function mismatched({ partner, peer, peerPartner, mismatchUntil }: Half): boolean {
  if (partner === undefined || peer !== "up" || peerPartner === undefined) return false;
  return !samePartner(partner, peerPartner) && mismatchUntil === NEVER;
}
