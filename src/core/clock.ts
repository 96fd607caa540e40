/** What a host with a wall clock tells the machines that sign with the time. */

/**
 * What the wall clock shows, said when the node starts and again whenever it was set. A machine that never hears of one
 * (a simulated node has none) takes virtual time for UTC.
 */
export interface HostClock {
  readonly type: "host.clock";
  /** UTC at the instant 0: microseconds since 1970, leap seconds not counted. */
  readonly utc: number;
}
