import { closeSync, renameSync, writeFileSync, writeSync } from "node:fs";

import { MeshError } from "@tulle/base";

export interface ReadyTarget {
  readonly readyFd?: number;
  readonly readyFile?: string;
  readonly endWithFd?: number;
}

/** Tells whoever waits that a long-running command is ready: one line of JSON, then the descriptor is closed. */
export function announceReady(target: ReadyTarget, value: unknown): void {
  const line = `${JSON.stringify(value)}\n`;
  try {
    if (target.readyFd !== undefined) {
      writeSync(target.readyFd, line);
      // 1 and 2 are still needed after this.
      if (target.readyFd > 2) closeSync(target.readyFd);
    }
    if (target.readyFile !== undefined) {
      // Renamed into place: a reader never sees half a line.
      writeFileSync(`${target.readyFile}.tmp`, line, { mode: 0o600 });
      renameSync(`${target.readyFile}.tmp`, target.readyFile);
    }
  } catch (cause) {
    throw new MeshError(
      "invalid",
      "CLI_READY",
      "cannot announce readiness: check --ready-fd and --ready-file",
      { cause },
    );
  }
}
