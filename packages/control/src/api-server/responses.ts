import {
  errorStatus,
  failureStatus,
  InvalidObjectError,
  invalidStatus,
  type StatusObject,
  type StatusSubject,
} from "@tulle/api";
import { MeshError } from "@tulle/base";

import { PolicyDenialError } from "../admission/index.js";

/** Errors of this API whose HTTP status says more than their kind's. */
const BY_CODE: ReadonlyMap<string, readonly [number, string]> = new Map([
  ["API_BODY_SIZE", [413, "RequestEntityTooLarge"]],
  ["API_MEDIA_TYPE", [415, "UnsupportedMediaType"]],
  ["API_METHOD", [405, "MethodNotAllowed"]],
  ["API_CONTINUE_GONE", [410, "Expired"]],
]);

/** The answer that an error means: the one place where errors of the resource API become HTTP. */
export function failure(thrown: unknown, subject?: StatusSubject): Response {
  if (thrown instanceof InvalidObjectError && subject !== undefined) {
    // The path of a create does not name the object.
    const name = subject.name === "" ? thrown.objectName : subject.name;
    return respond(invalidStatus({ ...subject, name }, thrown.violations));
  }
  if (thrown instanceof PolicyDenialError && subject !== undefined) {
    const name = subject.name === "" ? thrown.objectName : subject.name;
    return respond(thrown.status({ ...subject, name }));
  }
  const known = thrown instanceof MeshError ? BY_CODE.get(thrown.code) : undefined;
  if (thrown instanceof MeshError && known !== undefined) {
    return respond(failureStatus(known[0], known[1], thrown.message));
  }
  return respond(errorStatus(thrown, subject));
}

/** 404 for a path that names nothing this server has; kubectl knows the sentence. */
export function notFoundPath(): Response {
  return respond(failureStatus(404, "NotFound", "the server could not find the requested resource"));
}

export function respond(status: StatusObject): Response {
  return Response.json(status, { status: status.code });
}
