import { create } from "@bufbuild/protobuf";
import type { ServerTlsSettings, TlsConfig } from "@tulle/api";
import {
  TlsParameters_TlsProtocol as Protocol,
  TlsParametersSchema,
  type TlsParameters,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { fromMeshConfig } from "./mesh-config.js";
import type { Translation } from "./translation.js";

/** What the mesh's own mutual TLS is spoken with: TLS 1.3, unless a MeshConfig lets TLS 1.2 in. */
export function meshParameters(t: Translation): TlsParameters {
  const config = fromMeshConfig(t, ({ meshMTLS }) => meshMTLS);
  if (config !== undefined && t.view.dialect === "grpc")
    t.warn("meshMTLS: proxyless gRPC clients choose versions, curves and suites of TLS themselves");
  return create(TlsParametersSchema, {
    tlsMinimumProtocolVersion: versionOf(config?.minProtocolVersion, Protocol.TLSv1_3),
    tlsMaximumProtocolVersion: Protocol.TLSv1_3,
    ...suitesAndCurves(config),
  });
}

/** What TLS with servers outside the mesh is spoken with; undefined: nobody says. */
export function originatedParameters(t: Translation): TlsParameters | undefined {
  const config = defaultsOf(t);
  if (config === undefined) return undefined;
  return create(TlsParametersSchema, {
    tlsMinimumProtocolVersion: versionOf(config.minProtocolVersion, Protocol.TLSv1_2),
    tlsMaximumProtocolVersion: Protocol.TLSv1_3,
    ...suitesAndCurves(config),
  });
}

/** What a gateway's server speaks: what it says itself, else the mesh's defaults. */
export function serverParameters(t: Translation, tls: ServerTlsSettings): TlsParameters {
  const { maxProtocolVersion, cipherSuites = [] } = tls;
  const defaults = defaultsOf(t);
  const max = maxProtocolVersion === "TLSV1_2" ? Protocol.TLSv1_2 : Protocol.TLSv1_3;
  const least = versionOf(defaults?.minProtocolVersion, Protocol.TLSv1_2);
  return create(TlsParametersSchema, {
    // A server that says what is the newest it speaks speaks at least that.
    tlsMinimumProtocolVersion: Math.min(ownMinimum(tls) ?? least, max),
    tlsMaximumProtocolVersion: max,
    ecdhCurves: [...(defaults?.ecdhCurves ?? [])],
    cipherSuites: [...(cipherSuites.length > 0 ? cipherSuites : (defaults?.cipherSuites ?? []))],
  });
}

function defaultsOf(t: Translation): TlsConfig | undefined {
  return fromMeshConfig(t, ({ tlsDefaults }) => tlsDefaults);
}

function ownMinimum({ minProtocolVersion: min }: ServerTlsSettings): Protocol | undefined {
  if (min === undefined || min === "TLS_AUTO") return undefined;
  return min === "TLSV1_3" ? Protocol.TLSv1_3 : Protocol.TLSv1_2;
}

function versionOf(version: TlsConfig["minProtocolVersion"], otherwise: Protocol): Protocol {
  if (version === undefined || version === "TLS_AUTO") return otherwise;
  return version === "TLSV1_3" ? Protocol.TLSv1_3 : Protocol.TLSv1_2;
}

function suitesAndCurves(config: TlsConfig | undefined) {
  return { ecdhCurves: [...(config?.ecdhCurves ?? [])], cipherSuites: [...(config?.cipherSuites ?? [])] };
}
