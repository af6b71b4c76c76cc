import type { HTTPLocalRateLimitPolicySpec, MeshObject, ServerSpec } from "@tulle/api";
import type { InboundPort } from "./contract.js";
import { HTTP_LOCAL_RATE_LIMIT_POLICY, SERVER } from "./kinds.js";
import { portNamed } from "./mesh-service.js";
import type { TranslatedRateLimit } from "./rate-limit-parts.js";
import { localRateLimit, type LocalLimit } from "./rate-limits.js";
import { resolveHost } from "./services.js";
import type { Translation } from "./translation.js";
import { byAge, selects } from "./visibility.js";

/**
 * The limits of Linkerd's HTTPLocalRateLimitPolicies for a port of the workload, by the Servers that are about it. Of
 * several for one Server the oldest holds.
 */
export function serverRateLimits(
  t: Translation,
  host: string,
  port: InboundPort,
): readonly TranslatedRateLimit[] {
  if (t.view.dialect === "grpc") return [];
  const policies = t
    .objects<HTTPLocalRateLimitPolicySpec>(HTTP_LOCAL_RATE_LIMIT_POLICY)
    .filter(({ metadata }) => metadata.namespace === t.view.namespace);
  // Whoever has none does not depend on Servers either.
  if (policies.length === 0) return [];
  const servers = t.objects<ServerSpec>(SERVER).filter((server) => isAbout(t, server, host, port));
  return servers.flatMap((server) => {
    const [holding, ...others] = policies
      .filter(({ spec }) => spec.targetRef.name === server.metadata.name)
      .sort(byAge);
    if (holding === undefined) return [];
    t.own(server);
    t.own(holding);
    for (const { metadata } of others)
      t.warn(
        `HTTPLocalRateLimitPolicy ${metadata.namespace}/${metadata.name} has no effect: ${holding.metadata.name} is older, and for the same Server`,
      );
    // A RateLimit may have the same name.
    const metadata = { ...holding.metadata, name: `${holding.metadata.name}.http-local-rate-limit-policy` };
    return [
      localRateLimit(t, { ...holding, metadata }, { limits: limitsOf(holding.spec, t.view.namespace) }),
    ];
  });
}

function isAbout(
  t: Translation,
  { spec, metadata }: MeshObject<ServerSpec>,
  host: string,
  { appPort, servicePort }: InboundPort,
): boolean {
  if (metadata.namespace !== t.view.namespace) return false;
  if (!selects(spec.podSelector.matchLabels, t.view.labels)) return false;
  if (typeof spec.port === "number") return spec.port === appPort || spec.port === servicePort;
  const { service } = resolveHost(t, host, t.view.namespace);
  return service !== undefined && portNamed(service, servicePort)?.name === spec.port;
}

function limitsOf(
  { total, identity, overrides = [] }: HTTPLocalRateLimitPolicySpec,
  namespace: string,
): readonly LocalLimit[] {
  const limits: LocalLimit[] = [];
  if (total !== undefined) limits.push({ requests: total.requestsPerSecond, interval: "1s" });
  if (identity !== undefined || overrides.length > 0)
    limits.push({
      requests: identity?.requestsPerSecond,
      interval: "1s",
      per: "SOURCE",
      countsUnidentified: true,
      overrides: overrides.map(({ requestsPerSecond, clientRefs }) => ({
        requests: requestsPerSecond,
        serviceAccounts: clientRefs.map((client) => `${client.namespace ?? namespace}/${client.name}`),
      })),
    });
  return limits;
}
