import {
  ALL_NAMESPACES,
  CONFIG_ENTRY_KINDS,
  readConfigEntry,
  writeConfigEntry,
  type AccessAction,
  type ConsulProtocol,
} from "@tulle/api";
import { MeshError, parseDuration, type Logger } from "@tulle/base";
import {
  answerWatched,
  checkConsulQuery,
  consulFailure,
  consulJson,
  consulNamespaceOf,
  type Registry,
} from "@tulle/registry";
import { discoveryChain, type ChainQuestion } from "@tulle/translate";
import { Hono, type Context } from "hono";

import { callerOf } from "../access/index.js";
import { writerOf } from "../api-server/resource-api.js";
import { readObject } from "../api-server/request-body.js";
import {
  ConfigEntries,
  storedKind,
  wantedEntry,
  type ConfigEntriesOptions,
  type EntryPlace,
} from "./config-entries.js";
import type { EntryRevisions } from "./entry-revisions.js";

export interface ConfigEntryApiOptions extends ConfigEntriesOptions {
  /** Its datacenter is this mesh's; its clock times blocking queries. */
  readonly registry: Registry;
  readonly revisions: EntryRevisions;
  readonly logger: Logger;
}

const PROTOCOLS: readonly ConsulProtocol[] = ["tcp", "http", "http2", "grpc"];

/**
 * Consul's API of configuration entries, `/v1/config`, and of the discovery chains that they make,
 * `/v1/discovery-chain`. Errors are plain text.
 */
export function createConfigEntryApi(options: ConfigEntryApiOptions): Hono {
  const { registry, revisions, logger } = options;
  const entries = new ConfigEntries(options);
  const app = new Hono();
  app.onError((thrown, c) => consulFailure(c, thrown, logger));
  app.use("/v1/*", async (c, next) => {
    checkConsulQuery(c, registry);
    await next();
  });

  app.put("/v1/config", async (c) => {
    const wanted = wantedEntry(await readObject(c.req.raw), (stated) => namespaceOf(c, stated));
    require(c, "write", wanted, wanted.name);
    return consulJson(c, await entries.put(wanted, writerOf(c), casOf(c)));
  });
  app.get("/v1/config/:kind", async (c) => {
    const place = placeOf(c, true);
    require(c, "read", place);
    return answerWatched(c, revisions.list([place.kind.kind]), registry, async () =>
      (await entries.list(place)).map(writeConfigEntry),
    );
  });
  app.get("/v1/config/:kind/:name", async (c) => {
    const place = placeOf(c);
    const name = c.req.param("name");
    require(c, "read", place, name);
    return answerWatched(c, revisions.list([place.kind.kind]), registry, async () => {
      const entry = await entries.get(place, name);
      if (entry !== undefined) return writeConfigEntry(entry);
      const what = `${JSON.stringify(c.req.param("kind"))} / ${JSON.stringify(name)}`;
      throw new MeshError("not-found", "CONSUL_CONFIG_NOT_FOUND", `Config entry not found for ${what}`);
    });
  });
  app.delete("/v1/config/:kind/:name", async (c) => {
    const place = placeOf(c);
    const name = c.req.param("name");
    require(c, "write", place, name);
    const revision = casOf(c);
    const done = await entries.delete(place, name, writerOf(c), revision);
    return consulJson(c, revision === undefined ? {} : done);
  });

  const chain = (c: Context, override?: ChainQuestion["override"]): Promise<Response> => {
    const service = c.req.param("service") ?? "";
    const namespace = namespaceOf(c);
    const object = `discovery-chain/${service}`;
    callerOf(c).require({ verb: "read", kind: "config", namespace, object });
    const { datacenter } = registry;
    const kinds = Object.keys(CONFIG_ENTRY_KINDS);
    return answerWatched(c, revisions.list(kinds), registry, () => ({
      Chain: discoveryChain(options.reader, {
        service,
        namespace,
        datacenter,
        ...(override !== undefined && { override }),
      }),
    }));
  };
  app.get("/v1/discovery-chain/:service", (c) => chain(c));
  app.post("/v1/discovery-chain/:service", async (c) => chain(c, overrideOf(await readObject(c.req.raw))));

  for (const [path, methods] of [
    ["/v1/config", "PUT"],
    ["/v1/config/:kind", "GET"],
    ["/v1/config/:kind/:name", "GET, DELETE"],
    ["/v1/discovery-chain/:service", "GET, POST"],
  ] as const) {
    app.all(path, (c) =>
      c.text(`method ${c.req.method} not allowed: use ${methods}`, 405, { allow: methods }),
    );
  }
  return app;
}

function placeOf(c: Context, many = false): EntryPlace {
  const namespace = c.req.query("ns") === "*" && many ? "*" : namespaceOf(c);
  return { kind: storedKind(c.req.param("kind") ?? ""), namespace };
}

/** `?ns=` or what the body says; both may, when they say the same. */
function namespaceOf(c: Context, stated?: string): string {
  const asked = c.req.query("ns") ?? "";
  if (stated !== undefined && asked !== "" && asked !== stated) {
    const message = `the entry's Namespace is ${JSON.stringify(stated)}, the request's ${JSON.stringify(asked)}`;
    throw new MeshError("invalid", "CONSUL_CONFIG_NAMESPACE", message);
  }
  return stated ?? consulNamespaceOf(c);
}

/** As for the object that the entry is stored in. */
function require(
  c: Context,
  verb: AccessAction["verb"],
  { kind, namespace }: EntryPlace,
  name?: string,
): void {
  const resource = `${kind.plural}.${kind.group}`;
  callerOf(c).require({
    verb,
    kind: "config",
    namespace: namespace === "*" ? ALL_NAMESPACES : namespace,
    object: name === undefined ? resource : `${resource}/${name}`,
  });
}

/** `?cas=`: the ModifyIndex that the entry must have; 0: there must be none. */
function casOf(c: Context): string | undefined {
  const cas = c.req.query("cas");
  if (cas === undefined || cas === "") return undefined;
  if (/^(?:0|[1-9]\d{0,15})$/.test(cas)) return cas;
  throw new MeshError("invalid", "CONSUL_CONFIG_CAS", "Invalid value for ?cas: must be a ModifyIndex");
}

/** What a POST for a chain says to be otherwise. */
function overrideOf(body: Record<string, unknown>): ChainQuestion["override"] {
  const { overrideProtocol: protocol, overrideConnectTimeout: timeout, ...rest } = readConfigEntry(body).spec;
  const gateway = rest["overrideMeshGateway"];
  const isNothing = gateway === undefined || JSON.stringify(gateway) === "{}";
  const unknown = Object.keys(rest).filter((name) => name !== "overrideMeshGateway");
  if (!isNothing || unknown.length > 0)
    throw wrong(
      `${[...unknown, ...(isNothing ? [] : ["OverrideMeshGateway"])].join(", ")} is not carried out`,
    );
  const known = PROTOCOLS.find((one) => one === protocol);
  if (protocol !== undefined && known === undefined)
    throw wrong(`OverrideProtocol: expected one of ${PROTOCOLS.join(", ")}`);
  const text = typeof timeout === "number" ? `${timeout / 1e6}ms` : timeout;
  if (text !== undefined && (typeof text !== "string" || parseDuration(text) === undefined))
    throw wrong('OverrideConnectTimeout: expected a duration such as "5s"');
  if (known === undefined && text === undefined) return undefined;
  return {
    ...(known !== undefined && { protocol: known }),
    ...(text !== undefined && { connectTimeout: text }),
  };
}

function wrong(message: string): MeshError {
  return new MeshError("invalid", "CONSUL_CHAIN_OVERRIDE", message);
}
