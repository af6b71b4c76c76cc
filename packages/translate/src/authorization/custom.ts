import { create } from "@bufbuild/protobuf";
import { RBAC_Action, RBACSchema } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import {
  HttpFilterSchema,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { ExtAuthzSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { MetadataMatcherSchema } from "@tulle/xds/gen/envoy/type/matcher/v3/metadata_pb.js";
import { packed } from "../messages.js";
import type { Translation } from "../translation.js";
import { holdingPolicies, type AuthorizationPolicy, type Guarded } from "./holding-policies.js";
import { extAuthzOf, extensionProvider } from "./providers.js";
import { policiesOf, type TranslatedRbac } from "./rbac.js";

/** Istio's prefix of what the rules find: whether somebody is asked about a request. */
const SHADOW_PREFIX = "istio_ext_authz_";
const RBAC_METADATA = "envoy.filters.http.rbac";

/** Providers that policies of action CUSTOM name for some of this, and that are known, by name. */
export function askedProviders(t: Translation, guarded: readonly Guarded[]): readonly string[] {
  const names = new Set<string>();
  for (const one of guarded)
    for (const policy of holdingPolicies(t, "CUSTOM", one).enforced)
      if (isAnswered(t, policy)) names.add(policy.spec.provider?.name ?? "");
  return [...names].sort();
}

/** Whether a policy's provider is known. One whose provider is not refuses what it would ask about. */
export function isAnswered(t: Translation, { spec, metadata }: AuthorizationPolicy): boolean {
  const name = spec.provider?.name ?? "";
  if (extensionProvider(t, name) !== undefined) return true;
  t.warn(
    `AuthorizationPolicy ${metadata.namespace}/${metadata.name}: no MeshConfig of ${t.settings.rootNamespace} has a provider ${JSON.stringify(name)}: what it would ask about is refused`,
  );
  return false;
}

/** The rules by which a provider is asked; undefined = it is not asked about anything here. */
export function askingRbac(t: Translation, provider: string, guarded: Guarded): TranslatedRbac | undefined {
  const policies = holdingPolicies(t, "CUSTOM", guarded).enforced.filter(
    ({ spec }) => spec.provider?.name === provider,
  );
  if (policies.length === 0) return undefined;
  return {
    rules: undefined,
    shadowRules: create(RBACSchema, {
      action: RBAC_Action.DENY,
      policies: policiesOf(t, policies, "CUSTOM", guarded, false),
    }),
    shadowRulesStatPrefix: prefixOf(provider),
  };
}

/** The filter that asks a provider about requests for which its rules hold. */
export function askingFilter(t: Translation, name: string): HttpFilter {
  const provider = extensionProvider(t, name)!;
  const config = extAuthzOf(t, provider);
  config.filterEnabledMetadata = create(MetadataMatcherSchema, {
    filter: RBAC_METADATA,
    path: [{ segment: { case: "key", value: `${prefixOf(name)}shadow_effective_policy_id` } }],
    value: { matchPattern: { case: "presentMatch", value: true } },
  });
  return create(HttpFilterSchema, {
    name: `istio.ext_authz.${name}`,
    configType: { case: "typedConfig", value: packed(ExtAuthzSchema, config) },
  });
}

function prefixOf(provider: string): string {
  return `${SHADOW_PREFIX}${provider}_`;
}
