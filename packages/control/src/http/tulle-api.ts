import {
  ALL_NAMESPACES,
  errorStatus,
  InvalidObjectError,
  invalidStatus,
  type MeshInfo,
  type MeshStatus,
} from "@tulle/api";
import { MeshError, PROMETHEUS_CONTENT_TYPE, type Logger } from "@tulle/base";
import { Hono, type Context } from "hono";

import { callerOf, type AccessTokens } from "../access/index.js";
import type { AgentQueries } from "../agents/index.js";
import type { Revocation, RootRollover } from "../ca/index.js";
import type { JoinTokenRequest, JoinTokens } from "../ca/join-tokens.js";
import type { EndpointReports } from "../endpoints/index.js";
import { addAccessRoutes } from "./access-routes.js";
import { addAgentRoutes } from "./agent-routes.js";
import { readJson } from "./read-json.js";

export interface TulleApiOptions {
  /** `host`: the one that the caller reached us by, with its port. */
  readonly info: (host: string) => MeshInfo;
  readonly status: () => MeshStatus;
  /** In Prometheus' text format. */
  readonly metrics: () => string;
  readonly joinTokens: JoinTokens;
  readonly rollover: Pick<RootRollover, "rotate">;
  readonly revocation: Pick<Revocation, "revoke">;
  readonly accessTokens: AccessTokens;
  readonly queries: AgentQueries;
  readonly endpoints: Pick<EndpointReports, "report">;
  readonly logger: Logger;
}

/**
 * Tulle's own HTTP API, below `/tulle/v1`, and `/metrics`: what a workload needs to find its way and to join, and what `tulle status`
 * shows, and what running proxies are asked. Where nobody logs in, anybody of this machine may mint a join token.
 */
export function createTulleApi(options: TulleApiOptions): Hono {
  const {
    info,
    status,
    metrics,
    joinTokens,
    rollover,
    revocation,
    accessTokens,
    queries,
    endpoints,
    logger,
  } = options;
  const app = new Hono();
  app.get("/tulle/v1/info", (c) => {
    callerOf(c).require({ verb: "read", kind: "discovery", namespace: ALL_NAMESPACES });
    return c.json(info(c.req.header("host") ?? ""));
  });
  app.get("/tulle/v1/status", (c) => {
    callerOf(c).require({ verb: "read", kind: "mesh", namespace: ALL_NAMESPACES });
    return c.json(status());
  });
  app.get("/metrics", (c) => {
    callerOf(c).require({ verb: "read", kind: "mesh", namespace: ALL_NAMESPACES });
    return c.body(metrics(), 200, { "content-type": PROMETHEUS_CONTENT_TYPE });
  });
  app.post("/tulle/v1/join-tokens", async (c) => {
    const request = readJoinTokenRequest(await readJson(c));
    const { namespace, serviceAccount } = request;
    callerOf(c).require({
      verb: "write",
      kind: "join-token",
      namespace,
      object: `account/${serviceAccount}`,
    });
    return c.json(await joinTokens.mint(request), 201);
  });
  app.post("/tulle/v1/ca/rotate", async (c) => {
    callerOf(c).require({ verb: "write", kind: "mesh", namespace: ALL_NAMESPACES, object: "ca" });
    await rollover.rotate();
    return c.json(status().authority, 202);
  });
  app.post("/tulle/v1/ca/revoke", async (c) => {
    const { what } = ((await readJson(c)) ?? {}) as { readonly what?: unknown };
    callerOf(c).require({ verb: "write", kind: "mesh", namespace: ALL_NAMESPACES, object: "ca" });
    if (typeof what !== "string")
      throw new MeshError("invalid", "CONTROL_BODY", 'expected {"what": a serial number or a SPIFFE id}');
    return c.json({ revoked: await revocation.revoke(what) });
  });
  addAccessRoutes(app, accessTokens);
  app.get("/tulle/v1/endpoints", async (c) => {
    const service = c.req.query("service") ?? "";
    const namespace = c.req.query("namespace") ?? (service === "" ? "" : "default");
    // A host in full may be of any namespace.
    const where = service === "" || service.includes(".") || namespace === "" ? ALL_NAMESPACES : namespace;
    callerOf(c).require({ verb: "read", kind: "mesh", namespace: where });
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
  const status =
    thrown instanceof InvalidObjectError
      ? invalidStatus({ group: "", plural: "", kind: "AccessToken", name: "" }, thrown.violations)
      : errorStatus(thrown);
  return c.json(status, status.code as 400);
}
