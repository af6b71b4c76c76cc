import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";

import { ServerCredentials } from "@grpc/grpc-js";
import type { Disposable, Event } from "@tulle/base";

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
 * joins has none yet: who needs one asks `peerIdentity`. There are no session tickets: a resumed session would skip
 * the certificate check, and in Node.js even let an expired certificate in.
 *
 * `ServerCredentials.createSsl` can do neither; grpc-js offers subclassing for such cases. A new certificate is used
 * for connections made from then on; existing ones live on.
 */
export class OptionalMtlsCredentials extends ServerCredentials implements Disposable {
  readonly #subscription: Disposable;

  constructor(provider: ServerCertificateProvider) {
    super(
      { requestCert: true, rejectUnauthorized: false, handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
      tlsContextOptions(provider.current()),
    );
    this.#subscription = provider.onRotated(() => {
      this.updateSecureContextOptions(tlsContextOptions(provider.current()));
    });
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
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
