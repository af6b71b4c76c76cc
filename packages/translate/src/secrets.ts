import { create } from "@bufbuild/protobuf";
import type { ClientTlsSettings, DestinationRuleSpec } from "@tulle/api";
import {
  SecretSchema,
  type Secret,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { gatewayCredentials } from "./gateway/credentials.js";
import { DESTINATION_RULE } from "./kinds.js";
import {
  AUTHORITY_KEYS,
  AUTHORITY_SUFFIX,
  bytesOf,
  CERTIFICATE_KEYS,
  FOREIGN_PREFIX,
  PREFIX,
  PRIVATE_KEY_KEYS,
  REVOCATION_KEYS,
  visibleData,
} from "./secret-data.js";
import type { Translation } from "./translation.js";
import { isExported, selects } from "./visibility.js";

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
function clientTlsOf({ trafficPolicy, subsets = [] }: DestinationRuleSpec): readonly ClientTlsSettings[] {
  return [trafficPolicy, ...subsets.map((subset) => subset.trafficPolicy)].flatMap((policy) =>
    [policy, ...(policy?.portLevelSettings ?? [])].flatMap((settings) => settings?.tls ?? []),
  );
}

function inline(value: Uint8Array) {
  return { specifier: { case: "inlineBytes", value } } as const;
}
