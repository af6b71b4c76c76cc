import { errorStatus, type MeshInfo, type MeshStatus } from "@tulle/api";
import { MeshError, type Logger } from "@tulle/base";
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";

import type { AgentQueries } from "../agents/index.js";
import type { RootRollover } from "../ca/index.js";
import type { JoinTokenRequest, JoinTokens } from "../ca/join-tokens.js";
import type { EndpointReports } from "../endpoints/index.js";
import { addAgentRoutes } from "./agent-routes.js";
import { readJson } from "./read-json.js";

export interface TulleApiOptions {
  readonly info: () => MeshInfo;
  readonly status: () => MeshStatus;
  readonly joinTokens: JoinTokens;
  readonly rollover: Pick<RootRollover, "rotate">;
  readonly queries: AgentQueries;
  readonly endpoints: Pick<EndpointReports, "report">;
  readonly logger: Logger;
}

/**
 * Tulle's own HTTP API, below `/tulle/v1`: what a workload needs to find its way and to join, and what `tulle status`
 * shows, and what running proxies are asked. On loopback anybody may mint a join token: local users are trusted in development mode.
 */
export function createTulleApi(options: TulleApiOptions): Hono {
  const { info, status, joinTokens, rollover, queries, endpoints, logger } = options;
  const app = new Hono();
  // Of this API alone: others are routed behind it.
  app.use("/tulle/v1/*", bodyLimit({ maxSize: 64 * 1024, onError: (c) => refuse(c, tooLarge()) }));
  app.get("/tulle/v1/info", (c) => c.json(info()));
  app.get("/tulle/v1/status", (c) => c.json(status()));
  app.post("/tulle/v1/join-tokens", async (c) => {
    const token = await joinTokens.mint(readJoinTokenRequest(await readJson(c)));
    return c.json(token, 201);
  });
  app.post("/tulle/v1/ca/rotate", async (c) => {
    await rollover.rotate();
    return c.json(status().authority, 202);
  });
  app.get("/tulle/v1/endpoints", async (c) => {
    const service = c.req.query("service") ?? "";
    const namespace = c.req.query("namespace") ?? (service === "" ? "" : "default");
    return c.json(await endpoints.report({ service, namespace, proxy: c.req.query("proxy") ?? "" }));
  });
  addAgentRoutes(app, queries);
  app.onError((thrown, c) => {
    const error = MeshError.from(thrown);
    if (error.kind === "internal") logger.error("the control plane's API failed", { error });
    return refuse(c, thrown);
  });
  return app;
}

function readJoinTokenRequest(body: unknown): JoinTokenRequest {
  const { namespace, serviceAccount, ttlSeconds } = (body ?? {}) as Partial<Record<string, unknown>>;
  const wrongTtl = ttlSeconds !== undefined && typeof ttlSeconds !== "number";
  if (typeof namespace !== "string" || typeof serviceAccount !== "string" || wrongTtl) {
    throw new MeshError(
      "invalid",
      "CONTROL_BODY",
      'expected {"namespace": string, "serviceAccount": string, "ttlSeconds"?: number}',
    );
  }
  return { namespace, serviceAccount, ...(typeof ttlSeconds === "number" ? { ttlSeconds } : {}) };
}

function refuse(c: Context, thrown: unknown): Response {
  const status = errorStatus(thrown);
  return c.json(status, status.code as 400);
}

function tooLarge(): MeshError {
  return new MeshError("invalid", "CONTROL_BODY_SIZE", "the body is over 64 KiB");
}
