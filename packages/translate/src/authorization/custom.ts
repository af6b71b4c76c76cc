import { create } from "@bufbuild/protobuf";
import { RBAC_Action, RBACSchema } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import { FilterSchema, type Filter } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  HttpFilterSchema,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { ExtAuthzSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ExtAuthzSchema as ConnectionExtAuthzSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import {
  MetadataMatcherSchema,
  type MetadataMatcher,
} from "@tulle/xds/gen/envoy/type/matcher/v3/metadata_pb.js";
import { packed } from "../messages.js";
import type { Translation } from "../translation.js";
import { holdingPolicies, type AuthorizationPolicy, type Guarded } from "./holding-policies.js";
import { extAuthzOf, extensionProvider } from "./providers.js";
import { policiesOf, type TranslatedRbac } from "./rbac.js";

/** Istio's prefix of what the rules find: whether somebody is asked about a request. */
const SHADOW_PREFIX = "istio_ext_authz_";

/** Providers that policies of action CUSTOM name for some of this, and that can be asked, by name. */
export function askedProviders(
  t: Translation,
  guarded: readonly Guarded[],
  bytes: boolean,
): readonly string[] {
  const names = new Set<string>();
  for (const one of guarded)
    for (const policy of holdingPolicies(t, "CUSTOM", one).enforced)
      if (isAnswered(t, policy, bytes)) names.add(policy.spec.provider?.name ?? "");
  return [...names].sort();
}

/**
 * Whether a policy's provider is known and can be asked: about connections that carry `bytes` only over gRPC. A policy whose
 * provider cannot refuses what it would ask about.
 */
export function isAnswered(t: Translation, { spec, metadata }: AuthorizationPolicy, bytes: boolean): boolean {
  const name = spec.provider?.name ?? "";
  const provider = extensionProvider(t, name);
  if (provider !== undefined && (!bytes || provider.envoyExtAuthzGrpc !== undefined)) return true;
  const why =
    provider === undefined
      ? `no MeshConfig of ${t.settings.rootNamespace} has a provider ${JSON.stringify(name)}: what it would ask about is refused`
      : `provider ${JSON.stringify(name)} is asked over HTTP, which tells of requests only: connections of ports that carry bytes are refused`;
  t.warn(`AuthorizationPolicy ${metadata.namespace}/${metadata.name}: ${why}`);
  return false;
}

/** The rules by which a provider is asked; undefined = it is not asked about anything here. */
export function askingRbac(
  t: Translation,
  provider: string,
  guarded: Guarded,
  bytes: boolean,
): TranslatedRbac | undefined {
  const policies = holdingPolicies(t, "CUSTOM", guarded).enforced.filter(
    ({ spec }) => spec.provider?.name === provider,
  );
  if (policies.length === 0) return undefined;
  return {
    rules: undefined,
    shadowRules: create(RBACSchema, {
      action: RBAC_Action.DENY,
      policies: policiesOf(t, policies, "CUSTOM", guarded, bytes),
    }),
    shadowRulesStatPrefix: prefixOf(provider),
  };
}

/** The filter that asks a provider about requests for which its rules hold. */
export function askingFilter(t: Translation, name: string): HttpFilter {
  const provider = extensionProvider(t, name)!;
  const config = extAuthzOf(t, provider);
  config.filterEnabledMetadata = whereRulesHold("envoy.filters.http.rbac", name);
  return create(HttpFilterSchema, {
    name: filterNameOf(name),
    configType: { case: "typedConfig", value: packed(ExtAuthzSchema, config) },
  });
}

/** The same about connections that carry bytes. */
export function askingConnectionFilter(t: Translation, name: string): Filter {
  const { statPrefix, transportApiVersion, failureModeAllow, services } = extAuthzOf(
    t,
    extensionProvider(t, name)!,
  );
  if (services.case !== "grpcService") throw new Error(`provider ${name} is not asked over gRPC`);
  const config = create(ConnectionExtAuthzSchema, {
    statPrefix,
    transportApiVersion,
    failureModeAllow,
    grpcService: services.value,
    filterEnabledMetadata: whereRulesHold("envoy.filters.network.rbac", name),
  });
  return create(FilterSchema, {
    name: filterNameOf(name),
    configType: { case: "typedConfig", value: packed(ConnectionExtAuthzSchema, config) },
  });
}

function filterNameOf(provider: string): string {
  return `istio.ext_authz.${provider}`;
}

/** What the shadow of the RBAC before it has found. */
function whereRulesHold(filter: string, provider: string): MetadataMatcher {
  return create(MetadataMatcherSchema, {
    filter,
    path: [{ segment: { case: "key", value: `${prefixOf(provider)}shadow_effective_policy_id` } }],
    value: { matchPattern: { case: "presentMatch", value: true } },
  });
}

function prefixOf(provider: string): string {
  return `${SHADOW_PREFIX}${provider}_`;
}
