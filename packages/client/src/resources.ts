import { apiVersionOf, type Kind, type WireObject } from "@tulle/api";
import { MeshError } from "@tulle/base";
import { declare, lastDeclared } from "./declaration.js";
import { isObject, threeWayMerge, type JsonObject } from "./three-way-merge.js";
import type { Answer, Transport } from "./transport.js";
import { watchEvents, type WatchEvent } from "./watch.js";

/** Objects asked for at a time; a longer list is read in several calls. */
const PAGE = 500;
const MAX_PAGES = 1000;
/** Shorter than the host's limit for a body that says nothing. */
const WATCH_QUERY = { watch: "true", allowWatchBookmarks: "true", timeoutSeconds: "240" };
const MIN_WATCH_MS = 1000;

/** Names one object of a kind. */
export interface ObjectRef {
  /** Ignored for cluster-scoped kinds. Default `default`. */
  readonly namespace?: string;
  readonly name: string;
}

export interface ListOptions {
  /** Absent: of all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ObjectList {
  readonly items: readonly WireObject[];
  /** Watching from here misses nothing. */
  readonly resourceVersion: string;
}

export interface WriteOptions {
  /** Everything is checked, nothing is stored. Default false. */
  readonly dryRun?: boolean;
}

export interface Written {
  readonly object: WireObject;
  readonly warnings: readonly string[];
}

export interface Applied extends Written {
  readonly outcome: "created" | "configured" | "unchanged";
}

export interface ApplyOptions extends WriteOptions {
  /** Namespace of objects that name none; default `default`. */
  readonly namespace?: string;
}

export interface WatchOptions extends ListOptions {
  /** From this revision on; absent: all that is there, as `ADDED`, then what changes. */
  readonly resourceVersion?: string;
  readonly signal: AbortSignal;
}

/** The resource API, for every kind alike. Objects come in the kind's preferred version. */
export class ResourceClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** `not-found` API_NOT_FOUND when there is none. */
  async get(kind: Kind, ref: ObjectRef): Promise<WireObject> {
    return asObject(await this.#transport.call({ method: "GET", path: objectPath(kind, ref) }));
  }

  async list(kind: Kind, options: ListOptions = {}): Promise<ObjectList> {
    const items: WireObject[] = [];
    let next: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const { body } = await this.#transport.call({
        method: "GET",
        path: collectionPath(kind, options.namespace),
        query: { ...selectors(options), limit: String(PAGE), continue: next },
      });
      const { items: found, metadata } = readList(body);
      // Items of a list have no type of their own: it is the list's.
      for (const item of found) items.push({ ...item, apiVersion: preferredVersion(kind), kind: kind.kind });
      next =
        typeof metadata["continue"] === "string" && metadata["continue"] !== ""
          ? metadata["continue"]
          : undefined;
      if (next === undefined) {
        const revision = metadata["resourceVersion"];
        return { items, resourceVersion: typeof revision === "string" ? revision : "" };
      }
    }
    throw new MeshError(
      "exhausted",
      "CLIENT_LIST_TOO_LONG",
      `there are more than ${PAGE * MAX_PAGES} objects`,
    );
  }

  /** `already-exists` API_ALREADY_EXISTS when the name is taken. */
  async create(kind: Kind, object: JsonObject, options: ApplyOptions = {}): Promise<Written> {
    const namespace = namespaceOf(kind, object, options.namespace);
    const answer = await this.#transport.call({
      method: "POST",
      path: collectionPath(kind, namespace),
      query: writeQuery(options),
      body: { ...object, apiVersion: preferredVersion(kind), kind: kind.kind },
    });
    return { object: asObject(answer), warnings: answer.warnings };
  }

  /** Replaces an object; `conflict` API_CONFLICT when its `metadata.resourceVersion` is not the newest. */
  async replace(
    kind: Kind,
    ref: ObjectRef,
    object: JsonObject,
    options: WriteOptions = {},
  ): Promise<Written> {
    const answer = await this.#transport.call({
      method: "PUT",
      path: objectPath(kind, ref),
      query: writeQuery(options),
      body: { ...object, apiVersion: preferredVersion(kind), kind: kind.kind },
    });
    return { object: asObject(answer), warnings: answer.warnings };
  }

  /** Changes an object by a JSON merge patch (RFC 7386). */
  async patch(kind: Kind, ref: ObjectRef, patch: JsonObject, options: WriteOptions = {}): Promise<Written> {
    const answer = await this.#transport.call({
      method: "PATCH",
      path: objectPath(kind, ref),
      query: writeQuery(options),
      body: patch,
      contentType: "application/merge-patch+json",
    });
    return { object: asObject(answer), warnings: answer.warnings };
  }

  async delete(kind: Kind, ref: ObjectRef, options: WriteOptions = {}): Promise<void> {
    await this.#transport.call({
      method: "DELETE",
      path: objectPath(kind, ref),
      query: writeQuery(options),
      body: { propagationPolicy: "Background" },
    });
  }

  /**
   * Makes the object be as declared, like `kubectl apply` and together with it (both keep the same annotation):
   * creates it, or changes what differs, leaving alone fields that the user never declared.
   */
  async apply(kind: Kind, object: JsonObject, options: ApplyOptions = {}): Promise<Applied> {
    const namespace = namespaceOf(kind, object, options.namespace);
    const declared = declare(kind, object, preferredVersion(kind), namespace);
    const name = declared.object.metadata["name"];
    if (typeof name !== "string" || name === "") {
      throw new MeshError(
        "invalid",
        "CLIENT_NO_NAME",
        "metadata.name is required: apply names the object it changes",
      );
    }
    const ref = { namespace, name };
    for (let attempt = 0; ; attempt++) {
      const current = await this.#find(kind, ref);
      try {
        const applied =
          current === undefined
            ? ({ ...(await this.create(kind, declared.object, options)), outcome: "created" } as const)
            : await this.#change(kind, ref, current, declared.object, options);
        return { ...applied, warnings: [...declared.warnings, ...applied.warnings] };
      } catch (thrown) {
        // Somebody created or deleted it since we looked.
        const raced = thrown instanceof MeshError && ["already-exists", "not-found"].includes(thrown.kind);
        const retry = raced && attempt < 2 && (current !== undefined || thrown.kind === "already-exists");
        if (!retry) throw thrown;
      }
    }
  }

  /**
   * What happens to a kind's objects, until `signal` aborts. Watches that the server ends are continued where they
   * were. `exhausted` API_EXPIRED when that is too long ago: list again.
   */
  async *watch(kind: Kind, options: WatchOptions): AsyncGenerator<WatchEvent, void, undefined> {
    let revision = options.resourceVersion;
    if (revision === undefined) {
      const list = await this.list(kind, options);
      for (const object of list.items) yield { type: "ADDED", object };
      revision = list.resourceVersion;
    }
    const path = collectionPath(kind, options.namespace);
    while (!options.signal.aborted) {
      const query = { ...selectors(options), ...WATCH_QUERY, resourceVersion: revision };
      const startedAt = this.#transport.clock.monotonic();
      let quiet = true;
      const body = this.#transport.stream({ method: "GET", path, query }, options.signal);
      for await (const event of watchEvents(body, options.signal)) {
        quiet = false;
        revision = event.object.metadata.resourceVersion;
        if (event.type !== "BOOKMARK") yield event;
      }
      // A server that ends every watch at once would be asked without end.
      const hasty = quiet && this.#transport.clock.monotonic() - startedAt < MIN_WATCH_MS;
      if (hasty && !options.signal.aborted) {
        throw new MeshError(
          "unavailable",
          "CLIENT_DISCONNECTED",
          "the control plane ended the watch at once; try again",
        );
      }
    }
  }

  async #change(
    kind: Kind,
    ref: ObjectRef,
    current: WireObject,
    declared: JsonObject,
    options: WriteOptions,
  ): Promise<Applied> {
    const patch = threeWayMerge(lastDeclared(current), declared, current);
    if (patch === undefined) return { outcome: "unchanged", object: current, warnings: [] };
    const written = await this.patch(kind, ref, patch, options);
    const same = written.object.metadata.resourceVersion === current.metadata.resourceVersion;
    return { ...written, outcome: same && options.dryRun !== true ? "unchanged" : "configured" };
  }

  async #find(kind: Kind, ref: ObjectRef): Promise<WireObject | undefined> {
    try {
      return await this.get(kind, ref);
    } catch (thrown) {
      if (thrown instanceof MeshError && thrown.kind === "not-found") return undefined;
      throw thrown;
    }
  }
}

function preferredVersion(kind: Kind): string {
  return apiVersionOf(kind.group, kind.versions[0] ?? kind.storageVersion);
}

function collectionPath(kind: Kind, namespace: string | undefined): string {
  const root = kind.group === "" ? "/api" : "/apis";
  const scope =
    kind.scope === "Cluster" || namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}/${preferredVersion(kind)}${scope}/${kind.plural}`;
}

function objectPath(kind: Kind, ref: ObjectRef): string {
  return `${collectionPath(kind, ref.namespace ?? "default")}/${encodeURIComponent(ref.name)}`;
}

function namespaceOf(kind: Kind, object: JsonObject, whenAbsent = "default"): string {
  if (kind.scope === "Cluster") return "";
  const metadata = object["metadata"];
  const own = isObject(metadata) ? metadata["namespace"] : undefined;
  return typeof own === "string" && own !== "" ? own : whenAbsent;
}

function selectors(options: ListOptions): Record<string, string | undefined> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}

function writeQuery(options: WriteOptions): Record<string, string | undefined> {
  return { fieldManager: "tulle", dryRun: options.dryRun === true ? "All" : undefined };
}

function asObject({ body }: Answer): WireObject {
  if (isObject(body) && isObject(body["metadata"])) return body as unknown as WireObject;
  throw notOurs();
}

function readList(body: unknown): { readonly items: readonly WireObject[]; readonly metadata: JsonObject } {
  if (!isObject(body) || !Array.isArray(body["items"]) || !isObject(body["metadata"])) throw notOurs();
  return { items: body["items"] as readonly WireObject[], metadata: body["metadata"] };
}

function notOurs(): MeshError {
  const message = "the answer is not one of a Tulle control plane; check the server's address";
  return new MeshError("internal", "CLIENT_UNEXPECTED_ANSWER", message, { source: "control" });
}
