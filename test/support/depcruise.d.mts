/** @param base the folder that holds src, protocols, cli, bench, test */
export function checkDirections(
  base: string,
): Promise<{ readonly modules: number; readonly violations: readonly string[] }>;
