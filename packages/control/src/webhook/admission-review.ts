import type { AdmissionUser } from "@tulle/admission";
import { MeshError } from "@tulle/base";

import type { JsonObject } from "../api-server/patch.js";

/** A question of a Kubernetes API server (`AdmissionReview` of admission.k8s.io/v1). */
export interface AdmissionQuestion {
  readonly uid: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** "" for the object itself. */
  readonly subResource: string;
  /** "" for objects of none. */
  readonly namespace: string;
  readonly operation: "CREATE" | "UPDATE" | "DELETE" | "CONNECT";
  readonly object: JsonObject | undefined;
  readonly oldObject: JsonObject | undefined;
  readonly user: AdmissionUser;
  readonly dryRun: boolean;
}

const OPERATIONS = ["CREATE", "UPDATE", "DELETE", "CONNECT"] as const;
const MAX_GROUPS = 256;
const MAX_UID = 256;

/** Reads a question. Throws `invalid` CONTROL_BODY. */
export function readAdmissionReview(body: unknown): AdmissionQuestion {
  const review = fieldsOf(body);
  if (review["apiVersion"] !== "admission.k8s.io/v1" || review["kind"] !== "AdmissionReview")
    throw wrong("an AdmissionReview of admission.k8s.io/v1");
  const request = fieldsOf(review["request"]);
  const uid = request["uid"];
  if (typeof uid !== "string" || uid === "" || uid.length > MAX_UID) throw wrong("request.uid");
  const kind = fieldsOf(request["kind"]);
  const operation = OPERATIONS.find((one) => one === request["operation"]);
  if (operation === undefined) throw wrong(`request.operation, one of ${OPERATIONS.join(", ")}`);
  const object = objectOf(request["object"]);
  const oldObject = objectOf(request["oldObject"]);
  if (object === undefined && (operation === "CREATE" || operation === "UPDATE"))
    throw wrong("request.object");
  const user = fieldsOf(request["userInfo"]);
  const groups = Array.isArray(user["groups"]) ? user["groups"] : [];
  return {
    uid,
    group: textOf(kind["group"]),
    version: textOf(kind["version"]),
    kind: textOf(kind["kind"]),
    subResource: textOf(request["subResource"]),
    namespace: textOf(request["namespace"]),
    operation,
    object,
    oldObject,
    user: {
      username: textOf(user["username"]),
      groups: groups.filter((one) => typeof one === "string").slice(0, MAX_GROUPS),
    },
    dryRun: request["dryRun"] === true,
  };
}

function fieldsOf(value: unknown): JsonObject {
  return objectOf(value) ?? {};
}

function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function wrong(expected: string): MeshError {
  return new MeshError("invalid", "CONTROL_BODY", `expected ${expected}`);
}
