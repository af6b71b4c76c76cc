import type { Any } from "@bufbuild/protobuf/wkt";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import { ExtAuthzSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { compileGrpcService } from "../admit/grpc-service.js";
import type { Facts } from "../contract.js";
import { NO_ANSWER, type FactFailure } from "../facts/contract.js";
import { DEFAULT_AUTHORIZER_TIMEOUT_MS, type ExtAuthzNeed } from "../facts/ext-authz.js";
import { compileMutationRules } from "../facts/mutation-rules.js";
import { compileMetadataTest, type MetadataTest } from "../route/metadata-test.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { Trace } from "../trace.js";
import type { ConnectionGuard, GuardAnswer } from "./connection-guard.js";

const NAMESPACE = "envoy.filters.network.ext_authz";
const PASSES: GuardAnswer = {};
const DENIED: GuardAnswer = { refusal: { flag: "UAEX", details: "ext_authz_denied" } };
const UNANSWERED: GuardAnswer = { refusal: { flag: "UAEX", details: "ext_authz_error" } };

/** `envoy.filters.network.ext_authz`: a service is asked whether a connection may pass. */
export class NetworkExtAuthz implements ConnectionGuard {
  readonly clusters: readonly string[];
  readonly #need: ExtAuthzNeed;
  readonly #asks: GuardAnswer;
  /** Connections that are asked about; undefined = all. */
  readonly #enabledBy: MetadataTest | undefined;
  /** Nobody answers: the connection goes on. */
  readonly #failOpen: boolean;

  constructor(need: ExtAuthzNeed, enabledBy: MetadataTest | undefined, failOpen: boolean) {
    this.clusters = [need.service.way.settings.clusterName];
    this.#need = need;
    this.#asks = { need };
    this.#enabledBy = enabledBy;
    this.#failOpen = failOpen;
  }

  admit({ request, fact }: Facts, trace: Trace | undefined): GuardAnswer {
    if (fact === undefined) {
      if (this.#enabledBy === undefined || this.#enabledBy(request.metadata)) return this.#asks;
      this.#tell(trace, false, "it is not asked about this connection");
      return PASSES;
    }
    if (fact.kind !== "ext-authz") return this.#onFailure(fact.kind === "failed" ? fact : NO_ANSWER, trace);
    if (!fact.allowed) {
      this.#tell(trace, true, "it refuses the connection");
      return DENIED;
    }
    this.#tell(trace, false, "it lets the connection pass");
    const { metadata } = fact;
    return metadata === undefined ? PASSES : { metadata: { namespace: NAMESPACE, value: metadata } };
  }

  #onFailure({ reason, detail }: FactFailure, trace: Trace | undefined): GuardAnswer {
    const goesOn = this.#failOpen ? "passes nevertheless" : "is refused";
    this.#tell(trace, !this.#failOpen, `no answer (${reason}: ${detail}): the connection ${goesOn}`);
    return this.#failOpen ? PASSES : UNANSWERED;
  }

  #tell(trace: Trace | undefined, refused: boolean, reason: string): void {
    trace?.add({
      step: "filter",
      subject: this.#need.asks,
      verdict: refused ? "chosen" : "passed-over",
      reason,
      owner: undefined,
    });
  }
}

export function compileNetworkExtAuthz(field: string, any: Any): NetworkExtAuthz {
  const config = unpack(field, any, ExtAuthzSchema);
  if (config.transportApiVersion !== ApiVersion.V3)
    throw invalid(at(field, "transport_api_version"), "must be V3");
  if (config.includePeerCertificate) {
    const instead = "is not supported: the service is told the verified SPIFFE id";
    throw invalid(at(field, "include_peer_certificate"), instead);
  }
  if (config.bootstrapMetadataLabelsKey !== "")
    throw invalid(at(field, "bootstrap_metadata_labels_key"), "is not supported");
  const { way, authority, metadata, timeoutMs } = compileGrpcService(
    at(field, "grpc_service"),
    config.grpcService,
    DEFAULT_AUTHORIZER_TIMEOUT_MS,
  );
  const { clusterName } = way.settings;
  const need: ExtAuthzNeed = {
    kind: "ext-authz",
    name: config.statPrefix === "" ? clusterName : config.statPrefix,
    asks: `ext_authz grpc ${clusterName}`,
    service: { protocol: "grpc", way, authority, metadata },
    timeoutMs,
    // There is no request that it could be told of, or could alter.
    tells: () => false,
    packAsBytes: false,
    rawHeaders: false,
    contextExtensions: {},
    metadataNamespaces: [],
    tellsServerName: config.includeTlsSession,
    rules: compileMutationRules(field, undefined),
  };
  const enabledBy =
    config.filterEnabledMetadata &&
    compileMetadataTest(at(field, "filter_enabled_metadata"), config.filterEnabledMetadata);
  return new NetworkExtAuthz(need, enabledBy, config.failureModeAllow);
}
