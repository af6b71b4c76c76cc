import { Socket } from "node:net";

import type { Disposable } from "@tulle/base";

const ENDING = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * The first signal that asks the process to end. Later ones are ignored until disposed: ending is under way. The end of
 * the pipe `endWithFd` counts as SIGTERM: whoever holds its other end is gone.
 */
export function endingSignal(endWithFd?: number): Promise<NodeJS.Signals> & Disposable {
  let onSignal: ((signal: NodeJS.Signals) => void) | undefined;
  const promise = new Promise<NodeJS.Signals>((resolve) => (onSignal = resolve));
  const listener = (signal: NodeJS.Signals): void => onSignal?.(signal);
  for (const signal of ENDING) process.on(signal, listener);
  const pipe = endWithFd === undefined ? undefined : new Socket({ fd: endWithFd, writable: false });
  pipe?.on("error", () => undefined);
  pipe?.once("close", () => listener("SIGTERM"));
  pipe?.resume();
  return Object.assign(promise, {
    [Symbol.dispose]: () => {
      pipe?.destroy();
      for (const signal of ENDING) process.off(signal, listener);
    },
  });
}

/** Calls for each SIGUSR2, until disposed; who may send one is who may end the process. */
export function onUpgradeSignal(listener: () => void): Disposable {
  process.on("SIGUSR2", listener);
  return { [Symbol.dispose]: () => void process.off("SIGUSR2", listener) };
}

/** Resolves when `signal` aborts; never without one. */
export function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}
