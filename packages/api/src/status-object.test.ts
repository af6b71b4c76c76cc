import { MeshError, type ErrorKind } from "@tulle/base";
import { expect, test } from "vitest";
import {
  alreadyExistsStatus,
  conflictStatus,
  deletedStatus,
  errorFromStatus,
  errorStatus,
  InvalidObjectError,
  invalidStatus,
  notFoundStatus,
  type StatusSubject,
} from "./status-object.js";

const reviews: StatusSubject = {
  group: "networking.istio.io",
  plural: "virtualservices",
  kind: "VirtualService",
  name: "reviews",
};

test("notFoundStatus and its siblings speak as Kubernetes does", () => {
  expect(notFoundStatus(reviews)).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: 'virtualservices.networking.istio.io "reviews" not found',
    reason: "NotFound",
    details: { name: "reviews", group: "networking.istio.io", kind: "virtualservices" },
    code: 404,
  });
  expect(alreadyExistsStatus(reviews)).toMatchObject({ code: 409, reason: "AlreadyExists" });
  expect(conflictStatus(reviews)).toMatchObject({ code: 409, reason: "Conflict" });
  expect(deletedStatus(reviews, "u")).toMatchObject({ status: "Success", details: { uid: "u" }, code: 200 });
});

test("invalidStatus has one cause for each violation", () => {
  const violations = [
    { path: "spec.hosts", message: "is required" },
    { path: "spec.http[0]", message: "is wrong" },
  ];
  const status = invalidStatus(reviews, violations);
  expect(status).toMatchObject({
    code: 422,
    reason: "Invalid",
    message:
      'VirtualService.networking.istio.io "reviews" is invalid: spec.hosts: is required; spec.http[0]: is wrong',
    details: {
      kind: "VirtualService",
      causes: [
        { reason: "FieldValueInvalid", message: "is required", field: "spec.hosts" },
        { reason: "FieldValueInvalid", message: "is wrong", field: "spec.http[0]" },
      ],
    },
  });
  const error = errorFromStatus(422, JSON.parse(JSON.stringify(status)));
  expect(error).toBeInstanceOf(InvalidObjectError);
  expect((error as InvalidObjectError).violations).toEqual(violations);
});

test("errorStatus and errorFromStatus agree for every kind of error", () => {
  const kinds: readonly ErrorKind[] = [
    "invalid",
    "not-found",
    "already-exists",
    "conflict",
    "unavailable",
    "timeout",
    "canceled",
    "exhausted",
    "denied",
    "unauthenticated",
    "unimplemented",
    "internal",
  ];
  for (const kind of kinds) {
    const status = errorStatus(new MeshError(kind, "X_Y", "why"), reviews);
    expect(errorFromStatus(status.code, status)).toMatchObject({ kind, message: "why" });
  }
});

test("errorStatus says 410 Expired for a revision that is gone, and nothing about unexpected errors", () => {
  const gone = errorStatus(new MeshError("exhausted", "STORE_REVISION_GONE", "list again"));
  expect(gone).toMatchObject({ code: 410, reason: "Expired" });
  const unexpected = errorStatus(new TypeError("secret path"));
  expect(unexpected).toMatchObject({ code: 500, reason: "InternalError" });
  expect(JSON.stringify(unexpected)).not.toContain("secret path");
});

test("errorFromStatus reads any body", () => {
  expect(errorFromStatus(404, undefined)).toMatchObject({ kind: "not-found", code: "API_HTTP_404" });
  expect(errorFromStatus(418, "teapot")).toMatchObject({ kind: "invalid" });
  expect(errorFromStatus(502, null)).toMatchObject({ kind: "internal" });
  expect(errorFromStatus(409, { kind: "Status", reason: "Conflict" })).toMatchObject({
    kind: "conflict",
    code: "API_CONFLICT",
  });
  expect(
    errorFromStatus(409, { kind: "Status", reason: "AlreadyExists", details: { causes: [null, {}] } }),
  ).toMatchObject({
    kind: "already-exists",
    code: "API_ALREADY_EXISTS",
  });
  expect(errorFromStatus(410, { kind: "Status", reason: "Expired" })).toMatchObject({ kind: "exhausted" });
});
