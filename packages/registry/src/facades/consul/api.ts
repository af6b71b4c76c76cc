import type { Logger } from "@tulle/base";
import { Hono } from "hono";
import type { Registry } from "../../registry.js";
import { agentRoutes } from "./agent-routes.js";
import { catalogRoutes } from "./catalog-routes.js";
import { healthRoutes } from "./health-routes.js";
import { checkCommon } from "./query.js";
import { failure } from "./respond.js";
import { methodsHandler } from "./route-table.js";

export interface ConsulApiOptions {
  readonly logger: Logger;
  /** Version that `/v1/agent/self` shows; default `0.0.0`. */
  readonly version?: string;
}

/**
 * Consul's HTTP API v1 over a registry: agent, catalog, health and status, as Consul's clients expect them. Paths
 * begin with `/v1/`. Errors are plain text. Blocking queries hold their request until something changes.
 *
 * Nothing here asks who the caller is: whoever can connect can register. Tokens are accepted and ignored.
 */
export function createConsulApi(registry: Registry, { logger, version = "0.0.0" }: ConsulApiOptions): Hono {
  const app = new Hono();
  app.onError((thrown, context) => failure(context, thrown, logger));
  app.notFound((context) => context.text(`no such endpoint: ${context.req.path}`, 404));
  app.use("/v1/*", async (context, next) => {
    checkCommon(context, registry);
    await next();
  });
  for (const table of [agentRoutes(registry, version), catalogRoutes(registry), healthRoutes(registry)]) {
    for (const [path, methods] of Object.entries(table)) app.all(path, methodsHandler(methods));
  }
  return app;
}
