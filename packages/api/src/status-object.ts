import { MeshError, type ErrorKind } from "@tulle/base";
import type { Violation } from "./kind.js";

/** A Kubernetes `Status`: the body of every refusal, and of some successes. */
export interface StatusObject {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  /** The HTTP status that goes with it. */
  readonly code: number;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** Plural for success and most failures, kind for invalid objects, as Kubernetes has it. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

/** What a Status speaks of. */
export interface StatusSubject {
  readonly group: string;
  /** `virtualservices`. */
  readonly plural: string;
  /** `VirtualService`. */
  readonly kind: string;
  readonly name: string;
}

interface HttpMeaning {
  readonly code: number;
  readonly reason: string;
}

/** The one table from our kinds of errors to Kubernetes' codes and reasons. */
const MEANINGS: Readonly<Record<ErrorKind, HttpMeaning>> = {
  invalid: { code: 400, reason: "BadRequest" },
  "not-found": { code: 404, reason: "NotFound" },
  "already-exists": { code: 409, reason: "AlreadyExists" },
  conflict: { code: 409, reason: "Conflict" },
  unavailable: { code: 503, reason: "ServiceUnavailable" },
  timeout: { code: 504, reason: "Timeout" },
  canceled: { code: 499, reason: "ClientClosedRequest" },
  exhausted: { code: 429, reason: "TooManyRequests" },
  denied: { code: 403, reason: "Forbidden" },
  unauthenticated: { code: 401, reason: "Unauthorized" },
  unimplemented: { code: 501, reason: "NotImplemented" },
  internal: { code: 500, reason: "InternalError" },
};

/** Reasons that are no kind's own answer, but that a client may get. */
const OTHER_REASONS: Readonly<Record<string, ErrorKind>> = {
  Invalid: "invalid",
  Expired: "exhausted",
  Gone: "exhausted",
  MethodNotAllowed: "unimplemented",
  NotAcceptable: "invalid",
  RequestEntityTooLarge: "invalid",
  ServerTimeout: "timeout",
  UnsupportedMediaType: "invalid",
};

/** Errors that Kubernetes' clients know by another code than their kind has. */
const BY_CODE: ReadonlyMap<string, HttpMeaning> = new Map([
  // A watch from a revision that is gone: clients list again when they see it.
  ["STORE_REVISION_GONE", { code: 410, reason: "Expired" }],
]);

/** HTTP status and Kubernetes' reason of an error. */
export function meaningOf(error: MeshError): HttpMeaning {
  return BY_CODE.get(error.code) ?? MEANINGS[error.kind];
}

/** A failure with any code and reason. */
export function failureStatus(
  code: number,
  reason: string,
  message: string,
  details: StatusDetails = {},
): StatusObject {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    details,
    code,
  };
}

/**
 * The Status of an error. Unexpected ones (not a MeshError) say nothing about the inside: their cause belongs in the
 * log.
 */
export function errorStatus(thrown: unknown, subject?: StatusSubject): StatusObject {
  const details =
    subject === undefined ? {} : { name: subject.name, group: subject.group, kind: subject.plural };
  if (!(thrown instanceof MeshError)) {
    return failureStatus(
      500,
      "InternalError",
      "an internal error occurred; the control plane's log has it",
      details,
    );
  }
  const { code, reason } = meaningOf(thrown);
  return failureStatus(code, reason, thrown.message, details);
}

/** 404 in Kubernetes' own words: `virtualservices.networking.istio.io "reviews" not found`. */
export function notFoundStatus(subject: StatusSubject): StatusObject {
  return failureStatus(
    404,
    "NotFound",
    `${resourceName(subject)} ${quoted(subject.name)} not found`,
    ofPlural(subject),
  );
}

/** 409 for a create of a name that is taken. */
export function alreadyExistsStatus(subject: StatusSubject): StatusObject {
  const message = `${resourceName(subject)} ${quoted(subject.name)} already exists`;
  return failureStatus(409, "AlreadyExists", message, ofPlural(subject));
}

/** 409 for a write that is based on an older revision. */
export function conflictStatus(subject: StatusSubject): StatusObject {
  const message =
    `Operation cannot be fulfilled on ${resourceName(subject)} ${quoted(subject.name)}: ` +
    "the object has been modified; please apply your changes to the latest version and try again";
  return failureStatus(409, "Conflict", message, ofPlural(subject));
}

/** 422 with one cause for each violation: clients print the causes, not the message. */
export function invalidStatus(subject: StatusSubject, violations: readonly Violation[]): StatusObject {
  const list = violations.map(({ path, message }) => `${path}: ${message}`).join("; ");
  const kind = subject.group === "" ? subject.kind : `${subject.kind}.${subject.group}`;
  return failureStatus(422, "Invalid", `${kind} ${quoted(subject.name)} is invalid: ${list}`, {
    name: subject.name,
    group: subject.group,
    kind: subject.kind,
    causes: violations.map(({ path, message }) => ({ reason: "FieldValueInvalid", message, field: path })),
  });
}

/** 200 for a delete. */
export function deletedStatus(subject: StatusSubject, uid: string): StatusObject {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { ...ofPlural(subject), uid },
    code: 200,
  };
}

/** An error with the violations that a server listed. */
export class InvalidObjectError extends MeshError {
  readonly violations: readonly Violation[];
  /** Name of the object; "" where nobody knows it. */
  readonly objectName: string;

  constructor(message: string, violations: readonly Violation[], objectName = "") {
    super("invalid", "API_INVALID_OBJECT", message, { source: "control" });
    this.violations = violations;
    this.objectName = objectName;
  }
}

/**
 * The error that a server's answer means, for clients: from a Status when the body is one, else from the HTTP status
 * alone.
 */
export function errorFromStatus(httpStatus: number, body: unknown): MeshError {
  const status = readStatus(body);
  const kind = kindOf(httpStatus, status.reason);
  const message = status.message ?? `the control plane answered with HTTP status ${httpStatus}`;
  if (status.violations.length > 0) return new InvalidObjectError(message, status.violations);
  const code = `API_${(status.reason ?? `HTTP_${httpStatus}`).replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase()}`;
  return new MeshError(kind, code, message, { source: "control" });
}

function kindOf(httpStatus: number, reason: string | undefined): ErrorKind {
  const entries = Object.entries(MEANINGS) as [ErrorKind, HttpMeaning][];
  if (reason !== undefined) {
    const known = entries.find(([, meaning]) => meaning.reason === reason)?.[0];
    if (known !== undefined) return known;
    if (Object.hasOwn(OTHER_REASONS, reason)) return OTHER_REASONS[reason] ?? "internal";
  }
  const byStatus = entries.find(([, meaning]) => meaning.code === httpStatus)?.[0];
  return byStatus ?? (httpStatus >= 400 && httpStatus < 500 ? "invalid" : "internal");
}

function readStatus(body: unknown): {
  readonly message: string | undefined;
  readonly reason: string | undefined;
  readonly violations: readonly Violation[];
} {
  const none = { message: undefined, reason: undefined, violations: [] };
  if (typeof body !== "object" || body === null || !("kind" in body) || body.kind !== "Status") return none;
  const { message, reason, details } = body as Partial<Record<string, unknown>>;
  const causes = (details as { readonly causes?: unknown } | undefined)?.causes;
  return {
    message: typeof message === "string" ? message : undefined,
    reason: typeof reason === "string" && /^[A-Za-z]{1,64}$/.test(reason) ? reason : undefined,
    violations: Array.isArray(causes) ? causes.flatMap(asViolation) : [],
  };
}

function asViolation(cause: unknown): readonly Violation[] {
  if (typeof cause !== "object" || cause === null) return [];
  const { field, message } = cause as Partial<Record<string, unknown>>;
  return typeof field === "string" && typeof message === "string" ? [{ path: field, message }] : [];
}

function resourceName({ plural, group }: StatusSubject): string {
  return group === "" ? plural : `${plural}.${group}`;
}

function ofPlural({ name, group, plural }: StatusSubject): StatusDetails {
  return { name, group, kind: plural };
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
