import { spawnSync } from "node:child_process";

/** Version of an installed program, cut out of what `args` prints by `pattern`; undefined when it is not installed. */
export function installedVersion(command, args, pattern) {
  const result = spawnSync(command, args, { encoding: "utf8" });
  if (result.error !== undefined) return undefined;
  return pattern.exec(result.stdout + result.stderr)?.[1];
}

/** Whether a program can be started at all. */
export function isInstalled(command) {
  return spawnSync(command, ["--version"], { timeout: 5000 }).error === undefined;
}
