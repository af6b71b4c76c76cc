import { getTextEncoding } from "@bufbuild/protobuf/wire";
import type { ConfigMapParts, GatewayFrontendValidation, GatewayListener, SecretReference } from "@tulle/api";
import type { ClientRoots } from "../gateway/server.js";
import { CONFIG_MAP } from "../kinds.js";
import { AUTHORITY_KEYS, bytesOf, REVOCATION_KEYS, visibleData } from "../secret-data.js";
import type { Translation } from "../translation.js";
import { isGranted } from "./grants.js";
import type { K8sGateway } from "./gateways.js";

/** What is wrong with a reference to authorities. */
export interface RootsProblem {
  readonly reason: "InvalidCACertificateRef" | "InvalidCACertificateKind" | "RefNotPermitted";
  readonly message: string;
}

/** What clients of a listener must show: what is said of its port, else the default; only HTTPS listeners ask. */
export function frontendValidation(
  { spec: { tls } }: K8sGateway,
  { protocol, port }: GatewayListener,
): GatewayFrontendValidation | undefined {
  const frontend = protocol === "HTTPS" ? tls?.frontend : undefined;
  const own = frontend?.perPort?.find((one) => one.port === port)?.tls;
  return (own ?? frontend?.default)?.validation;
}

/**
 * Whose certificates clients may have. Without one authority that can be used `roots` is undefined: nobody may be let in
 * then.
 */
export function clientRoots(
  t: Translation,
  gateway: K8sGateway,
  { caCertificateRefs, mode = "AllowValidOnly" }: GatewayFrontendValidation,
): { readonly roots: ClientRoots | undefined; readonly problems: readonly RootsProblem[] } {
  const problems: RootsProblem[] = [];
  const found: Authorities[] = [];
  for (const reference of caCertificateRefs) {
    const one = authoritiesOf(t, gateway, reference);
    if ("reason" in one) problems.push(one);
    else found.push(one);
  }
  const [first] = found;
  if (first === undefined) return { roots: undefined, problems };
  const lists = found.flatMap(({ crl }) => crl ?? []);
  const roots: ClientRoots = {
    required: mode === "AllowValidOnly",
    pem: joined(found.map(({ pem }) => pem)),
    crl: lists.length === 0 ? undefined : joined(lists),
  };
  return { roots, problems };
}

interface Authorities {
  readonly pem: string;
  readonly crl: string | undefined;
}

function authoritiesOf(
  t: Translation,
  gateway: K8sGateway,
  { group = "", kind = "", name, namespace = gateway.metadata.namespace }: SecretReference,
): Authorities | RootsProblem {
  const full = `${kind} ${namespace}/${name}`;
  if (group !== "" || (kind !== "ConfigMap" && kind !== "Secret")) {
    const what = group === "" ? full : `${group}/${full}`;
    return {
      reason: "InvalidCACertificateKind",
      message: `${what} has no authorities: use a ConfigMap or a Secret`,
    };
  }
  if (namespace !== gateway.metadata.namespace && !isGranted(t, gateway, { group, kind, name, namespace })) {
    const message = `no ReferenceGrant in namespace ${namespace} lets Gateways of namespace ${gateway.metadata.namespace} refer to ${kind} ${name}`;
    return { reason: "RefNotPermitted", message };
  }
  const text = kind === "Secret" ? secretText(t, name, namespace) : configMapText(t, name, namespace);
  const pem = text(AUTHORITY_KEYS);
  if (pem !== undefined && isCertificates(pem)) return { pem, crl: text(REVOCATION_KEYS) };
  const message =
    pem === undefined
      ? `there is no ${full} with certificates of authorities in ca.crt`
      : `ca.crt of ${full} is no certificate in PEM`;
  return { reason: "InvalidCACertificateRef", message };
}

type TextOf = (keys: readonly string[]) => string | undefined;

function secretText(t: Translation, name: string, namespace: string): TextOf {
  const data = visibleData(t, name, namespace) ?? {};
  return (keys) => {
    const bytes = bytesOf(data, keys);
    return bytes && getTextEncoding().decodeUtf8(bytes);
  };
}

function configMapText(t: Translation, name: string, namespace: string): TextOf {
  const object = t
    .objects(CONFIG_MAP)
    .find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  const { data = {} } = (object?.extra ?? {}) as ConfigMapParts;
  return (keys) => {
    const key = keys.find((each) => Object.hasOwn(data, each));
    return key === undefined ? undefined : data[key];
  };
}

/** One or more certificates; whether they can be read, OpenSSL says: until then nobody is let in. */
function isCertificates(pem: string): boolean {
  return /-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/.test(pem);
}

function joined(texts: readonly string[]): string {
  return texts.map((text) => (text.endsWith("\n") ? text : `${text}\n`)).join("");
}
