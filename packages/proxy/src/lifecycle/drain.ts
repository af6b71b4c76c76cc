import type { Clock } from "@tulle/base";

import type { ConnectionSet } from "../connection/connection-set.js";

/** Idle connections stay open this long after a drain began: a request may be on its way on them. */
const MAX_IDLE_MS = 1000;

/** Of those that go on at a successor's; clients find out when they send their next request. */
export const RETIRING_IDLE_MS = 30_000;

/**
 * Lets the exchanges on `connections` finish, at most `drainMs`, and closes each connection after its exchange. Resolves
 * when none is left; what is left at the end of the time is cut. `idleMs`: how long one without an exchange may stay.
 */
export function drainConnections(
  connections: ConnectionSet,
  drainMs: number,
  clock: Clock,
  idleMs = MAX_IDLE_MS,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => {
      connections.destroy();
      resolve();
    }, drainMs);
    connections.drain(Math.min(idleMs, drainMs / 2), () => {
      timer[Symbol.dispose]();
      resolve();
    });
  });
}
