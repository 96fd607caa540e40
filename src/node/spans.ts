/** Lengths of time in rows of status, which are seconds, in words. */
import { formatDuration, us } from "../core/time.ts";

/** As a file has it: 1.5s, 100ms. */
export function seconds(value: number): string {
  return formatDuration(us(Math.round(value * 1e6)));
}

/** Two figures are enough for people: 3.2s, 140ms, 5m, 2h, 3d. */
export function ago(value: number): string {
  if (value < 1) return `${Math.round(value * 1_000)}ms`;
  if (value < 60) return `${value.toFixed(1)}s`;
  if (value < 3_600) return `${Math.floor(value / 60)}m${Math.floor(value % 60)}s`;
  if (value < 86_400) return `${Math.floor(value / 3_600)}h${Math.floor((value % 3_600) / 60)}m`;
  return `${Math.floor(value / 86_400)}d${Math.floor((value % 86_400) / 3_600)}h`;
}
