/** The clock and the wires under nodes. A host knows no protocol by name. */
import type { Family, Mac, Prefix } from "../core/addr.ts";
import type { Frame } from "../core/frame.ts";
import type { Change, Duplex } from "../core/machine.ts";
import type { Instant } from "../core/time.ts";
import type { Node } from "./node.ts";

export interface Host {
  /** Carries out a wish. A host without a kernel does nothing: the node's own machines have heard it. */
  apply(node: Node, change: Change): void;
  /** Calls `node.step({ kind: "timer" })` at this time, in place of any time asked for before; NEVER for not at all. */
  wake(node: Node, at: Instant): void;
}

/** What a host puts under a port that no machine owns. */
export interface Wire {
  /** Bits per second; absent where nobody knows. */
  readonly speed?: number | undefined;
  readonly duplex?: Duplex | undefined;
  transmit(frame: Frame): void;
}

/**
 * A wish of a virtual router: be reachable under these addresses, or no longer be (RFC 9568 §6.4.2, §6.4.3).
 * On Linux the host makes a macvlan and adds addresses; in the simulator the stack itself does what this says.
 * One for each (port, vrid, family); a later one replaces the earlier whole.
 */
export interface VirtualWish {
  readonly type: "ip.virtual";
  /** Name of the interface. */
  readonly port: string;
  readonly vrid: number;
  readonly family: Family;
  readonly addresses: readonly Prefix[];
  /** The virtual router's MAC; absent where the interface's own is used. */
  readonly mac?: Mac;
  /** Accept_Mode, or ownership of the addresses: packets to them are for this node. ND and ARP are answered anyway. */
  readonly accept: boolean;
  /** Master: true; any other state: false. */
  readonly present: boolean;
  /**
   * The router has left and goes on answering until another is heard. A kernel that would answer that other's gratuitous
   * ARP, and so draw the virtual MAC back to its own port of the switch, is kept from it; this stack never does (RFC 5227
   * §2.4).
   */
  readonly leaving?: boolean;
  /** They are the interface's own addresses (RFC 9568 §5.2.4, priority 255): nobody takes them off it. */
  readonly owned?: boolean;
}

/**
 * A wish about a port of the kernel's bridge. What a bundle's port may take and send is its LACP's to say (IEEE 802.1AX
 * §6.4.15); LACPDUs pass whatever is wished. One for each port; a later one replaces the earlier whole.
 */
export interface BridgePortWish {
  readonly type: "bridge.port";
  /** Name of the interface. */
  readonly port: string;
  /** Name of the bridge; the host makes it where there is none. */
  readonly bridge: string;
  /** Name of the bundle that it is a link of: to the bridge, the bundle is one port. */
  readonly bundle?: string;
  /** Whether frames that come in are taken. */
  readonly collects: boolean;
  /** Whether frames leave by it. */
  readonly distributes: boolean;
  /** Whether that goes for those to groups and to unknown stations, too: of a bundle one link has them. */
  readonly floods: boolean;
  /** Whether the sources of what comes in are learned. */
  readonly learns: boolean;
  readonly present: boolean;
}

/** A wish about one station in the table of the kernel's bridge. */
export interface BridgeStationWish {
  readonly type: "bridge.station";
  readonly mac: Mac;
  /** Name of the interface behind which it is to be found; where it is not `present`, behind which it was. */
  readonly port: string;
  /** What this switch has heard itself ages; what it was told stays until it is taken back. */
  readonly ages: boolean;
  readonly present: boolean;
}

/** A wish about frames that come in by one port of the kernel's bridge and would leave by another. */
export interface BridgeApartWish {
  readonly type: "bridge.apart";
  /** Names of interfaces. */
  readonly from: string;
  readonly to: string;
  /** `floods`: those to groups do not pass; `all`: none does. */
  readonly apart: "none" | "floods" | "all";
}

/** A fact of the kernel's: its bridge has heard a station, or has it no longer. */
export interface KernelStation {
  readonly type: "kernel.station";
  /** Name of the interface. */
  readonly port: string;
  readonly mac: Mac;
  readonly present: boolean;
  /** It was given to the bridge, and not heard. */
  readonly given: boolean;
}
