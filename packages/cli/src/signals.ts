import type { Disposable } from "@tulle/base";

const ENDING = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** The first signal that asks the process to end. Later ones are ignored until disposed: ending is under way. */
export function endingSignal(): Promise<NodeJS.Signals> & Disposable {
  let onSignal: ((signal: NodeJS.Signals) => void) | undefined;
  const promise = new Promise<NodeJS.Signals>((resolve) => (onSignal = resolve));
  const listener = (signal: NodeJS.Signals): void => onSignal?.(signal);
  for (const signal of ENDING) process.on(signal, listener);
  return Object.assign(promise, {
    [Symbol.dispose]: () => {
      for (const signal of ENDING) process.off(signal, listener);
    },
  });
}
