import type { Outcome } from "@tulle/engine";
import { getHeader, type HeaderList } from "@tulle/http";

import type { Failure } from "../rescue.js";

/**
 * Field of an answer by which the sidecar of an instance tells the caller's sidecar that its application did not answer,
 * and whether the application can have seen the request: `unsent` or `sent`. The caller's sidecar then decides as if
 * it had called the application itself. `retried`: the application's answer comes from calls of its own that failed after
 * all retries: one more hop of retries would multiply them. Only between sidecars over mutual TLS: neither side takes it from, or gives it
 * to, an application.
 */
export const UPSTREAM_FAILURE_HEADER = "x-tulle-upstream-failure";

const TOLD: Partial<Record<Failure, "unsent" | "sent">> = {
  "connect-failure": "unsent",
  "connect-timeout": "unsent",
  "no-healthy-upstream": "unsent",
  overflow: "unsent",
  "upstream-reset": "sent",
  "upstream-remote-reset": "sent",
  "upstream-refused": "unsent",
};

const UNSENT: Outcome = { kind: "connect-failure" };
const RETRIED: Outcome = { kind: "retried" };
const SENT: Outcome = { kind: "reset", requestSent: true, responseStarted: false, reusedConnection: false };

/** Adds what the other sidecar should know of `failure`. */
export function tellUpstreamFailure(headers: HeaderList, failure: Failure): void {
  const told = TOLD[failure];
  if (told !== undefined) headers.push(UPSTREAM_FAILURE_HEADER, told);
}

/** Adds that the calls behind an application's answer were tried again already. */
export function tellRetried(headers: HeaderList): void {
  headers.push(UPSTREAM_FAILURE_HEADER, "retried");
}

/** What a sidecar told with its response; undefined when the response is an application's. */
export function toldUpstreamFailure(headers: HeaderList): Outcome | undefined {
  const told = getHeader(headers, UPSTREAM_FAILURE_HEADER);
  if (told === "unsent") return UNSENT;
  if (told === "retried") return RETRIED;
  return told === "sent" ? SENT : undefined;
}
