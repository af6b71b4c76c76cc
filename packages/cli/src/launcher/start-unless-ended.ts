import { signalExitCode } from "./app-process.js";
import type { Workload } from "./workload.js";

/**
 * Waits until a workload has started. A signal that comes first ends the process at once: starting may wait for a control
 * plane for ever, and nothing serves yet that would have to be finished.
 */
export async function startUnlessEnded(
  starting: Promise<Workload>,
  ending: Promise<NodeJS.Signals>,
): Promise<Workload> {
  const first = await Promise.race([starting, ending]);
  if (typeof first === "string") process.exit(signalExitCode(first));
  return first;
}
