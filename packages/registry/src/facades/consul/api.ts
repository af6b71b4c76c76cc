import { Caller, LOCAL_SUBJECT } from "@tulle/api";
import type { Logger } from "@tulle/base";
import { Hono } from "hono";
import type { Registry } from "../../registry.js";
import { agentRoutes } from "./agent-routes.js";
import { catalogRoutes } from "./catalog-routes.js";
import { healthRoutes } from "./health-routes.js";
import { checkCommon } from "./query.js";
import { failure } from "./respond.js";
import type { ConsulEnv } from "./rights.js";
import { methodsHandler } from "./route-table.js";

export interface ConsulApiOptions {
  readonly logger: Logger;
  /** Version that `/v1/agent/self` shows; default `0.0.0`. */
  readonly version?: string;
  /** Whoever can connect may do everything. Default: only callers of the environment are answered, as they may. */
  readonly openToAll?: boolean;
}

/**
 * Consul's HTTP API v1 over a registry: agent, catalog, health and status, as Consul's clients expect them. Paths
 * begin with `/v1/`. Errors are plain text. Blocking queries hold their request until something changes.
 *
 * Who calls is found out before: `caller` of the environment says what it may (`rights.ts`).
 */
export function createConsulApi(registry: Registry, options: ConsulApiOptions): Hono<ConsulEnv> {
  const { logger, version = "0.0.0", openToAll = false } = options;
  const app = new Hono<ConsulEnv>();
  app.onError((thrown, context) => failure(context, thrown, logger));
  app.notFound((context) => context.text(`no such endpoint: ${context.req.path}`, 404));
  app.use("/v1/*", async (context, next) => {
    if (openToAll) context.env = { caller: new Caller(LOCAL_SUBJECT) };
    checkCommon(context, registry);
    await next();
  });
  for (const table of [agentRoutes(registry, version), catalogRoutes(registry), healthRoutes(registry)]) {
    for (const [path, methods] of Object.entries(table)) app.all(path, methodsHandler(methods));
  }
  return app;
}
