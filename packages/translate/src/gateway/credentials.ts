import { create } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { SecretParts, ServerTlsSettings } from "@tulle/api";
import {
  SecretSchema,
  type Secret,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { SECRET } from "../kinds.js";
import type { Translation } from "../translation.js";
import { servedPorts } from "./ports.js";

/** What Istio's names of such secrets begin with. */
const SCHEME = "kubernetes://";
/** What the name of a Secret ends with that holds only the roots of clients' certificates. */
const ROOTS_SUFFIX = "-cacert";

/** Keys of a Secret under which certificate, key and roots are found; Istio's, the usual one first. */
const CERTIFICATE_KEYS = ["tls.crt", "cert"];
const PRIVATE_KEY_KEYS = ["tls.key", "key"];
const ROOTS_KEYS = ["ca.crt", "cacert"];
const CRL_KEYS = ["ca.crl", "crl"];

/** Names of the Secrets that a server's certificates are in. */
export function certificateNames({
  credentialName,
  credentialNames = [],
}: ServerTlsSettings): readonly string[] {
  return credentialName === undefined ? credentialNames : [credentialName];
}

/** Name of the xDS resource with the certificate of a Secret. */
export function certificateName(credential: string): string {
  return `${SCHEME}${credential}`;
}

/** Name of the xDS resource with the roots of a server's clients; undefined when they are in no Secret. */
export function trustName(tls: ServerTlsSettings): string | undefined {
  const { caCertCredentialName } = tls;
  if (caCertCredentialName !== undefined) return `${SCHEME}${withSuffix(caCertCredentialName)}`;
  const [first] = certificateNames(tls);
  return first === undefined ? undefined : `${SCHEME}${withSuffix(first)}`;
}

/** A certificate chain and its key, PEM. */
export interface CredentialCertificate {
  readonly chain: Uint8Array;
  readonly key: Uint8Array;
}

/** What the Secret of a name in the client's namespace holds. */
export function findCertificate(t: Translation, credential: string): CredentialCertificate | undefined {
  const data = dataOf(t, credential);
  const chain = data && valueOf(data, CERTIFICATE_KEYS);
  const key = data && valueOf(data, PRIVATE_KEY_KEYS);
  return chain === undefined || key === undefined ? undefined : { chain, key };
}

/** Roots of clients' certificates, PEM, and what was revoked of them. */
export interface CredentialTrust {
  readonly roots: Uint8Array;
  readonly crl: Uint8Array | undefined;
}

/** The roots under a name as {@link trustName} gives it: those of the Secret with the suffix, else of the one without. */
export function findTrust(t: Translation, name: string): CredentialTrust | undefined {
  const own = name.slice(SCHEME.length);
  for (const candidate of [own, own.slice(0, -ROOTS_SUFFIX.length)]) {
    const data = dataOf(t, candidate);
    const roots = data && valueOf(data, ROOTS_KEYS);
    if (data !== undefined && roots !== undefined) return { roots, crl: valueOf(data, CRL_KEYS) };
  }
  return undefined;
}

/**
 * The secret of an xDS name for a gateway: only what a server needs that this gateway opens, and only of the gateway's own
 * namespace, which its certificate proves.
 */
export function gatewaySecret(t: Translation, name: string): Secret | undefined {
  // Plaintext clients have proved nothing.
  if (!t.view.mtls || !name.startsWith(SCHEME)) return undefined;
  const needed = servedPorts(t).flatMap(({ servers }) => servers.flatMap(({ tls }) => tls ?? []));
  const certificate = needed.some((tls) => certificateNames(tls).some((one) => certificateName(one) === name))
    ? findCertificate(t, name.slice(SCHEME.length))
    : undefined;
  if (certificate !== undefined) {
    return create(SecretSchema, {
      name,
      type: {
        case: "tlsCertificate",
        value: { certificateChain: inline(certificate.chain), privateKey: inline(certificate.key) },
      },
    });
  }
  const trust = needed.some((tls) => verifies(tls) && trustName(tls) === name)
    ? findTrust(t, name)
    : undefined;
  if (trust === undefined) return undefined;
  return create(SecretSchema, {
    name,
    type: {
      case: "validationContext",
      value: {
        trustedCa: inline(trust.roots),
        ...(trust.crl !== undefined && { crl: inline(trust.crl) }),
      },
    },
  });
}

function verifies({ mode }: ServerTlsSettings): boolean {
  return mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL";
}

function withSuffix(credential: string): string {
  return credential.endsWith(ROOTS_SUFFIX) ? credential : `${credential}${ROOTS_SUFFIX}`;
}

type SecretData = NonNullable<SecretParts["data"]>;

function dataOf(t: Translation, name: string): SecretData | undefined {
  const found = t
    .objects(SECRET)
    .find(({ metadata }) => metadata.name === name && metadata.namespace === t.view.namespace);
  return (found?.extra as SecretParts | undefined)?.data;
}

function valueOf(data: SecretData, keys: readonly string[]): Uint8Array | undefined {
  for (const key of keys) {
    const value = Object.hasOwn(data, key) ? data[key] : undefined;
    if (value !== undefined && value !== "") return base64Decode(value);
  }
  return undefined;
}

function inline(value: Uint8Array) {
  return { specifier: { case: "inlineBytes", value } } as const;
}
