/** The gate of a half: nothing passes before the peer keeps what is flooded over the peer link from its own half. */
import { after, type Duration, type Instant, ms, NEVER, sec } from "../../src/core/time.ts";
import { type Half, ISOLATION_CAP, type LinkWord, type MlagState, say } from "./state.ts";

/**
 * How long the peer keeps floods from its half for one that does not come: where the partner agrees, LACP may wait 2 s
 * for further links; where it does not, it may never, and the peer's half is all that the host has for floods.
 */
const AGREED_PATIENCE: Duration = sec(3);
const PATIENCE: Duration = ms(100);

/** What a half still takes that is about to leave must not come back to its host by the peer's. */
export function takes({ up, collects }: Half): boolean {
  return up || collects;
}

/** Somebody is at the other end, or need not be: the half can be about to come. */
function isPresent(half: Half): boolean {
  if (takes(half)) return true;
  return half.ends.size === 0 ? half.partner !== undefined : [...half.ends.values()].some((word) => word !== "silent");
}

/** What LACP says of one link of the half. @returns whether that is news */
export function noteEnd(half: Half, link: string, word: LinkWord): boolean {
  if (half.ends.get(link) === word) return false;
  half.ends.set(link, word);
  if (word === "in-sync") half.knocked = true;
  return true;
}

/** How the half would carry without a partner; undefined when it would not. */
export function fallbackOf({ ends }: Half): "individual" | "static" | undefined {
  const words = new Set(ends.values());
  return words.has("individual") ? "individual" : words.has("static") ? "static" : undefined;
}

/**
 * Asks the peer for isolation before a half may carry, and takes the question back with the half.
 * @param wanted whether the half is to carry, as far as everything else goes
 */
export function gate(state: MlagState, half: Half, wanted: boolean, now: Instant): void {
  if (!state.session || !isPresent(half) || (!wanted && !takes(half))) {
    if (half.gate !== "closed") close(state, half, "closed", now);
    return;
  }
  switch (half.gate) {
    case "closed":
      ask(state, half, now);
      break;
    case "asked":
      if (now < half.gateUntil) break;
      capped(state, half, true, now);
      half.gate = "open";
      half.gateUntil = NEVER;
      wait(half, now);
      break;
    case "open":
      if (now >= half.gateUntil && !takes(half) && !half.knocked) close(state, half, "lapsed", now);
      else wait(half, now);
      break;
    case "lapsed":
      if (takes(half)) ask(state, half, now);
  }
}

function ask(state: MlagState, half: Half, now: Instant): void {
  half.gate = "asked";
  half.gateUntil = after(now, ISOLATION_CAP);
  tellIsolation(state, half, true);
}

/** Open: until when the half is expected. */
function wait(half: Half, now: Instant): void {
  if (takes(half)) half.gateUntil = NEVER;
  else if (half.knocked) half.gateUntil = after(now, AGREED_PATIENCE);
  else if (half.gateUntil === NEVER) half.gateUntil = after(now, PATIENCE);
  half.knocked = false;
}

function close(state: MlagState, half: Half, to: "closed" | "lapsed", now: Instant): void {
  const told = half.gate === "asked" || half.gate === "open";
  half.gate = to;
  half.gateUntil = NEVER;
  capped(state, half, false, now);
  if (told) tellIsolation(state, half, false);
}

/** The peer has done what it was asked for. */
export function acknowledged(state: MlagState, half: Half, now: Instant): void {
  capped(state, half, false, now);
  if (half.gate !== "asked") return;
  half.gate = "open";
  half.gateUntil = NEVER;
}

/** Whether a half carries frames although the peer has not said that it keeps them from its own. */
function capped(state: MlagState, half: Half, active: boolean, now: Instant): void {
  if (half.capped === active) return;
  half.capped = active;
  const detail = `no acknowledgement for M-LAG ${half.id} within 1 s`;
  say(state, { type: "mlag.alarm", alarm: "isolation-cap", active, detail }, now);
}

function tellIsolation(state: MlagState, half: Half, isolated: boolean): void {
  if (!state.session) return;
  state.requests = (state.requests + 1) >>> 0;
  half.request = state.requests;
  state.tells.push({ kind: "isolate", id: half.id, isolated, request: half.request });
}

/**
 * Whether the half is to wait for its gate. One that carries never is: that would cost what the gate is to protect. One
 * that was told to wait does, whatever was said of it meanwhile: words of lacp from before that order are still coming.
 */
export function isGated(state: MlagState, half: Half): boolean {
  if (!state.session || half.gate === "open" || half.gate === "lapsed") return false;
  return !takes(half) || half.hold === true;
}

/** A host without LACP: one link of the pair carries, the primary's, or the one that its partner agrees to. */
export function yields(state: MlagState, half: Half): boolean {
  if (!state.session || fallbackOf(half) !== "individual") return false;
  if (half.peer === "up" && half.peerPartner !== undefined) return true;
  return state.role === "secondary" && (half.peer === "up" || half.peerAsks);
}
