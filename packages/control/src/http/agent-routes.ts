import { SOME_NAMESPACE, type AccessVerb, type ExplainRequest } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { Context, Hono } from "hono";

import { callerOf } from "../access/index.js";
import type { AgentQueries } from "../agents/index.js";
import { readJson } from "./read-json.js";

/** What is asked of running proxies: `explain`, `why`, and what they say of themselves. */
export function addAgentRoutes(app: Hono, queries: AgentQueries): void {
  app.post("/tulle/v1/explain", async (c) => {
    const visible = visibleTo(c, queries, "read");
    const request = readExplain(await readJson(c));
    callerOf(c).require({ verb: "read", kind: "proxy", namespace: request.namespace ?? "default" });
    return c.json(await visible.explain(request));
  });
  app.get("/tulle/v1/why/:id{.+}", async (c) =>
    c.json(await visibleTo(c, queries, "read").why(c.req.param("id"))),
  );
  app.get("/tulle/v1/traffic", async (c) => c.json(await visibleTo(c, queries, "read").traffic("read")));
  app.put("/tulle/v1/traffic", async (c) => {
    const visible = visibleTo(c, queries, "write", "traffic");
    const { observe } = ((await readJson(c)) ?? {}) as { readonly observe?: unknown };
    if (typeof observe !== "boolean") throw badBody('expected {"observe": boolean}');
    return c.json(await visible.traffic(observe ? "start" : "stop"));
  });
  app.get("/tulle/v1/proxies/:proxy/load", async (c) => {
    const cluster = c.req.query("cluster") ?? "";
    const visible = visibleTo(c, queries, "read");
    return c.json((await visible.ask(c.req.param("proxy"), { kind: "load", cluster })) as object);
  });
  app.get("/tulle/v1/proxies/:proxy/clusters", async (c) => {
    const visible = visibleTo(c, queries, "read");
    return c.json((await visible.ask(c.req.param("proxy"), { kind: "clusters" })) as object);
  });
  app.get("/tulle/v1/proxies/:proxy/log-level", async (c) => {
    const visible = visibleTo(c, queries, "read");
    return c.json((await visible.ask(c.req.param("proxy"), { kind: "log-level", level: "" })) as object);
  });
  app.put("/tulle/v1/proxies/:proxy/log-level", async (c) => {
    const visible = visibleTo(c, queries, "write", `proxy/${c.req.param("proxy")}`);
    const { level } = ((await readJson(c)) ?? {}) as { readonly level?: unknown };
    if (typeof level !== "string" || level === "") throw badBody('expected {"level": string}');
    return c.json((await visible.ask(c.req.param("proxy"), { kind: "log-level", level })) as object);
  });
}

/** Questions to the proxies of those namespaces that the caller may read, or write: to it there are no others. */
function visibleTo(c: Context, queries: AgentQueries, verb: AccessVerb, object = ""): AgentQueries {
  const caller = callerOf(c);
  const about = object === "" ? {} : { object };
  caller.require({ verb, kind: "proxy", namespace: SOME_NAMESPACE, ...about });
  return queries.limitedTo((namespace) => caller.may({ verb, kind: "proxy", namespace }));
}

function readExplain(body: unknown): ExplainRequest {
  const {
    from,
    namespace,
    method,
    url,
    headers = [],
    requestId,
  } = (body ?? {}) as Partial<Record<string, unknown>>;
  const wrong =
    typeof from !== "string" ||
    typeof method !== "string" ||
    typeof url !== "string" ||
    !Array.isArray(headers) ||
    !headers.every((line): line is string => typeof line === "string") ||
    !isOptionalText(namespace) ||
    !isOptionalText(requestId);
  if (wrong)
    throw badBody(
      'expected {"from": string, "method": string, "url": string, "namespace"?: string, "headers"?: ["name: value"], "requestId"?: string}',
    );
  return {
    from,
    method,
    url,
    headers,
    ...(namespace === undefined ? {} : { namespace }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

function badBody(message: string): MeshError {
  return new MeshError("invalid", "CONTROL_BODY", message);
}
