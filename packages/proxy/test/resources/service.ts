import type { ResourceChange } from "@tulle/engine";
import { cluster } from "./clusters.js";
import { endpoints } from "./endpoints.js";
import { apiListener } from "./outbound-listeners.js";
import { routeTo, routes } from "./routes.js";

/** A listener, a route, a cluster and its endpoints: everything for `authority` to reach `ports`. */
export function serviceAt(
  authority: string,
  ports: readonly number[],
  action: Record<string, unknown> = {},
): ResourceChange[] {
  const host = `${authority.split(":")[0]}.default.svc.cluster.local`;
  const name = `outbound|9080||${host}`;
  return [
    cluster(name),
    endpoints(
      name,
      ports.map((port) => ({ port })),
    ),
    apiListener(authority, `${host}:9080`),
    routes(`${host}:9080`, [routeTo(name, action)]),
  ];
}
