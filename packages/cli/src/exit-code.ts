import type { ErrorKind } from "@tulle/base";

/**
 * What `tulle` exits with. `tulle run` exits with the application's own code instead, or 128 + the number of the
 * signal that ended it.
 */
export const EXIT = {
  ok: 0,
  /** The command ran, and what it checked or wanted is not so: an object is refused, a demo request failed. */
  failed: 1,
  /** Unknown command, option or argument. */
  usage: 2,
  /** The control plane cannot be reached, or did not answer in time. */
  unavailable: 3,
  notFound: 4,
  /** Somebody else changed it first. */
  conflict: 5,
  /** Not allowed, or not known who you are. */
  denied: 6,
  /** A fault of Tulle's own: please report it. */
  internal: 70,
} as const;

const BY_KIND: Readonly<Record<ErrorKind, number>> = {
  invalid: EXIT.failed,
  "not-found": EXIT.notFound,
  "already-exists": EXIT.conflict,
  conflict: EXIT.conflict,
  unavailable: EXIT.unavailable,
  timeout: EXIT.unavailable,
  canceled: EXIT.failed,
  exhausted: EXIT.unavailable,
  denied: EXIT.denied,
  unauthenticated: EXIT.denied,
  unimplemented: EXIT.failed,
  internal: EXIT.internal,
};

/** The exit code of a command that failed with an error of `kind`. */
export function exitCodeOf(kind: ErrorKind): number {
  return BY_KIND[kind];
}
