/**
 * What a failure means to the one who asked, as a closed set with gRPC's meanings. Every edge (HTTP status, gRPC
 * status, exit code) maps from this set in exactly one table.
 */
export type ErrorKind =
  | "invalid"
  | "not-found"
  | "already-exists"
  | "conflict"
  | "unavailable"
  | "timeout"
  | "canceled"
  | "exhausted"
  | "denied"
  | "unauthenticated"
  | "unimplemented"
  | "internal";

/** Which side of a process a failure came from. */
export type ErrorSource = "downstream" | "upstream" | "control" | "internal";

/** Whether the same call may be made again: `safe` = nothing was done yet. */
export type RetryAdvice = "never" | "safe" | "if-connection-was-reused";

export interface MeshErrorOptions {
  readonly source?: ErrorSource;
  readonly retry?: RetryAdvice;
  /** The failure beneath: kept for logs, never sent to a peer. */
  readonly cause?: unknown;
}

/**
 * The one error class of the project.
 *
 * `code` is stable and prefixed by its package (`REGISTRY_UNKNOWN_SERVICE`): callers branch on `kind` or `code`,
 * people read `message`, which says what to do next. `cause` is kept and never leaves the process.
 */
export class MeshError extends Error {
  override readonly name = "MeshError";
  readonly code: string;
  readonly kind: ErrorKind;
  readonly source: ErrorSource;
  readonly retry: RetryAdvice;

  constructor(kind: ErrorKind, code: string, message: string, options: MeshErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.source = options.source ?? "internal";
    this.retry = options.retry ?? "never";
  }

  /** Any thrown value as a MeshError: itself, or an `internal` one that keeps it as cause. For every catch at an edge. */
  static from(thrown: unknown): MeshError {
    if (thrown instanceof MeshError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new MeshError("internal", "BASE_UNEXPECTED", message, { cause: thrown });
  }
}

/** The first error in `thrown`'s cause chain for which `is` holds, or undefined. Chains of over 16 causes are cut. */
export function findCause<T>(thrown: unknown, is: (value: unknown) => value is T): T | undefined {
  let current: unknown = thrown;
  for (let depth = 0; depth < 16 && current !== undefined && current !== null; depth++) {
    if (is(current)) return current;
    current = current instanceof Error ? current.cause : undefined;
  }
  return undefined;
}

/** The `code` of a Node.js system error (`ECONNREFUSED`), searched along the cause chain, or undefined. */
export function systemErrorCode(thrown: unknown): string | undefined {
  return findCause(thrown, hasStringCode)?.code;
}

function hasStringCode(value: unknown): value is { code: string } {
  return (
    typeof value === "object" &&
    value !== null &&
    !(value instanceof MeshError) &&
    "code" in value &&
    typeof value.code === "string"
  );
}

/** For the default arm of an exhaustive switch: the compiler proves that it is not reached. */
export function unreachable(value: never): never {
  throw new MeshError("internal", "BASE_UNREACHABLE", `unexpected value ${String(value)}`);
}
