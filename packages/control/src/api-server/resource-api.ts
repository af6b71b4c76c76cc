import {
  apiVersionOf,
  deletedStatus,
  notFoundStatus,
  toWire,
  type Kind,
  type MeshObject,
  type ObjectKey,
  type StatusSubject,
} from "@tulle/api";
import { MeshError, type Clock, type Logger } from "@tulle/base";
import { Hono, type Context } from "hono";

import { callerOf, userOf } from "../access/index.js";
import type { JudgeOptions, Writer } from "../admission/index.js";
import type { ResourceStore, StoreEvent } from "../stores/resource-store.js";
import { coreVersions, groupDocument, groupList, resourceList } from "./discovery.js";
import { OPENAPI_CONTENT_TYPE, openApiDocument } from "./openapi.js";
import {
  applyConfiguration,
  jsonPatch,
  mergePatch,
  strategicMergePatch,
  type Json,
  type JsonObject,
} from "./patch.js";
import { readJson, readObject } from "./request-body.js";
import { failure, notFoundPath, respond } from "./responses.js";
import { parseResourcePath, type ResourcePath } from "./resource-path.js";
import { actionOf, requireDiscovery } from "./rights.js";
import { keyOf, Resources, type WriteTarget, type Written } from "./resources.js";
import { readSelection, type Selection } from "./selection.js";
import { tableOf, wantsTable, type IncludeObject } from "./table.js";
import { watchStream } from "./watch.js";

/** Watches open at a time; more are refused with 429. */
const MAX_WATCHES = 1000;
/** Of one answer about many objects. */
const MAX_WARNINGS = 100;
const APPLIED_BY = "tulle.dev/applied-by-";

export interface ResourceApiOptions extends JudgeOptions {
  readonly kinds: readonly Kind[];
  readonly store: ResourceStore;
  readonly clock: Clock;
  /** Tulle's version, for `/version`. */
  readonly version: string;
  /** RFC 9562 UUIDs. */
  readonly newUid: () => string;
  /** Computed `status` of an object, asked on every read; undefined: the kind's own. */
  readonly statusOf: (key: ObjectKey) => unknown;
  readonly logger: Logger;
}

export interface ResourceApi {
  /** Serves `/api`, `/apis`, `/openapi` and `/version`. */
  readonly app: Hono;
  /** The same verbs without HTTP. */
  readonly resources: Resources;
}

/** A Kubernetes-style resource API over a store: enough for kubectl, which needs no Kubernetes then. */
export async function createResourceApi(options: ResourceApiOptions): Promise<ResourceApi> {
  const { kinds } = options;
  const resources = new Resources(options);
  await resources.start();
  const openApi = openApiDocument(kinds);
  const verbs = new Verbs(options, resources);
  const app = new Hono();

  for (const path of [
    "/version",
    "/openapi/*",
    "/api",
    "/apis",
    "/apis/:group",
    "/api/:version",
    "/apis/:group/:version",
  ]) {
    app.get(path, async (c, next) => {
      requireDiscovery(c);
      await next();
    });
  }
  app.get("/version", (c) => c.json(versionDocument(options.version)));
  app.get("/openapi/v2", (c) => {
    const headers = { "content-type": OPENAPI_CONTENT_TYPE };
    return c.body(openApi.slice().buffer, 200, headers);
  });
  app.get("/api", (c) => c.json(coreVersions()));
  app.get("/apis", (c) => c.json(groupList(kinds)));
  app.get("/apis/:group", (c) => orNotFound(c, groupDocument(kinds, c.req.param("group"))));
  app.get("/api/:version", (c) => orNotFound(c, resourceList(kinds, "", c.req.param("version"))));
  app.get("/apis/:group/:version", (c) =>
    orNotFound(c, resourceList(kinds, c.req.param("group"), c.req.param("version"))),
  );
  const serve = async (c: Context): Promise<Response> => {
    const path = parseResourcePath(new URL(c.req.url).pathname, kinds);
    if (path === undefined) return notFoundPath();
    try {
      callerOf(c).require(actionOf(c.req.method, path));
      return await verbs.serve(c, path);
    } catch (thrown) {
      return fail(thrown, subjectOf(path));
    }
  };
  app.all("/api/:version/*", serve);
  app.all("/apis/:group/:version/*", serve);
  app.notFound(() => notFoundPath());
  app.onError((thrown) => fail(thrown));
  return { app, resources };

  function fail(thrown: unknown, subject?: StatusSubject): Response {
    const error = MeshError.from(thrown);
    if (error.kind === "internal") options.logger.error("resource API failed", { error });
    return failure(thrown, subject);
  }
}

function subjectOf({ kind, name = "" }: ResourcePath): StatusSubject {
  return { group: kind.group, plural: kind.plural, kind: kind.kind, name };
}

/** One HTTP request for one resource path, to one verb. */
class Verbs {
  readonly #options: ResourceApiOptions;
  readonly #resources: Resources;
  #watches = 0;

  constructor(options: ResourceApiOptions, resources: Resources) {
    this.#options = options;
    this.#resources = resources;
  }

  async serve(c: Context, path: ResourcePath): Promise<Response> {
    if (path.subresource !== undefined && !(path.subresource === "status" && c.req.method === "GET")) {
      return notFoundPath();
    }
    if (path.name === undefined) {
      switch (c.req.method) {
        case "GET":
          return isTrue(c.req.query("watch")) ? this.#watch(c, path) : this.#list(c, path);
        case "POST":
          return this.#create(c, path);
        case "DELETE":
          return this.#deleteCollection(c, path);
        default:
          return methodNotAllowed(c);
      }
    }
    switch (c.req.method) {
      case "GET":
        return this.#get(c, path, path.name);
      case "PUT":
        return this.#update(c, path, path.name);
      case "PATCH":
        return this.#patch(c, path, path.name);
      case "DELETE":
        return this.#delete(c, path, path.name);
      default:
        return methodNotAllowed(c);
    }
  }

  async #list(c: Context, path: ResourcePath): Promise<Response> {
    const selection = readSelection(path, c.req.query());
    const { objects, revision } = await this.#options.store.list(selection.selector);
    const selected = objects.filter(selection.matches);
    const limit = Math.max(0, Number(c.req.query("limit") ?? 0) || 0);
    const from = selection.offset(revision);
    const page = limit > 0 ? selected.slice(from, from + limit) : selected.slice(from);
    const left = selected.length - from - page.length;
    const metadata: JsonObject = {
      resourceVersion: String(revision),
      ...(left > 0
        ? { continue: selection.continueFrom(from + page.length, revision), remainingItemCount: left }
        : {}),
    };
    if (wantsTable(c.req.header("accept") ?? "")) return c.json(this.#table(c, path, page, metadata));
    return c.json(
      listWire(
        path,
        page.map((object) => this.#wire(path, object)),
        metadata,
      ),
    );
  }

  async #watch(c: Context, path: ResourcePath): Promise<Response> {
    if (this.#watches >= MAX_WATCHES) {
      throw new MeshError(
        "exhausted",
        "API_WATCHES",
        `over ${MAX_WATCHES} watches are open: try again later`,
      );
    }
    const selection = readSelection(path, c.req.query());
    const asTable = wantsTable(c.req.header("accept") ?? "");
    const { store } = this.#options;
    const stated = c.req.query("resourceVersion") ?? "";
    const initial = stated === "" || stated === "0" ? await store.list(selection.selector) : undefined;
    const from = initial?.revision ?? Number(stated);
    if (!Number.isSafeInteger(from))
      throw new MeshError("invalid", "API_RESOURCE_VERSION", "resourceVersion is no number");
    // Throws STORE_REVISION_GONE while the answer can still be a 410.
    store.watch(selection.selector, from, () => undefined)[Symbol.dispose]();

    let header = true;
    const wireEvent = (type: string, object: MeshObject): JsonObject => {
      const metadata = { resourceVersion: object.metadata.resourceVersion };
      const shown = asTable ? this.#table(c, path, [object], metadata, header) : this.#wire(path, object);
      header = false;
      return { type, object: shown };
    };
    this.#watches++;
    const body = watchStream({
      clock: this.#options.clock,
      signal: c.req.raw.signal,
      timeoutSeconds: Number(c.req.query("timeoutSeconds") ?? 0) || undefined,
      bookmark: isTrue(c.req.query("allowWatchBookmarks")) ? () => this.#bookmark(path) : undefined,
      onEnd: () => this.#watches--,
      start: (send) => {
        for (const object of initial?.objects ?? [])
          if (selection.matches(object)) send(wireEvent("ADDED", object));
        return store.watch(selection.selector, from, (event) => {
          const type = visibleType(event, selection);
          if (type !== undefined) send(wireEvent(type, event.object));
        });
      },
    });
    return new Response(body, {
      headers: { "content-type": "application/json", "cache-control": "no-store" },
    });
  }

  async #get(c: Context, path: ResourcePath, name: string): Promise<Response> {
    const object = await this.#resources.get(this.#key(path, name));
    if (!wantsTable(c.req.header("accept") ?? "")) return c.json(this.#wire(path, object));
    return c.json(this.#table(c, path, [object], { resourceVersion: object.metadata.resourceVersion }));
  }

  async #create(c: Context, path: ResourcePath): Promise<Response> {
    const target = this.#target(c, path);
    return this.#answer(path, await this.#resources.create(target, await readObject(c.req.raw)));
  }

  async #update(c: Context, path: ResourcePath, name: string): Promise<Response> {
    const body = await readObject(c.req.raw);
    const written = await this.#resources.modify(this.#target(c, path), name, (current) => {
      if (current === undefined) throw this.#missing(path, name);
      return body;
    });
    return this.#answer(path, written);
  }

  async #patch(c: Context, path: ResourcePath, name: string): Promise<Response> {
    const patch = await readJson(c.req.raw);
    const change = this.#change(c, path, name, patch);
    return this.#answer(path, await this.#resources.modify(this.#target(c, path), name, change));
  }

  #change(
    c: Context,
    path: ResourcePath,
    name: string,
    patch: Json,
  ): (current: JsonObject | undefined) => Json {
    const existing = (change: (current: JsonObject) => Json) => (current: JsonObject | undefined) => {
      if (current === undefined) throw this.#missing(path, name);
      return change(current);
    };
    const mediaType = (c.req.header("content-type") ?? "").split(";")[0]?.trim();
    switch (mediaType) {
      case "application/merge-patch+json":
        return existing((current) => mergePatch(current, patch));
      case "application/strategic-merge-patch+json":
        return existing((current) => strategicMergePatch(current, patch));
      case "application/json-patch+json":
        return existing((current) => jsonPatch(current, patch));
      case "application/apply-patch+yaml":
        return (current) => serverSideApply(current, patch, c.req.query("fieldManager") ?? "kubectl");
      default:
        throw new MeshError(
          "unimplemented",
          "API_MEDIA_TYPE",
          `cannot patch with ${mediaType === "" ? "no content type" : mediaType}: use application/merge-patch+json`,
        );
    }
  }

  async #delete(c: Context, path: ResourcePath, name: string): Promise<Response> {
    const options = await deleteOptions(c);
    const target = { ...this.#target(c, path), dryRun: options.dryRun };
    const { object, warnings } = await this.#resources.delete(target, name, options.resourceVersion);
    return withWarnings(respond(deletedStatus(subjectOf(path), object.metadata.uid)), warnings);
  }

  async #deleteCollection(c: Context, path: ResourcePath): Promise<Response> {
    const { dryRun } = await deleteOptions(c);
    const selection = readSelection(path, c.req.query());
    const { objects, revision } = await this.#options.store.list(selection.selector);
    const deleted: JsonObject[] = [];
    const warnings: string[] = [];
    for (const { metadata } of objects.filter(selection.matches)) {
      const target = { ...this.#target(c, path), namespace: metadata.namespace, dryRun };
      const gone = await this.#resources.delete(target, metadata.name);
      deleted.push(this.#wire(path, gone.object));
      warnings.push(...gone.warnings);
    }
    return withWarnings(
      c.json(listWire(path, deleted, { resourceVersion: String(revision) })),
      warnings.slice(0, MAX_WARNINGS),
    );
  }

  #answer(path: ResourcePath, { object, created, warnings }: Written): Response {
    return withWarnings(Response.json(this.#wire(path, object), { status: created ? 201 : 200 }), warnings);
  }

  #table(
    c: Context,
    path: ResourcePath,
    objects: readonly MeshObject[],
    metadata: JsonObject,
    header = true,
  ): JsonObject {
    const asked = c.req.query("includeObject");
    const include: IncludeObject = asked === "None" || asked === "Object" ? asked : "Metadata";
    const toRow = (object: MeshObject): JsonObject => this.#wire(path, object);
    return tableOf(path.kind, objects, metadata, {
      now: this.#options.clock.now(),
      include,
      toWire: toRow,
      header,
    });
  }

  #wire(path: ResourcePath, object: MeshObject): JsonObject {
    const status = this.#options.statusOf(keyOf(path.kind, object.metadata)) ?? path.kind.defaultStatus;
    return toWire(path.kind, object, path.version, status) as unknown as JsonObject;
  }

  #bookmark(path: ResourcePath): JsonObject {
    const { kind, version } = path;
    return {
      kind: kind.kind,
      apiVersion: apiVersionOf(kind.group, version),
      metadata: { resourceVersion: String(this.#options.store.revision()) },
    };
  }

  #key(path: ResourcePath, name: string): ObjectKey {
    return { group: path.kind.group, kind: path.kind.kind, namespace: path.namespace ?? "", name };
  }

  #target(c: Context, path: ResourcePath): WriteTarget {
    const namespace = path.kind.scope === "Cluster" ? "" : (path.namespace ?? "default");
    const dryRun = c.req.query("dryRun") === "All";
    return { kind: path.kind, version: path.version, namespace, dryRun, writer: writerOf(c) };
  }

  #missing(path: ResourcePath, name: string): MeshError {
    const message = notFoundStatus({ ...subjectOf(path), name }).message ?? "";
    return new MeshError("not-found", "API_NOT_FOUND", message);
  }
}

/** Who writes by a request. */
export function writerOf(c: Context): Writer {
  const caller = callerOf(c);
  return { user: userOf(caller), note: (text) => caller.note(text) };
}

/** RFC 9111's warning header, in the form that kubectl prints: code 299, no agent, quoted text. */
function withWarnings(response: Response, warnings: readonly string[]): Response {
  for (const warning of warnings) response.headers.append("warning", `299 - ${quoted(warning)}`);
  return response;
}

/** How an event looks through a selector: an object that begins or ceases to match is added or deleted. */
function visibleType(event: StoreEvent, selection: Selection): string | undefined {
  const matches = selection.matches(event.object);
  if (selection.matchesAll) return event.type.toUpperCase();
  if (event.type === "deleted") return matches ? "DELETED" : undefined;
  // The object before is not at hand: one that no longer matches is told as deleted, which a client that never saw it ignores.
  return matches ? event.type.toUpperCase() : event.type === "modified" ? "DELETED" : undefined;
}

/** What `manager` applied last is kept in an annotation, so that what it no longer applies can be removed. */
function serverSideApply(current: JsonObject | undefined, applied: Json, manager: string): Json {
  const annotation = `${APPLIED_BY}${manager.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 40)}`;
  const before = annotationOf(current, annotation);
  const merged = applyConfiguration(current ?? {}, before, applied);
  return mergePatch(merged, { metadata: { annotations: { [annotation]: JSON.stringify(applied) } } });
}

function annotationOf(object: JsonObject | undefined, name: string): Json | undefined {
  const metadata = object?.["metadata"] as JsonObject | undefined;
  const annotations = metadata?.["annotations"] as JsonObject | undefined;
  const text = annotations !== undefined && Object.hasOwn(annotations, name) ? annotations[name] : undefined;
  try {
    return typeof text === "string" ? (JSON.parse(text) as Json) : undefined;
  } catch {
    return undefined;
  }
}

async function deleteOptions(
  c: Context,
): Promise<{ readonly dryRun: boolean; readonly resourceVersion?: string }> {
  const hasBody =
    Number(c.req.header("content-length") ?? 0) > 0 || c.req.header("transfer-encoding") !== undefined;
  const body = hasBody ? await readObject(c.req.raw) : {};
  const preconditions = (body["preconditions"] ?? {}) as JsonObject;
  const resourceVersion = preconditions["resourceVersion"];
  const inBody = Array.isArray(body["dryRun"]) && body["dryRun"].includes("All");
  const dryRun = inBody || c.req.query("dryRun") === "All";
  return typeof resourceVersion === "string" ? { dryRun, resourceVersion } : { dryRun };
}

function listWire(path: ResourcePath, items: readonly JsonObject[], metadata: JsonObject): JsonObject {
  const { kind, version } = path;
  return { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind.group, version), metadata, items };
}

function orNotFound(c: Context, document: object | undefined): Response {
  return document === undefined ? notFoundPath() : c.json(document);
}

function methodNotAllowed(c: Context): Response {
  const error = new MeshError("unimplemented", "API_METHOD", `${c.req.method} is not supported here`);
  return failure(error);
}

function versionDocument(version: string): object {
  // kubectl warns when the minor version differs much from its own; Tulle follows no Kubernetes release.
  return { major: "1", minor: "32", gitVersion: `v1.32.0+tulle-${version}`, platform: "tulle" };
}

function isTrue(value: string | undefined): boolean {
  return value === "true" || value === "1";
}

function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- a header field holds no control characters
  return `"${text.replace(/[\u0000-\u001f\u007f-\uffff]/g, " ").replace(/["\\]/g, "\\$&")}"`;
}
