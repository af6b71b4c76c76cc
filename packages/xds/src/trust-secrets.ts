import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";

import type { DataSource } from "./gen/envoy/config/core/v3/base_pb.js";
import { SecretSchema, type Secret } from "./gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { SPIFFECertValidatorConfigSchema } from "./gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js";

/** Name of the secret with a workload's own chain and key. Istio's. */
export const WORKLOAD_SECRET = "default";
/** Name of the secret with the roots that peers are verified against. Istio's. */
export const ROOT_SECRET = "ROOTCA";
/** Name of the secret that says how long expired certificates of peers still count: a duration such as `3600s`. */
export const GRACE_SECRET = "tulle.dev/expired-certificate-grace";

/** Name of the secret with the keys that JWT-SVIDs are verified with: a JSON object of JWK Sets by trust domain. */
export const JWT_BUNDLES_SECRET = "tulle.dev/jwt-bundles";

/** Envoy's certificate validator that knows SPIFFE's trust domains. */
const SPIFFE_VALIDATOR = "envoy.tls.cert_validator.spiffe";

/** Roots by trust domain, PEM. */
export interface TrustedRoots {
  readonly trustDomain: string;
  readonly bundles: Readonly<Record<string, string>>;
  /** Revocation lists of the authorities, PEM; "" = none. */
  readonly revocationListsPem: string;
}

/**
 * The secret `ROOTCA`: the own trust domain's roots as `trusted_ca`, and where there are others all of them for Envoy's
 * SPIFFE validator, which holds every peer against the roots of its own trust domain. What was taken back is in `crl`.
 */
export function rootSecret(
  { trustDomain, bundles, revocationListsPem }: TrustedRoots,
  validator: boolean,
): Secret {
  const inline = (pem: string) => ({ specifier: { case: "inlineString", value: pem } }) as const;
  return create(SecretSchema, {
    name: ROOT_SECRET,
    type: {
      case: "validationContext",
      value: {
        trustedCa: inline(bundles[trustDomain] ?? ""),
        // Not every authority of a chain has taken something back.
        ...(revocationListsPem !== "" && { crl: inline(revocationListsPem), onlyVerifyLeafCertCrl: true }),
        ...(validator && {
          customValidatorConfig: {
            name: SPIFFE_VALIDATOR,
            typedConfig: anyPack(
              SPIFFECertValidatorConfigSchema,
              create(SPIFFECertValidatorConfigSchema, {
                trustDomains: Object.entries(bundles).map(([name, pem]) => ({
                  name,
                  trustBundle: inline(pem),
                })),
              }),
            ),
          },
        }),
      },
    },
  });
}

/** Reads what {@link rootSecret} wrote with its validator. Undefined when it is no such secret. */
export function readRootSecret(secret: Secret, trustDomain: string): TrustedRoots | undefined {
  if (secret.name !== ROOT_SECRET || secret.type.case !== "validationContext") return undefined;
  const { trustedCa, crl, customValidatorConfig } = secret.type.value;
  const bundles: Record<string, string> = {};
  const typed = customValidatorConfig?.typedConfig;
  const config = typed === undefined ? undefined : anyUnpack(typed, SPIFFECertValidatorConfigSchema);
  for (const { name, trustBundle } of config?.trustDomains ?? []) bundles[name] = textOf(trustBundle);
  bundles[trustDomain] = textOf(trustedCa);
  return { trustDomain, bundles, revocationListsPem: textOf(crl) };
}

/** The secret {@link GRACE_SECRET}. */
export function graceSecret(graceMs: number): Secret {
  return create(SecretSchema, {
    name: GRACE_SECRET,
    type: {
      case: "genericSecret",
      value: { secret: { specifier: { case: "inlineString", value: `${graceMs / 1000}s` } } },
    },
  });
}

/** Milliseconds; 0 for what is no such secret. */
export function readGraceSecret(secret: Secret): number {
  const value = secret.type.case === "genericSecret" ? textOf(secret.type.value.secret) : "";
  const seconds = /^(\d{1,10}(?:\.\d{1,3})?)s$/.exec(value)?.[1];
  return secret.name === GRACE_SECRET && seconds !== undefined ? Number(seconds) * 1000 : 0;
}

/** The secret {@link JWT_BUNDLES_SECRET}. `bundles`: JWK Sets by trust domain, JSON. */
export function jwtBundlesSecret(bundles: Readonly<Record<string, string>>): Secret {
  return create(SecretSchema, {
    name: JWT_BUNDLES_SECRET,
    type: {
      case: "genericSecret",
      value: { secret: { specifier: { case: "inlineString", value: JSON.stringify(bundles) } } },
    },
  });
}

/** JWK Sets by trust domain, JSON; none for what is no such secret. Throws when it is no JSON. */
export function readJwtBundlesSecret(secret: Secret): Readonly<Record<string, string>> {
  if (secret.name !== JWT_BUNDLES_SECRET || secret.type.case !== "genericSecret") return {};
  const bundles = JSON.parse(textOf(secret.type.value.secret)) as Record<string, unknown>;
  const texts = Object.entries(bundles).filter(([, jwks]) => typeof jwks === "string");
  return Object.fromEntries(texts) as Record<string, string>;
}

export function encodeSecret(secret: Secret): Uint8Array {
  return toBinary(SecretSchema, secret);
}

/** Throws when the bytes are no secret. */
export function decodeSecret(bytes: Uint8Array): Secret {
  return fromBinary(SecretSchema, bytes);
}

function textOf(source: DataSource | undefined): string {
  return source?.specifier.case === "inlineString" ? source.specifier.value : "";
}
