import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { HealthCheckSpec } from "./type.js";

/** HOST CHECK INTERVAL PASSIVE AGE. */
export const healthCheckColumns: readonly Column[] = [
  textColumn<HealthCheckSpec>("Host", "Host whose endpoints are checked.", ({ spec }) => spec.host),
  textColumn<HealthCheckSpec>("Check", "What is asked.", ({ spec }) => asked(spec)),
  textColumn<HealthCheckSpec>("Interval", "How often it is asked.", ({ spec }) =>
    asked(spec) === undefined ? undefined : (spec.interval ?? "5s"),
  ),
  textColumn<HealthCheckSpec>("Passive", "What is judged by the outcome of requests.", ({ spec }) =>
    Object.keys(spec.passive ?? {})
      .filter(
        (name) => name.startsWith("consecutive") || name === "successRate" || name === "failurePercentage",
      )
      .join(","),
  ),
  ageColumn,
];

function asked({ http, tcp, grpc, redis }: HealthCheckSpec): string | undefined {
  if (http !== undefined) return `http ${http.path}`;
  if (grpc !== undefined) return grpc.service === undefined ? "grpc" : `grpc ${grpc.service}`;
  if (redis !== undefined) return "redis";
  return tcp === undefined ? undefined : "tcp";
}
