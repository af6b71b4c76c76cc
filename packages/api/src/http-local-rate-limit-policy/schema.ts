import { z } from "zod";
import { objectName } from "../gateway-api/names.js";
import { namespaceName } from "../schema/namespaces.js";
import { uint32 } from "../schema/numbers.js";
import { atLeastOne, struct, structsOf, type Rule } from "../schema/struct.js";
import type { HTTPLocalRateLimitPolicySpec } from "./type.js";

const requestsPerSecond = uint32.refine((value) => value >= 1, "must be at least 1");

const clientRef = struct({
  group: z.enum(["", "core"]).exactOptional(),
  kind: z.literal("ServiceAccount", "must be ServiceAccount: clients are told apart by it"),
  name: objectName,
  namespace: namespaceName.exactOptional(),
});

/** Two counts for one client would both hold. */
const eachClientOnce: Rule = (fields, report) => {
  const seen = new Set<string>();
  for (const [index, { clientRefs }] of structsOf(fields["overrides"])) {
    for (const [position, { name, namespace = "" }] of structsOf(clientRefs)) {
      const client = `${String(namespace)}/${String(name)}`;
      if (seen.has(client)) report(["overrides", index, "clientRefs", position], "is named twice");
      seen.add(client);
    }
  }
};

/** Every field of an HTTPLocalRateLimitPolicy. */
export const httpLocalRateLimitPolicySpec: z.ZodType<HTTPLocalRateLimitPolicySpec> = struct(
  {
    targetRef: struct({
      group: z.literal("policy.linkerd.io"),
      kind: z.literal("Server"),
      name: objectName,
    }),
    total: struct({ requestsPerSecond }).exactOptional(),
    identity: struct({ requestsPerSecond }).exactOptional(),
    overrides: z
      .array(
        struct({
          requestsPerSecond,
          clientRefs: z
            .array(clientRef)
            .min(1, "must have at least one client")
            .max(64, "must have at most 64 clients"),
        }),
      )
      .max(64, "must have at most 64 overrides")
      .exactOptional(),
  },
  atLeastOne("total", "identity", "overrides"),
  eachClientOnce,
);
