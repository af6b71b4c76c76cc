import { constants } from "node:crypto";
import type { SecureContextOptions, TlsOptions } from "node:tls";

import type { Event } from "@tulle/base";

/** Certificate, key and trusted roots of a TLS server. PEM text. */
export interface ServerCertificate {
  /** Leaf first. */
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  /** Roots that client certificates are verified against. */
  readonly trustBundlePem: string;
}

/** Where a server gets its certificate from, and learns that there is a new one. */
export interface ServerCertificateProvider {
  current(): ServerCertificate;
  /** Fires after `current()` shows the new one. */
  readonly onRotated: Event<unknown>;
}

/** A client that connects and then says nothing is dropped after this long, milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * TLS for the control plane's gRPC port. A client certificate is asked for but not required, because a workload that
 * joins has none yet: who needs one asks `peerIdentity`.
 */
export function tlsServerOptions(certificate: ServerCertificate): TlsOptions {
  return {
    ...tlsContextOptions(certificate),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    ALPNProtocols: ["h2"],
  };
}

/** All of what a server's TLS goes by, each time: setSecureContext() replaces every option. */
export function tlsContextOptions(certificate: ServerCertificate): SecureContextOptions {
  return {
    ca: certificate.trustBundlePem,
    cert: certificate.certificateChainPem,
    key: certificate.privateKeyPem,
    minVersion: "TLSv1.2",
    // A resumed session would skip the check of the client's certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
