import { parseDuration } from "@tulle/base";
import type { ControlPlaneOptions } from "@tulle/control";
import { InvalidArgumentError, Option, type Command } from "commander";

/** What `tulle up` is told of the mesh's identities, as commander gives it. */
export interface IdentityFlags {
  readonly trustDomain: string;
  readonly trustDomainAliases?: readonly string[];
  readonly certificateTtl?: number;
  readonly rootTtl?: number;
  readonly expiredCertificateGrace?: number;
}

/** Adds the flags of the certificate authority to `tulle up`. */
export function addIdentityFlags(command: Command): void {
  command
    .option("--trust-domain <name>", "of the SPIFFE identities", "cluster.local")
    .addOption(
      new Option(
        "--trust-domain-aliases <names>",
        "former or further names of the trust domain, separated by commas: peers of these are let in as well",
      ).argParser((text) => text.split(",").map((name) => name.trim())),
    )
    .addOption(
      new Option(
        "--certificate-ttl <duration>",
        "lifetime of workload certificates, at least 5s (default: 24h)",
      ).argParser(parseTtl),
    )
    .addOption(
      new Option(
        "--root-ttl <duration>",
        "lifetime of the mesh's own roots, which are replaced when a third is left (default: 87600h)",
      ).argParser(parseTtl),
    )
    .addOption(
      new Option(
        "--expired-certificate-grace <duration>",
        "let sidecars take each other's expired certificates for so long, with warnings (default: 0s)",
      ).argParser(parseTtl),
    );
}

/** The flags as the control plane takes them. */
export function identityOptions(flags: IdentityFlags): Partial<ControlPlaneOptions> {
  const { trustDomain, trustDomainAliases, certificateTtl, rootTtl, expiredCertificateGrace } = flags;
  return {
    trustDomain,
    ...(trustDomainAliases !== undefined && { trustDomainAliases }),
    ...(certificateTtl !== undefined && { certificateTtlMs: certificateTtl }),
    ...(rootTtl !== undefined && { rootTtlMs: rootTtl }),
    ...(expiredCertificateGrace !== undefined && { expiredCertificateGraceMs: expiredCertificateGrace }),
  };
}

function parseTtl(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('expected a duration such as "24h" or "30s".');
  return ms;
}
