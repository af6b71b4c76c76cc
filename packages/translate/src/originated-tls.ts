import { create } from "@bufbuild/protobuf";
import { isIpAddress, type ClientTlsSettings } from "@tulle/api";
import type { TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  CertificateValidationContext_TrustChainVerification,
  CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType,
  SubjectAltNameMatcherSchema,
  type CertificateValidationContext,
  type SubjectAltNameMatcher,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  CommonTlsContextSchema,
  UpstreamTlsContextSchema,
  type CommonTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { fromAds, packed } from "./messages.js";
import type { MeshService } from "./mesh-service.js";
import { authoritySecret, certificateSecret } from "./secret-data.js";
import { tlsSocket } from "./tls.js";
import { originatedParameters } from "./tls-parameters.js";
import type { Translation } from "./translation.js";

/**
 * TLS to a server outside the mesh, as a DestinationRule describes it (modes SIMPLE and MUTUAL). The server is verified
 * against the operating system's authorities unless others are named, and must have one of `subjectAltNames`, else of the
 * ServiceEntry's, else the name that it is asked for by.
 */
export function originatedTls(
  t: Translation,
  settings: ClientTlsSettings,
  service: Pick<MeshService, "host" | "subjectAltNames">,
  alpn: readonly string[],
): TransportSocket {
  const sni = settings.sni ?? (service.host.includes("*") ? "" : service.host);
  const names = firstGiven(settings.subjectAltNames, service.subjectAltNames, sni === "" ? [] : [sni]);
  const tlsParams = originatedParameters(t);
  return tlsSocket(
    packed(UpstreamTlsContextSchema, {
      sni,
      commonTlsContext: {
        ...(tlsParams !== undefined && { tlsParams }),
        alpnProtocols: [...alpn],
        ...clientCertificate(settings),
        validationContextType: validation(settings, names.map(nameMatcher)),
      },
    }),
  );
}

function firstGiven(...lists: readonly (readonly string[] | undefined)[]): readonly string[] {
  return lists.find((list) => list !== undefined && list.length > 0) ?? [];
}

function clientCertificate({ mode, credentialName, clientCertificate, privateKey }: ClientTlsSettings) {
  if (mode !== "MUTUAL") return {};
  if (credentialName !== undefined) {
    return {
      tlsCertificateSdsSecretConfigs: [{ name: certificateSecret(credentialName), sdsConfig: fromAds() }],
    };
  }
  return { tlsCertificates: [{ certificateChain: file(clientCertificate), privateKey: file(privateKey) }] };
}

function validation(
  settings: ClientTlsSettings,
  matchTypedSubjectAltNames: SubjectAltNameMatcher[],
): CommonTlsContext["validationContextType"] {
  const { insecureSkipVerify, credentialName, caCertificates, caCrl } = settings;
  if (insecureSkipVerify === true) {
    return plain({
      trustChainVerification: CertificateValidationContext_TrustChainVerification.ACCEPT_UNTRUSTED,
    });
  }
  if (credentialName !== undefined) {
    return create(CommonTlsContextSchema, {
      validationContextType: {
        case: "combinedValidationContext",
        value: {
          defaultValidationContext: { matchTypedSubjectAltNames },
          validationContextSdsSecretConfig: { name: authoritySecret(credentialName), sdsConfig: fromAds() },
        },
      },
    }).validationContextType;
  }
  return plain({
    matchTypedSubjectAltNames,
    ...(caCertificates === undefined ? { systemRootCerts: {} } : { trustedCa: file(caCertificates) }),
    ...(caCrl !== undefined && { crl: file(caCrl) }),
  });
}

function plain(
  init: Parameters<typeof create<typeof CertificateValidationContextSchema>>[1],
): CommonTlsContext["validationContextType"] {
  const value: CertificateValidationContext = create(CertificateValidationContextSchema, init);
  return { case: "validationContext", value };
}

/** Istio's `subjectAltNames` say no type: a URI has a scheme, an address is one, anything else is a DNS name. */
function nameMatcher(name: string): SubjectAltNameMatcher {
  return create(SubjectAltNameMatcherSchema, {
    sanType: sanTypeOf(name),
    matcher: { matchPattern: { case: "exact", value: name } },
  });
}

function sanTypeOf(name: string): SubjectAltNameMatcher_SanType {
  if (name.includes("://")) return SubjectAltNameMatcher_SanType.URI;
  return isIpAddress(name) ? SubjectAltNameMatcher_SanType.IP_ADDRESS : SubjectAltNameMatcher_SanType.DNS;
}

function file(path: string | undefined) {
  return { specifier: { case: "filename", value: path ?? "" } } as const;
}
