import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { TransportSocketSchema, type TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { UpstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { packed } from "../messages.js";

/** Name of the certificate provider in the clients' bootstrap, for their own certificate and for the roots. */
export const CERTIFICATE_PROVIDER = "default";

/**
 * Mesh TLS in gRPC's words (gRFC A29): certificate providers of the bootstrap instead of SDS, and names without a type.
 * Undefined when the socket is not the mesh's own.
 */
export function grpcTransportSocket(socket: TransportSocket): TransportSocket | undefined {
  const config = socket.configType.case === "typedConfig" ? socket.configType.value : undefined;
  const context = config && anyUnpack(config, UpstreamTlsContextSchema);
  const validation = context?.commonTlsContext?.validationContextType;
  if (context === undefined || validation?.case !== "combinedValidationContext") return undefined;
  const names = validation.value.defaultValidationContext?.matchTypedSubjectAltNames ?? [];
  const provider = { instanceName: CERTIFICATE_PROVIDER };
  return create(TransportSocketSchema, {
    name: socket.name,
    configType: {
      case: "typedConfig",
      value: packed(UpstreamTlsContextSchema, {
        sni: context.sni,
        commonTlsContext: {
          tlsCertificateProviderInstance: provider,
          validationContextType: {
            case: "validationContext",
            value: {
              caCertificateProviderInstance: provider,
              matchSubjectAltNames: names.flatMap(({ matcher }) => matcher ?? []),
            },
          },
        },
      }),
    },
  });
}
