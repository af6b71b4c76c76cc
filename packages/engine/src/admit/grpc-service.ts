import type { HeaderList } from "@tulle/http";
import type { HeaderValue } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { GrpcService } from "@tulle/xds/gen/envoy/config/core/v3/grpc_service_pb.js";
import { fieldName, fieldValue } from "../facts/mutation-rules.js";
import { BARE_WAY, Way } from "../route/way.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";

/** A gRPC service that steps ask, by the cluster that it is in. */
export interface AskedService {
  readonly way: Way;
  readonly authority: string;
  /** Further fields of the calls. */
  readonly metadata: HeaderList;
  readonly timeoutMs: number;
}

/** Questions hold requests up: none may take longer, milliseconds. */
const MAX_TIMEOUT_MS = 600_000;

/** Compiles an Envoy GrpcService. `standardMs`: its timeout where none is set. */
export function compileGrpcService(
  field: string,
  service: GrpcService | undefined,
  standardMs: number,
): AskedService {
  const target = service?.targetSpecifier;
  if (service === undefined || target?.case !== "envoyGrpc")
    throw invalid(field, "must set envoy_grpc: no other client of gRPC is supported");
  const { clusterName, authority } = target.value;
  return {
    way: wayTo(at(field, "envoy_grpc.cluster_name"), clusterName),
    // Servers refuse an authority with bars in it.
    authority: authority === "" ? clusterName.replaceAll(/[^\w.:-]/g, "_") : authority,
    metadata: compileMetadata(at(field, "initial_metadata"), service.initialMetadata),
    timeoutMs: askTimeoutMs(
      at(field, "timeout"),
      durationMs(at(field, "timeout"), service.timeout) ?? standardMs,
    ),
  };
}

/** The way to a cluster that is asked. */
export function wayTo(field: string, clusterName: string): Way {
  if (clusterName === "") throw invalid(field, "must not be empty");
  return new Way({ ...BARE_WAY, clusterName });
}

/** How long an answer may take. */
export function askTimeoutMs(field: string, ms: number): number {
  if (ms <= 0) throw invalid(field, "must be above zero: requests wait for the answer");
  return Math.min(ms, MAX_TIMEOUT_MS);
}

function compileMetadata(field: string, values: readonly HeaderValue[]): HeaderList {
  return values.flatMap(({ key, value, rawValue }, index) => {
    const name = fieldName(key);
    const text = fieldValue(value, rawValue);
    if (name === undefined || name.startsWith(":") || text === undefined)
      throw invalid(`${field}[${index}]`, "is not a header field");
    if (text.includes("%")) throw invalid(`${field}[${index}].value`, "command operators are not known here");
    return [name, text];
  });
}
