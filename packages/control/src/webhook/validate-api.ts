import {
  ALL_NAMESPACES,
  ANALYSIS_CODES,
  errorStatus,
  findKind,
  InvalidObjectError,
  invalidStatus,
  objectKey,
  objectText,
  SOME_NAMESPACE,
  type Kind,
  type MeshObject,
  type StatusObject,
  type StatusSubject,
} from "@tulle/api";
import { MeshError, type Logger } from "@tulle/base";
import { analyze, type MeshReader } from "@tulle/translate";
import { Hono } from "hono";

import { callerOf } from "../access/index.js";
import { Judge, PolicyDenialError, type JudgeOptions } from "../admission/index.js";
import { overlay } from "../analysis/index.js";
import { checkObject } from "../api-server/check-object.js";
import type { JsonObject } from "../api-server/patch.js";
import { readJson } from "../http/read-json.js";
import { readAdmissionReview, type AdmissionQuestion } from "./admission-review.js";

/** An object and the one before it, each as large as Kubernetes takes them. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Kubernetes cuts what is beyond. */
const MAX_WARNINGS = 20;

export interface ValidateApiOptions extends JudgeOptions {
  readonly kinds: readonly Kind[];
  /** What is stored and registered here, which objects are looked at beside. */
  readonly reader: MeshReader;
  readonly logger: Logger;
}

/** What an object is answered with. */
interface Answer {
  /** Undefined: it may be stored. */
  readonly refusal?: StatusObject;
  readonly warnings: readonly string[];
}

/**
 * `POST /validate`: a validating admission webhook. It says whether an object is sound, as if it was to be written here, and stores
 * nothing.
 */
export function createValidateApi(options: ValidateApiOptions): Hono {
  const { logger } = options;
  const judge = new Judge(options);
  const app = new Hono();
  app.post("/validate", async (c) => {
    callerOf(c).require({ verb: "read", kind: "mesh", namespace: SOME_NAMESPACE });
    const question = readAdmissionReview(await readJson(c, MAX_BODY_BYTES));
    // The answer names what other objects claim.
    const namespace = question.namespace === "" ? ALL_NAMESPACES : question.namespace;
    callerOf(c).require({ verb: "read", kind: "mesh", namespace });
    const { refusal, warnings } = await answerTo(question, judge, options);
    return c.json({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: {
        uid: question.uid,
        allowed: refusal === undefined,
        ...(refusal === undefined ? {} : { status: refusal }),
        ...(warnings.length === 0 ? {} : { warnings: warnings.slice(0, MAX_WARNINGS) }),
      },
    });
  });
  app.onError((thrown, c) => {
    const error = MeshError.from(thrown);
    if (error.kind === "internal") logger.error("an object could not be validated", { error });
    const status = errorStatus(thrown);
    return c.json(status, status.code as 400);
  });
  return app;
}

async function answerTo(
  question: AdmissionQuestion,
  judge: Judge,
  { kinds, reader }: ValidateApiOptions,
): Promise<Answer> {
  const { group, version, operation, dryRun, user } = question;
  const kind = findKind(group, question.kind, kinds);
  if (kind === undefined || !kind.versions.includes(version)) {
    const name = `${question.kind} of ${group === "" ? version : `${group}/${version}`}`;
    return { warnings: [`Tulle does not know ${name}: nothing was checked`] };
  }
  // Of the status nobody here is asked, and nobody connects to what Tulle stores.
  if (question.subResource !== "" || operation === "CONNECT") return { warnings: [] };
  const warnings: string[] = [];
  const subject: StatusSubject = { group, plural: kind.plural, kind: kind.kind, name: nameOf(question) };
  const write = { kind, version, dryRun, writer: { user, note: () => undefined } };
  try {
    const before = question.oldObject === undefined ? undefined : stored(kind, question, question.oldObject);
    if (operation === "DELETE") {
      // Something that cannot be read may go.
      if (before !== undefined && "object" in before)
        warnings.push(...(await judge.review(write, undefined, before.object)));
      return { warnings };
    }
    const now = stored(kind, question, question.object!);
    if ("error" in now) throw now.error;
    warnings.push(...now.warnings);
    const current = before !== undefined && "object" in before ? before.object : undefined;
    warnings.push(...(await judge.write(write, now.object, current)));
    warnings.push(...doubtsAbout(now.object, reader));
    return { warnings };
  } catch (thrown) {
    const refusal = refusalOf(thrown, subject);
    if (refusal === undefined) throw thrown;
    return { refusal, warnings };
  }
}

type Stored =
  | { readonly object: MeshObject; readonly warnings: readonly string[] }
  | { readonly error: InvalidObjectError };

function stored(kind: Kind, { version, namespace }: AdmissionQuestion, raw: JsonObject): Stored {
  try {
    return checkObject({ kind, version, namespace }, raw);
  } catch (thrown) {
    if (thrown instanceof InvalidObjectError) return { error: thrown };
    throw thrown;
  }
}

function refusalOf(thrown: unknown, subject: StatusSubject): StatusObject | undefined {
  if (thrown instanceof PolicyDenialError) return thrown.status(subject);
  if (thrown instanceof InvalidObjectError) return invalidStatus(subject, thrown.violations);
  return undefined;
}

/** What analysis finds in the object beside what is here, for the writer to read. */
function doubtsAbout(object: MeshObject, reader: MeshReader): readonly string[] {
  const key = objectKey(object);
  const own = `${key.group} ${objectText(key)}`;
  const found = analyze(overlay(reader, [object]), {
    live: true,
    subjects: (one) => `${objectKey(one).group} ${objectText(objectKey(one))}` === own,
  });
  return found.map(
    ({ code, path, message }) =>
      `${code} (${ANALYSIS_CODES[code].name})${path === "" ? "" : ` ${path}`}: ${message}`,
  );
}

function nameOf({ object, oldObject }: AdmissionQuestion): string {
  const metadata = (object ?? oldObject)?.["metadata"];
  const name =
    typeof metadata === "object" && metadata !== null ? (metadata as JsonObject)["name"] : undefined;
  return typeof name === "string" ? name : "";
}
