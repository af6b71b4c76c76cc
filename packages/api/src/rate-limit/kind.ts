import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { rateLimitColumns } from "./columns.js";
import { rateLimitSpec } from "./schema.js";
import type { RateLimitSpec } from "./type.js";

export const rateLimitKind: Kind<RateLimitSpec> = {
  group: "tulle.dev",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "RateLimit",
  plural: "ratelimits",
  singular: "ratelimit",
  shortNames: ["rl"],
  categories: ["tulle"],
  scope: "Namespaced",
  columns: rateLimitColumns,
  specSchema: rateLimitSpec,
  check: checkSpec({ schema: rateLimitSpec }),
};
