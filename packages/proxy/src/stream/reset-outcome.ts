import type { Outcome } from "@tulle/engine";

import type { Failure } from "../rescue.js";
import type { ResetReason, UpstreamStream } from "./contract.js";

/** What it is called when a try breaks off before its answer. */
export const RESET_FAILURES: Readonly<Record<ResetReason, Failure>> = {
  closed: "upstream-reset",
  reset: "upstream-remote-reset",
  refused: "upstream-refused",
  "protocol-error": "upstream-protocol-error",
  "no-upgrade": "no-upgrade",
};

/** What became of a try that broke off before its answer; undefined: whatever it is, it would be the same again. */
export function resetOutcome(reason: ResetReason, stream: UpstreamStream | undefined): Outcome | undefined {
  if (reason === "protocol-error" || reason === "no-upgrade") return undefined;
  return {
    kind: "reset",
    requestSent: stream?.requestSent ?? true,
    responseStarted: false,
    reusedConnection: stream?.reused ?? false,
  };
}
