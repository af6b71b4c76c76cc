/** Ports that gateways open for the world outside, in Istio's vocabulary. */
export interface GatewaySpec {
  /** Labels of the gateways that the servers are for, in the object's namespace and all others. None: all gateways. */
  readonly selector?: Readonly<Record<string, string>>;
  /** At least one. */
  readonly servers: readonly GatewayServer[];
}

/** A port with the hosts that are served on it. */
export interface GatewayServer {
  readonly port: {
    readonly number: number;
    /** HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP or MONGO, in any case. */
    readonly protocol: string;
    /** Unique in the object. */
    readonly name: string;
  };
  /** IP address that the port is opened on; absent: every address, or the gateway's own. */
  readonly bind?: string;
  /** `host` or `namespace/host`: namespace a name, `.` or `*`; host a full name, `*.suffix` or `*`. */
  readonly hosts: readonly string[];
  readonly tls?: ServerTlsSettings;
  /** For statistics. */
  readonly name?: string;
}

/** How a server's TLS is ended, or not. */
export interface ServerTlsSettings {
  /** Of an HTTP server: every request is answered with a redirect (301) to HTTPS. */
  readonly httpsRedirect?: boolean;
  /** Required where TLS is spoken. */
  readonly mode?: ServerTlsMode;
  /** Absolute path of the certificate chain, PEM. */
  readonly serverCertificate?: string;
  /** Absolute path of the private key, PEM. */
  readonly privateKey?: string;
  /** Absolute path of the roots that client certificates are verified against, PEM. */
  readonly caCertificates?: string;
  /** Absolute path of revocation lists, PEM. */
  readonly caCrl?: string;
  /** Secret of the gateway's namespace with `tls.crt` and `tls.key`, and `ca.crt` for client certificates. */
  readonly credentialName?: string;
  /** One or two Secrets: certificates of different key types for the same hosts. */
  readonly credentialNames?: readonly string[];
  /** Secret with `ca.crt` for client certificates. Default: `<credentialName>-cacert` where it exists, else the credential itself. */
  readonly caCertCredentialName?: string;
  /** Pairs of files: certificates of different key types for the same hosts. */
  readonly tlsCertificates?: readonly ServerCertificateFiles[];
  /** Names of which a client certificate must have one. */
  readonly subjectAltNames?: readonly string[];
  /** Base64 of SHA-256 of the public key (SPKI) of certificates that clients may present. */
  readonly verifyCertificateSpki?: readonly string[];
  /** SHA-256 of certificates that clients may present, hexadecimal, with or without colons. */
  readonly verifyCertificateHash?: readonly string[];
  /** Default TLSV1_2, which is also what older ones are raised to. */
  readonly minProtocolVersion?: "TLS_AUTO" | "TLSV1_0" | "TLSV1_1" | "TLSV1_2" | "TLSV1_3";
  /** Default TLSV1_3. */
  readonly maxProtocolVersion?: "TLS_AUTO" | "TLSV1_2" | "TLSV1_3";
  /** OpenSSL's names, of TLS 1.2 and before. */
  readonly cipherSuites?: readonly string[];
}

export interface ServerCertificateFiles {
  readonly serverCertificate: string;
  readonly privateKey: string;
  readonly caCertificates?: string;
}

export type ServerTlsMode =
  | "PASSTHROUGH"
  | "SIMPLE"
  | "MUTUAL"
  | "AUTO_PASSTHROUGH"
  | "ISTIO_MUTUAL"
  | "OPTIONAL_MUTUAL";
