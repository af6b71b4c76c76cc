import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { healthCheckColumns } from "./columns.js";
import { healthCheckSpec } from "./schema.js";
import type { HealthCheckSpec } from "./type.js";

export const healthCheckKind: Kind<HealthCheckSpec> = {
  group: "tulle.dev",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "HealthCheck",
  plural: "healthchecks",
  singular: "healthcheck",
  shortNames: ["hc"],
  categories: ["tulle-dev"],
  scope: "Namespaced",
  columns: healthCheckColumns,
  specSchema: healthCheckSpec,
  check: checkSpec({ schema: healthCheckSpec }),
};
