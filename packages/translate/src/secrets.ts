import { create } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { ClientTlsSettings, DestinationRuleSpec, MeshObject, SecretParts } from "@tulle/api";
import {
  SecretSchema,
  type Secret,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { gatewayCredentials } from "./gateway/credentials.js";
import { DESTINATION_RULE, SECRET } from "./kinds.js";
import type { Translation } from "./translation.js";
import { isExported, selects } from "./visibility.js";

/** Prefix of the names by which proxies ask for Secrets of their own namespace (Istio's). */
const PREFIX = "kubernetes://";
/** Suffix of the names that mean a Secret's authorities and not its certificate (Istio's). */
const AUTHORITY_SUFFIX = "-cacert";

/** Keys of a Secret in the order in which they are looked for: Kubernetes' own, and Istio's of generic Secrets. */
const CERTIFICATE_KEYS = ["tls.crt", "cert"];
const PRIVATE_KEY_KEYS = ["tls.key", "key"];
const AUTHORITY_KEYS = ["ca.crt", "cacert"];
const REVOCATION_KEYS = ["ca.crl", "crl"];

/** Prefix of the names of Secrets of other namespaces: `<namespace>/<name>` follows (Istio's). */
const FOREIGN_PREFIX = "kubernetes-gateway://";
/** Annotation of a Secret: the service accounts, with commas between, whose proxies may be sent it. Absent: all of its namespace. */
export const SECRET_ACCOUNTS_ANNOTATION = "tulle.dev/service-accounts";

/** SDS name of a credential's certificate and key. `namespace`: where it is not the client's own. */
export function certificateSecret(credentialName: string, namespace?: string): string {
  return namespace === undefined
    ? `${PREFIX}${credentialName}`
    : `${FOREIGN_PREFIX}${namespace}/${credentialName}`;
}

/** SDS name of a credential's authorities. */
export function authoritySecret(credentialName: string): string {
  return `${PREFIX}${credentialName}${AUTHORITY_SUFFIX}`;
}

/**
 * A Secret of the client's own namespace, as far as it is a credential that a DestinationRule names which the client
 * sees, or a server which it opens as a gateway. Anything else that a client asks for does not exist.
 */
export function credential(t: Translation, name: string): Secret | undefined {
  if (t.view.dialect !== "tulle" || !t.view.mtls) return undefined;
  if (name.startsWith(FOREIGN_PREFIX)) {
    const full = name.slice(FOREIGN_PREFIX.length);
    const [namespace = "", secret = ""] = full.split("/");
    return gatewayCredentials(t).foreign.has(full) ? certificate(t, name, secret, namespace) : undefined;
  }
  if (!name.startsWith(PREFIX)) return undefined;
  const asked = name.slice(PREFIX.length);
  const known = credentialNames(t);
  const own = gatewayCredentials(t);
  const authorityOf = asked.endsWith(AUTHORITY_SUFFIX) ? asked.slice(0, -AUTHORITY_SUFFIX.length) : undefined;
  if (authorityOf !== undefined && (known.has(authorityOf) || own.authorities.has(authorityOf)))
    return authorities(t, name, authorityOf);
  return known.has(asked) || own.certificates.has(asked) ? certificate(t, name, asked) : undefined;
}

function certificate(
  t: Translation,
  name: string,
  credentialName: string,
  namespace = t.view.namespace,
): Secret | undefined {
  const data = visibleData(t, credentialName, namespace);
  const chain = data && bytesOf(data, CERTIFICATE_KEYS);
  const key = data && bytesOf(data, PRIVATE_KEY_KEYS);
  if (chain === undefined || key === undefined) {
    t.warn(`credential ${credentialName}: no Secret of namespace ${namespace} has tls.crt and tls.key`);
    return undefined;
  }
  return create(SecretSchema, {
    name,
    type: { case: "tlsCertificate", value: { certificateChain: inline(chain), privateKey: inline(key) } },
  });
}

/** From the Secret itself, else from one of its own called `<name>-cacert`. */
function authorities(t: Translation, name: string, credentialName: string): Secret | undefined {
  for (const secret of [credentialName, `${credentialName}${AUTHORITY_SUFFIX}`]) {
    const data = visibleData(t, secret);
    const roots = data && bytesOf(data, AUTHORITY_KEYS);
    if (data === undefined || roots === undefined) continue;
    const crl = bytesOf(data, REVOCATION_KEYS);
    return create(SecretSchema, {
      name,
      type: {
        case: "validationContext",
        value: { trustedCa: inline(roots), ...(crl !== undefined && { crl: inline(crl) }) },
      },
    });
  }
  t.warn(`credential ${credentialName}: no Secret of namespace ${t.view.namespace} has ca.crt`);
  return undefined;
}

/** Whether a namespace, by default the client's, has a certificate and its key under a name. */
export function hasCertificate(
  t: Translation,
  credentialName: string,
  namespace = t.view.namespace,
): boolean {
  const data = secretData(t, credentialName, namespace);
  return (
    data !== undefined &&
    bytesOf(data, CERTIFICATE_KEYS) !== undefined &&
    bytesOf(data, PRIVATE_KEY_KEYS) !== undefined
  );
}

/** Whether the client's namespace has authorities under a name. */
export function hasAuthorities(t: Translation, credentialName: string): boolean {
  return [credentialName, `${credentialName}${AUTHORITY_SUFFIX}`].some((secret) => {
    const data = secretData(t, secret);
    return data !== undefined && bytesOf(data, AUTHORITY_KEYS) !== undefined;
  });
}

/** Names that the DestinationRules which the client sees give as `credentialName`. */
function credentialNames(t: Translation): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { spec, metadata } of t.objects<DestinationRuleSpec>(DESTINATION_RULE)) {
    if (!isExported(spec.exportTo, metadata.namespace, t.view.namespace)) continue;
    if (!selects(spec.workloadSelector?.matchLabels, t.view.labels)) continue;
    for (const { credentialName } of clientTlsOf(spec))
      if (credentialName !== undefined) names.add(credentialName);
  }
  return names;
}

/** Every TLS setting that a DestinationRule holds. */
export function clientTlsOf({
  trafficPolicy,
  subsets = [],
}: DestinationRuleSpec): readonly ClientTlsSettings[] {
  return [trafficPolicy, ...subsets.map((subset) => subset.trafficPolicy)].flatMap((policy) =>
    [policy, ...(policy?.portLevelSettings ?? [])].flatMap((settings) => settings?.tls ?? []),
  );
}

/** The data of a Secret, by default of the client's namespace, for what is said of it to all clients there. */
function secretData(
  t: Translation,
  name: string,
  namespace = t.view.namespace,
): Readonly<Record<string, string>> | undefined {
  const found = secret(t, name, namespace);
  return found === undefined ? undefined : dataOf(found);
}

function secret(t: Translation, name: string, namespace: string): MeshObject | undefined {
  return t.objects(SECRET).find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
}

/** The data of a Secret that this very client may be sent. Accounts are those of the Secret's namespace, unless written with theirs. */
function visibleData(
  t: Translation,
  name: string,
  namespace = t.view.namespace,
): Readonly<Record<string, string>> | undefined {
  const found = secret(t, name, namespace);
  const accounts = found?.metadata.annotations?.[SECRET_ACCOUNTS_ANNOTATION];
  const own = t.view.serviceAccount ?? "";
  const names = [`${t.view.namespace}/${own}`, ...(namespace === t.view.namespace ? [own] : [])];
  const isVisible =
    accounts === undefined || accounts.split(",").some((account) => names.includes(account.trim()));
  return found === undefined || !isVisible ? undefined : dataOf(found);
}

function dataOf({ extra }: MeshObject): Readonly<Record<string, string>> | undefined {
  return (extra as SecretParts | undefined)?.data;
}

/** What the Secret has under the first of these keys. */
function bytesOf(data: Readonly<Record<string, string>>, keys: readonly string[]): Uint8Array | undefined {
  const key = keys.find((each) => Object.hasOwn(data, each));
  const encoded = key === undefined ? undefined : data[key];
  return encoded === undefined ? undefined : base64Decode(encoded);
}

function inline(value: Uint8Array) {
  return { specifier: { case: "inlineBytes", value } } as const;
}
