import type { ServerTlsSettings } from "@tulle/api";
import type { Translation } from "../translation.js";
import { servedPorts } from "./ports.js";

/** What the name of a Secret may end with that holds only the roots of clients' certificates. */
const ROOTS_SUFFIX = "-cacert";

/** Names of the Secrets that a server's certificates are in. */
export function certificateCredentials({
  credentialName,
  credentialNames = [],
}: ServerTlsSettings): readonly string[] {
  return credentialName === undefined ? credentialNames : [credentialName];
}

/** Name of the Secret that the roots of a server's clients are in, without its suffix; undefined when they are in none. */
export function rootsCredential(tls: ServerTlsSettings): string | undefined {
  if (tls.mode !== "MUTUAL" && tls.mode !== "OPTIONAL_MUTUAL") return undefined;
  const name = tls.caCertCredentialName ?? certificateCredentials(tls)[0];
  return name?.endsWith(ROOTS_SUFFIX) === true ? name.slice(0, -ROOTS_SUFFIX.length) : name;
}

/** Names of Secrets that the servers need which a gateway opens. */
export interface GatewayCredentials {
  readonly certificates: ReadonlySet<string>;
  readonly authorities: ReadonlySet<string>;
  /** Of other namespaces, which permit it: `namespace/name`. */
  readonly foreign: ReadonlySet<string>;
}

/** What this gateway may see of Secrets; of a client that is none: nothing. */
export function gatewayCredentials(t: Translation): GatewayCredentials {
  const servers = servedPorts(t).flatMap((port) => port.servers);
  const needed = servers.flatMap(({ tls }) => tls ?? []);
  const listed = servers.flatMap(({ credentials = [] }) => credentials);
  const isOwn = ({ namespace }: { readonly namespace: string }): boolean => namespace === t.view.namespace;
  return {
    certificates: new Set([
      ...needed.flatMap(certificateCredentials),
      ...listed.filter(isOwn).map(({ name }) => name),
    ]),
    foreign: new Set(
      listed.filter((one) => !isOwn(one)).map(({ namespace, name }) => `${namespace}/${name}`),
    ),
    authorities: new Set(needed.flatMap((tls) => rootsCredential(tls) ?? [])),
  };
}
