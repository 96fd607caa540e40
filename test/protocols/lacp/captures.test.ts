/**
 * L66–L75: what real partners said (Linux bonding, Open vSwitch, teamd), said to our machine in place of the one that
 * heard it. It has that one's name, key, priority, rate and mode; what it then holds is compared with what that one held,
 * by its own words.
 */
import { describe, expect, it } from "vitest";
import { decodeLacpdu, type LacpInfo, STATE } from "../../../protocols/lacp/codec.ts";
import { CaptureReader } from "../../../src/capture/read.ts";
import { captureFiles, octetsOf, sidecarOf } from "../../capture/fixtures.ts";
import { Solo } from "../../support/lacp.ts";

interface Sidecar {
  readonly nodes: Readonly<Record<string, { readonly links: Readonly<Record<string, string>> }>>;
  readonly daemon_state: readonly {
    readonly t: number;
    readonly node: string;
    readonly when: string;
    readonly output: string;
  }[];
  readonly timeline: readonly { readonly t: number; readonly source: string; readonly text: string }[];
  readonly frames: readonly {
    readonly n: number;
    readonly t: number;
    readonly link: string;
    readonly eth: { readonly src: string };
  }[];
}

interface Heard {
  readonly at: number;
  readonly link: string;
  readonly from: string;
  readonly payload: Uint8Array;
  readonly actor: LacpInfo;
}

/** What a daemon holds of one link. */
interface Held {
  readonly link: string;
  readonly up: boolean;
  readonly expired: boolean;
  readonly defaulted: boolean;
  readonly system: string;
  readonly key: number;
  readonly port: number;
  readonly state: number;
}

const files = captureFiles.filter((file) => /^(bonding|ovs|teamd)-.*lacp/.test(file));

interface Capture {
  readonly sidecar: Sidecar;
  readonly heard: readonly Heard[];
}

function read(file: string): Capture {
  const sidecar = sidecarOf(file) as unknown as Sidecar;
  const heard = new CaptureReader().push(octetsOf(file)).flatMap(({ number, bytes }): Heard[] => {
    const frame = sidecar.frames[number - 1];
    const payload = bytes.subarray(14);
    const pdu = decodeLacpdu(payload);
    if (frame === undefined || !pdu.ok) return [];
    return [{ at: Math.round(frame.t * 1e6), link: frame.link, from: frame.eth.src, payload, actor: pdu.value.actor }];
  });
  return { sidecar, heard };
}

const value = (text: string, pattern: RegExp) => pattern.exec(text)?.[1] ?? "";
const WORDS: Readonly<Record<string, number>> = {
  activity: STATE.activity,
  timeout: STATE.shortTimeout,
  aggregation: STATE.aggregation,
  synchronized: STATE.synchronization,
  collecting: STATE.collecting,
  distributing: STATE.distributing,
  defaulted: STATE.defaulted,
  expired: STATE.expired,
};
const bitsOf = (words: string) => words.split(" ").reduce((bits, word) => bits | (WORDS[word] ?? 0), 0);

function heldBy(output: string): Held[] {
  if (output.includes("Slave Interface")) {
    return output
      .split("Slave Interface: ")
      .slice(1)
      .map((part) => {
        const [actor = "", partner = ""] = part.split("details partner");
        const own = Number(value(actor, /port state: (\d+)/));
        return {
          link: value(part, /^(\w+)/),
          up: value(part, /MII Status: (\w+)/) === "up",
          expired: (own & STATE.expired) !== 0,
          defaulted: (own & STATE.defaulted) !== 0,
          system: value(partner, /system mac address: (\S+)/),
          key: Number(value(partner, /oper key: (\d+)/)),
          port: Number(value(partner, /port number: (\d+)/)),
          state: Number(value(partner, /port state: (\d+)/)),
        };
      });
  }
  return output
    .split("member: ")
    .slice(1)
    .map((part) => ({
      link: value(part, /^(\w+)/),
      up: true,
      expired: /^\w+: expired/.test(part),
      defaulted: /^\w+: defaulted/.test(part),
      system: value(part, /partner sys_id: (\S+)/),
      key: Number(value(part, /partner key: (\d+)/)),
      port: Number(value(part, /partner port_id: (\d+)/)),
      state: bitsOf(value(part, /partner state: ([^\n]*)/)),
    }));
}

/** Our machine as that node; undefined where it could not be: a key of 0, or two keys in one bundle. */
function standIn(node: string, { sidecar, heard }: Capture): Solo | undefined {
  const links = sidecar.nodes[node]?.links ?? {};
  const own = heard.filter(({ link, from }) => links[link] === from);
  const numbers = new Map(own.map(({ link, actor }) => [link, actor.port]));
  const [first] = own;
  const keys = new Set(own.map(({ actor }) => actor.key));
  if (first === undefined || keys.size !== 1 || first.actor.key === 0 || numbers.size !== Object.keys(links).length)
    return undefined;
  const members = [...numbers].sort((a, b) => a[1] - b[1]).map(([link]) => link);
  const { system, systemPriority, key, portPriority, state } = first.actor;
  const self = new Solo({
    name: "agg1",
    members,
    key,
    priority: portPriority,
    rate: (state & STATE.shortTimeout) === 0 ? "slow" : "fast",
    individual: (state & STATE.aggregation) === 0,
    mode: (state & STATE.activity) === 0 ? "passive" : "active",
  });
  const portOffset = Math.min(...numbers.values()) - 1;
  self.hear({ type: "mlag.system", bundle: "agg1", system, priority: systemPriority, portOffset });
  return self;
}

type Happening = { readonly at: number } & (
  | { readonly heard: Heard }
  | { readonly link: string; readonly up: boolean }
  | { readonly state: string }
);

/** Every node of every capture whose identity ours can take. */
const cases = files.flatMap((file) => {
  const capture = read(file);
  const nodes = Object.keys(capture.sidecar.nodes);
  return nodes.filter((node) => standIn(node, capture) !== undefined).map((node) => [file, node] as const);
});
let compared = 0;

describe.each(cases)("%s, in place of %s", (file, node) => {
  const capture = read(file);
  const { sidecar, heard } = capture;
  const links = sidecar.nodes[node]?.links ?? {};

  it("L66–L70 L73–L75 · holds what that one held of its partner, whenever that one was asked", () => {
    const self = standIn(node, capture) as Solo;
    const happenings: Happening[] = [
      ...heard
        .filter(({ link, from }) => link in links && links[link] !== from)
        .map((one) => ({ at: one.at, heard: one })),
      ...Object.keys(links).map((link) => ({ at: 0, link, up: true })),
      ...sidecar.timeline.flatMap(({ t, source, text }): Happening[] => {
        const what = /^(l\d) set (down|up) on|^(?:ip|link)? ?(down|up|fail|back) (?:s\d|h\d) (l\d)/.exec(text);
        const link = what?.[1] ?? what?.[4];
        const word = what?.[2] ?? what?.[3];
        return source === "operator" && link !== undefined && link in links && t > 0
          ? [{ at: Math.round(t * 1e6), link, up: word === "up" || word === "back" }]
          : [];
      }),
      ...sidecar.daemon_state
        .filter((one) => one.node === node)
        .map(({ t, output }) => ({ at: Math.round(t * 1e6), state: output })),
    ];
    // What was asked at the time of an operator's action was asked before it.
    happenings.sort((a, b) => a.at - b.at || Number("state" in b) - Number("state" in a));
    const last = new Map<string, LacpInfo>();
    for (const one of happenings) {
      self.run(Math.max(0, one.at));
      if ("heard" in one) {
        last.set(one.heard.link, one.heard.actor);
        self.receive(one.heard.link, one.heard.payload);
      } else if ("up" in one) self.link(one.link, one.up);
      else for (const held of heldBy(one.state)) if (held.link in links) compare(self, held, one.at);
    }
    // L68: nobody's odd states make a link come and go more often than somebody did something to it.
    const actions = sidecar.timeline.filter(({ t, source }) => source === "operator" && t > 0).length;
    for (const link of Object.keys(links)) {
      const muxes = self.events.flatMap((event) =>
        event.type === "lacp.port" && event.port === link ? [event.mux] : [],
      );
      const starts = muxes.filter((mux, i) => mux === "distributing" && muxes[i - 1] !== "distributing");
      expect(starts.length).toBeLessThanOrEqual(1 + actions);
    }
    // What it said is what it holds: the identity of the last LACPDU of that link.
    for (const { port, pdu } of self.sent.slice(-2)) {
      const said = last.get(port);
      if (said !== undefined && (pdu.actor.state & STATE.defaulted) === 0)
        expect(pdu.partner).toMatchObject({ system: said.system, port: said.port });
    }
  });
});

function compare(self: Solo, held: Held, at: number): void {
  const port = self.port(held.link);
  if (!held.up || !port.up) return;
  const where = `${held.link} at ${at / 1e6} s`;
  compared++;
  const expired = (port.state & STATE.expired) !== 0;
  const defaulted = (port.state & STATE.defaulted) !== 0;
  expect([where, expired, defaulted]).toEqual([where, held.expired, held.defaulted]);
  if (expired || defaulted) return;
  const { system, key, port: number, state } = port.partner;
  expect([where, system, key, number, state]).toEqual([where, held.system, held.key, held.port, held.state]);
}

it("all of them together are many looks at real daemons", () => {
  expect(files.length).toBeGreaterThan(15);
  expect(compared).toBeGreaterThan(100);
});
