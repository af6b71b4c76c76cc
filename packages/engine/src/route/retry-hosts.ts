import type { JsonObject } from "@bufbuild/protobuf";
import type {
  RetryPolicy,
  RetryPolicy_RetryHostPredicate,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { OmitHostMetadataConfigSchema } from "@tulle/xds/gen/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config_pb.js";
import type { RetryPlan } from "../contract.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import { filterMetadata, LB_METADATA } from "../snapshot/metadata.js";

const PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts";
const OMIT_CANARY_HOSTS = "envoy.retry_host_predicates.omit_canary_hosts";
const OMIT_HOST_METADATA = "envoy.retry_host_predicates.omit_host_metadata";
/** Bounds the work of one pick. */
const MAX_RESELECTIONS = 100;
/** What makes an endpoint a canary, for Envoy. */
const CANARY: JsonObject = { canary: true };

/** Which endpoints retries do without, as long as there are others (Envoy's `retry_host_predicate`). */
export function compileRetryHosts(
  field: string,
  { retryHostPredicate: predicates, hostSelectionRetryMaxAttempts }: RetryPolicy,
): Pick<RetryPlan, "hostReselections" | "avoidsTried" | "omitsHosts"> {
  if (predicates.length === 0) return { hostReselections: 0, avoidsTried: false, omitsHosts: undefined };
  const omitted = predicates.flatMap((predicate, index) =>
    compilePredicate(at(field, `retry_host_predicate[${index}]`), predicate),
  );
  const attempts = Number(hostSelectionRetryMaxAttempts);
  return {
    hostReselections: attempts <= 0 ? 1 : Math.min(attempts, MAX_RESELECTIONS),
    avoidsTried: predicates.some(({ name }) => name === PREVIOUS_HOSTS),
    omitsHosts: omitted.length === 0 ? undefined : omitted,
  };
}

/** Labels of the endpoints that a predicate keeps retries from; none of `previous_hosts`, which goes by the request. */
function compilePredicate(field: string, predicate: RetryPolicy_RetryHostPredicate): readonly JsonObject[] {
  switch (predicate.name) {
    case PREVIOUS_HOSTS:
      return [];
    case OMIT_CANARY_HOSTS:
      return [CANARY];
    case OMIT_HOST_METADATA: {
      const here = at(field, "typed_config");
      if (predicate.configType.case !== "typedConfig") throw invalid(here, "must be set");
      const { metadataMatch } = unpack(here, predicate.configType.value, OmitHostMetadataConfigSchema);
      const labels = filterMetadata(metadataMatch, LB_METADATA);
      // As with Envoy: what asks for nothing leaves nobody out.
      return labels === undefined || Object.keys(labels).length === 0 ? [] : [labels];
    }
    default:
      throw invalid(
        at(field, "name"),
        `${JSON.stringify(predicate.name)} is not supported: use ${PREVIOUS_HOSTS}, ${OMIT_CANARY_HOSTS} or ${OMIT_HOST_METADATA}`,
      );
  }
}
