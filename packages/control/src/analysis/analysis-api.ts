import { setImmediate } from "node:timers/promises";

import { policyFindings } from "@tulle/admission";
import {
  ALL_NAMESPACES,
  apiVersionOf,
  checkMetadata,
  errorStatus,
  findKindByApiVersion,
  InvalidObjectError,
  invalidStatus,
  objectKey,
  objectText,
  SOME_NAMESPACE,
  type AnalysisAnswer,
  type Kind,
  type MeshObject,
  type Violation,
} from "@tulle/api";
import { MeshError, type Clock, type Logger } from "@tulle/base";
import { analyze, describePolicy, type MeshReader } from "@tulle/translate";
import { Hono, type Context } from "hono";

import { callerOf, userOf } from "../access/index.js";
import { readJson } from "../http/read-json.js";
import { overlay } from "./overlay-reader.js";

const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_OBJECTS = 5_000;
const MAX_HOST_LENGTH = 255;
const MAX_LABELS = 64;

export interface AnalysisApiOptions {
  readonly reader: MeshReader;
  readonly kinds: readonly Kind[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * `POST /tulle/v1/analyze`: what is doubtful in the stored configuration, with the objects of the request as if they were
 * applied. `namespace` narrows it to the objects of one, `all: false` to the request's own.
 * `GET /tulle/v1/effective-policy`: what holds for calls to a host from a namespace.
 */
export function createAnalysisApi({ reader, kinds, clock, logger }: AnalysisApiOptions): Hono {
  const app = new Hono();
  app.post("/tulle/v1/analyze", async (c) => {
    callerOf(c).require({ verb: "read", kind: "mesh", namespace: SOME_NAMESPACE });
    const { objects, namespace, all } = readRequest(await readJson(c, MAX_BODY_BYTES));
    const written = objects.map((raw) => readObject(raw, kinds, clock));
    const within = namespace !== "" && written.every(({ metadata }) => metadata.namespace === namespace);
    callerOf(c).require({ verb: "read", kind: "mesh", namespace: within ? namespace : ALL_NAMESPACES });
    const own = new Set(written.map(keyText));
    const subjects = (object: MeshObject): boolean =>
      own.has(keyText(object)) || (all && (namespace === "" || object.metadata.namespace === namespace));
    const seen = overlay(reader, written);
    const judged = kinds.flatMap((kind) => seen.objects(kind.group, kind.kind)).filter(subjects);
    const byPolicies = await policyFindings(seen, judged, userOf(callerOf(c)), setImmediate);
    const findings = [...analyze(seen, { live: true, subjects }), ...byPolicies];
    return c.json({ findings } satisfies AnalysisAnswer);
  });
  app.get("/tulle/v1/effective-policy", (c) => {
    const { host = "", namespace = "default", from = namespace } = c.req.query();
    if (host === "" || host.length > MAX_HOST_LENGTH) {
      throw new MeshError(
        "invalid",
        "CONTROL_QUERY",
        "expected ?host=<service or host>[&namespace=][&from=]",
      );
    }
    for (const asked of host.includes(".") ? [ALL_NAMESPACES] : [namespace, from])
      callerOf(c).require({ verb: "read", kind: "mesh", namespace: asked });
    // A short name is one of the namespace that is asked about, whoever calls it.
    const full = host.includes(".") ? host : `${host}.${namespace}.svc.${reader.settings.domainSuffix}`;
    return c.json(
      describePolicy(reader, full, { namespace: from, labels: labelsOf(c.req.queries("label") ?? []) }),
    );
  });
  app.onError((thrown, c) => {
    const error = MeshError.from(thrown);
    if (error.kind === "internal") logger.error("analysis failed", { error });
    return refuse(c, thrown);
  });
  return app;
}

/** `key=value` each; what is not is left out. */
function labelsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  const pairs = texts.slice(0, MAX_LABELS).flatMap((text) => {
    const at = text.indexOf("=");
    return at < 1 ? [] : [[text.slice(0, at), text.slice(at + 1)] as const];
  });
  return Object.fromEntries(pairs);
}

function keyText(object: MeshObject): string {
  const key = objectKey(object);
  return `${key.group} ${objectText(key)}`;
}

interface AnalysisRequest {
  readonly objects: readonly Readonly<Record<string, unknown>>[];
  readonly namespace: string;
  readonly all: boolean;
}

function readRequest(body: unknown): AnalysisRequest {
  const { objects = [], namespace = "", all = true } = (body ?? {}) as Partial<Record<string, unknown>>;
  const isList = Array.isArray(objects) && objects.every((one) => typeof one === "object" && one !== null);
  if (!isList || typeof namespace !== "string" || typeof all !== "boolean") {
    const expected = 'expected {"objects"?: [object], "namespace"?: string, "all"?: boolean}';
    throw new MeshError("invalid", "CONTROL_BODY", expected);
  }
  if (objects.length > MAX_OBJECTS) {
    throw new MeshError(
      "invalid",
      "CONTROL_BODY",
      `there are more than ${MAX_OBJECTS} objects: analyze in parts`,
    );
  }
  return { objects: objects as AnalysisRequest["objects"], namespace, all };
}

/** An object as it would be stored. */
function readObject(
  raw: Readonly<Record<string, unknown>>,
  kinds: readonly Kind[],
  clock: Clock,
): MeshObject {
  const { apiVersion, kind: name } = raw;
  const kind =
    typeof apiVersion === "string" && typeof name === "string"
      ? findKindByApiVersion(apiVersion, name, kinds)
      : undefined;
  if (kind === undefined) {
    throw new MeshError(
      "invalid",
      "CONTROL_BODY",
      "an object has no kind and apiVersion that are known here",
    );
  }
  const metadata = checkMetadata(kind, raw["metadata"]);
  const content = kind.check(raw);
  const violations: Violation[] = [];
  if (!metadata.ok) violations.push(...metadata.violations);
  if (!content.ok) violations.push(...content.violations);
  if (!metadata.ok || !content.ok) throw new InvalidObjectError(`a ${kind.kind} is invalid`, violations);
  const { labels, annotations, name: own, namespace } = metadata.metadata;
  return {
    apiVersion: apiVersionOf(kind.group, kind.storageVersion),
    kind: kind.kind,
    metadata: {
      name: own,
      namespace,
      uid: "",
      resourceVersion: "",
      generation: 1,
      creationTimestamp: new Date(clock.now()).toISOString(),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: content.spec,
    ...(content.extra === undefined ? {} : { extra: content.extra }),
  };
}

function refuse(c: Context, thrown: unknown): Response {
  const status =
    thrown instanceof InvalidObjectError
      ? invalidStatus({ group: "", plural: "", kind: "object", name: "" }, thrown.violations)
      : errorStatus(thrown);
  return c.json(status, status.code as 400);
}
