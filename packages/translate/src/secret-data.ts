import { base64Decode } from "@bufbuild/protobuf/wire";
import type { MeshObject, SecretParts } from "@tulle/api";
import { SECRET } from "./kinds.js";
import type { Translation } from "./translation.js";

/** Prefix of the names by which proxies ask for Secrets of their own namespace (Istio's). */
export const PREFIX = "kubernetes://";
/** Suffix of the names that mean a Secret's authorities and not its certificate (Istio's). */
export const AUTHORITY_SUFFIX = "-cacert";

/** Keys of a Secret in the order in which they are looked for: Kubernetes' own, and Istio's of generic Secrets. */
export const CERTIFICATE_KEYS = ["tls.crt", "cert"];
export const PRIVATE_KEY_KEYS = ["tls.key", "key"];
export const AUTHORITY_KEYS = ["ca.crt", "cacert"];
export const REVOCATION_KEYS = ["ca.crl", "crl"];

/** Prefix of the names of Secrets of other namespaces: `<namespace>/<name>` follows (Istio's). */
export const FOREIGN_PREFIX = "kubernetes-gateway://";
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
export function visibleData(
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
export function bytesOf(
  data: Readonly<Record<string, string>>,
  keys: readonly string[],
): Uint8Array | undefined {
  const key = keys.find((each) => Object.hasOwn(data, each));
  const encoded = key === undefined ? undefined : data[key];
  return encoded === undefined ? undefined : base64Decode(encoded);
}
