import { ALL_NAMESPACES, readAccessTokenRequest } from "@tulle/api";
import type { Hono } from "hono";

import { callerOf, type AccessTokens } from "../access/index.js";
import { readJson } from "./read-json.js";

/** Tokens for the control plane's APIs, and who a caller is to them. */
export function addAccessRoutes(app: Hono, tokens: AccessTokens): void {
  app.get("/tulle/v1/who-am-i", (c) => {
    const caller = callerOf(c);
    caller.require({ verb: "read", kind: "discovery", namespace: ALL_NAMESPACES });
    return c.json(caller.subject);
  });
  app.get("/tulle/v1/access-tokens", async (c) => {
    callerOf(c).require({ verb: "read", kind: "access-token", namespace: ALL_NAMESPACES });
    return c.json({ tokens: await tokens.list() });
  });
  app.post("/tulle/v1/access-tokens", async (c) => {
    const caller = callerOf(c);
    caller.require(ALL_TOKENS);
    const request = readAccessTokenRequest(await readJson(c));
    caller.require({ ...ALL_TOKENS, object: `access-token/${request.name}` });
    return c.json(await tokens.create(request, caller.subject.name), 201);
  });
  app.delete("/tulle/v1/access-tokens/:name", async (c) => {
    const name = c.req.param("name");
    callerOf(c).require({ ...ALL_TOKENS, object: `access-token/${name}` });
    await tokens.revoke(name);
    return c.json({});
  });
}

const ALL_TOKENS = { verb: "write", kind: "access-token", namespace: ALL_NAMESPACES } as const;
