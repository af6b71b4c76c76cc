import type { Clock } from "@tulle/base";

import type { ConnectionSet } from "../connection/connection-set.js";

/** Idle connections stay open this long after a drain began: a request may be on its way on them. */
const MAX_IDLE_MS = 1000;

/**
 * Lets the exchanges on `connections` finish, at most `drainMs`, and closes each connection after its exchange. Resolves
 * when none is left; what is left at the end of the time is cut.
 */
export function drainConnections(connections: ConnectionSet, drainMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => {
      connections.destroy();
      resolve();
    }, drainMs);
    connections.drain(Math.min(MAX_IDLE_MS, drainMs / 2), () => {
      timer[Symbol.dispose]();
      resolve();
    });
  });
}
