import { create } from "@bufbuild/protobuf";
import type { ServerTlsSettings } from "@tulle/api";
import { TransportSocketSchema, type TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  CertificateValidationContext_TrustChainVerification as TrustChainVerification,
  CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  SubjectAltNameMatcherSchema,
  TlsCertificateSchema,
  type CertificateValidationContext,
  type SubjectAltNameMatcher,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  SdsSecretConfigSchema,
  type SdsSecretConfig,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  type CommonTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { fromAds, packed } from "../messages.js";
import { meshTlsServer } from "../tls.js";
import { serverParameters } from "../tls-parameters.js";
import type { Translation } from "../translation.js";
import { authoritySecret, certificateSecret, hasAuthorities, hasCertificate } from "../secret-data.js";
import { certificateCredentials, rootsCredential } from "./credentials.js";
import { placeOfServer, type ClientRoots, type Server } from "./server.js";

/** How a server ends TLS; undefined, with a warning, when this client cannot do it. `alpn`: protocols that it offers. */
export function serverTlsContext(
  t: Translation,
  server: Server,
  alpn: readonly string[],
): TransportSocket | undefined {
  const { tls } = server;
  if (tls === undefined) return undefined;
  if (tls.mode === "ISTIO_MUTUAL") {
    if (t.view.mtls) return meshTlsServer(t, alpn);
    t.warn(`${placeOfServer(server)} asks for ISTIO_MUTUAL, but this gateway has no mesh certificate`);
    return undefined;
  }
  const context = create(CommonTlsContextSchema, {
    tlsParams: serverParameters(t, tls),
    alpnProtocols: [...alpn],
  });
  addCertificates(t, server, tls, context);
  if (tls.mode === "MUTUAL" || tls.mode === "OPTIONAL_MUTUAL") addTrust(t, server, tls, context);
  if (server.clients !== undefined) addRoots(server.clients, context);
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.tls",
    configType: {
      case: "typedConfig",
      value: packed(DownstreamTlsContextSchema, {
        commonTlsContext: context,
        requireClientCertificate: server.clients?.required ?? tls.mode === "MUTUAL",
        // A resumed session would outlive what its certificate was checked against.
        sessionTicketKeysType: { case: "disableStatelessSessionResumption", value: true },
        disableStatefulSessionResumption: true,
      }),
    },
  });
}

function addCertificates(
  t: Translation,
  server: Server,
  tls: ServerTlsSettings,
  context: CommonTlsContext,
): void {
  for (const name of certificateCredentials(tls)) {
    if (!hasCertificate(t, name)) {
      t.warnOf(
        "IST0101",
        `${placeOfServer(server)}: there is no Secret ${t.view.namespace}/${name} with a certificate and its key (tls.crt, tls.key): handshakes fail`,
      );
    }
    context.tlsCertificateSdsSecretConfigs.push(secret(certificateSecret(name)));
  }
  for (const { name, namespace } of server.credentials ?? []) {
    const own = namespace === t.view.namespace ? undefined : namespace;
    context.tlsCertificateSdsSecretConfigs.push(secret(certificateSecret(name, own)));
  }
  const { serverCertificate, privateKey, tlsCertificates = [] } = tls;
  const pairs =
    serverCertificate === undefined || privateKey === undefined
      ? tlsCertificates
      : [{ serverCertificate, privateKey }];
  for (const pair of pairs) {
    context.tlsCertificates.push(
      create(TlsCertificateSchema, {
        certificateChain: file(pair.serverCertificate),
        privateKey: file(pair.privateKey),
      }),
    );
  }
}

/** Whom clients' certificates must be from, and what else they must be. */
function addTrust(t: Translation, server: Server, tls: ServerTlsSettings, context: CommonTlsContext): void {
  const checks = create(CertificateValidationContextSchema, {
    matchTypedSubjectAltNames: (tls.subjectAltNames ?? []).flatMap(anyTypeOf),
    verifyCertificateSpki: [...(tls.verifyCertificateSpki ?? [])],
    verifyCertificateHash: [...(tls.verifyCertificateHash ?? [])],
    ...(tls.caCrl !== undefined && { crl: file(tls.caCrl) }),
  });
  const roots = rootsFile(tls);
  if (roots !== undefined) {
    context.validationContextType = { case: "validationContext", value: withRoots(checks, roots) };
    return;
  }
  const name = rootsCredential(tls);
  if (name === undefined) return;
  if (!hasAuthorities(t, name)) {
    t.warnOf(
      "IST0101",
      `${placeOfServer(server)}: no Secret of the namespace ${t.view.namespace} has the roots of clients' certificates (ca.crt): handshakes fail`,
    );
  }
  context.validationContextType = create(CommonTlsContextSchema, {
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: checks,
        validationContextSdsSecretConfig: secret(authoritySecret(name)),
      },
    },
  }).validationContextType;
}

function addRoots({ required, pem, crl }: ClientRoots, context: CommonTlsContext): void {
  const value = create(CertificateValidationContextSchema, {
    trustedCa: text(pem),
    ...(crl !== undefined && { crl: text(crl) }),
    ...(!required && { trustChainVerification: TrustChainVerification.ACCEPT_UNTRUSTED }),
  });
  context.validationContextType = { case: "validationContext", value };
}

function rootsFile({ caCertificates, tlsCertificates = [] }: ServerTlsSettings): string | undefined {
  return caCertificates ?? tlsCertificates.find((pair) => pair.caCertificates !== undefined)?.caCertificates;
}

function withRoots(checks: CertificateValidationContext, path: string): CertificateValidationContext {
  checks.trustedCa = create(CertificateValidationContextSchema, { trustedCa: file(path) }).trustedCa;
  return checks;
}

/** Istio's `subjectAltNames` say no type: a URI has a scheme, anything else is a DNS name. */
function anyTypeOf(name: string): SubjectAltNameMatcher[] {
  return [
    create(SubjectAltNameMatcherSchema, {
      sanType: name.includes("://") ? SanType.URI : SanType.DNS,
      matcher: { matchPattern: { case: "exact", value: name } },
    }),
  ];
}

function secret(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, { name, sdsConfig: fromAds() });
}

function text(pem: string) {
  return { specifier: { case: "inlineString", value: pem } } as const;
}

function file(path: string) {
  return { specifier: { case: "filename", value: path } } as const;
}
