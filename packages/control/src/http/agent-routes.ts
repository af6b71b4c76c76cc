import type { ExplainRequest } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { Hono } from "hono";

import type { AgentQueries } from "../agents/index.js";
import { readJson } from "./read-json.js";

/** What is asked of running proxies: `explain`, `why`, and what they say of themselves. */
export function addAgentRoutes(app: Hono, queries: AgentQueries): void {
  app.post("/tulle/v1/explain", async (c) => c.json(await queries.explain(readExplain(await readJson(c)))));
  app.get("/tulle/v1/why/:id{.+}", async (c) => c.json(await queries.why(c.req.param("id"))));
  app.get("/tulle/v1/proxies/:proxy/load", async (c) => {
    const cluster = c.req.query("cluster") ?? "";
    return c.json((await queries.ask(c.req.param("proxy"), { kind: "load", cluster })) as object);
  });
  app.get("/tulle/v1/proxies/:proxy/clusters", async (c) =>
    c.json((await queries.ask(c.req.param("proxy"), { kind: "clusters" })) as object),
  );
  app.get("/tulle/v1/proxies/:proxy/log-level", async (c) =>
    c.json((await queries.ask(c.req.param("proxy"), { kind: "log-level", level: "" })) as object),
  );
  app.put("/tulle/v1/proxies/:proxy/log-level", async (c) => {
    const { level } = ((await readJson(c)) ?? {}) as { readonly level?: unknown };
    if (typeof level !== "string" || level === "") throw badBody('expected {"level": string}');
    return c.json((await queries.ask(c.req.param("proxy"), { kind: "log-level", level })) as object);
  });
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
