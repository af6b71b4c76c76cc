import { readFileSync } from "node:fs";

import { MeshError, parseDuration } from "@tulle/base";
import type { ControlPlaneOptions, FederatedTrustDomain, JoinIssuer, OidcProvider } from "@tulle/control";
import { parse } from "yaml";
import { InvalidArgumentError, Option, type Command } from "commander";

import { parsePort } from "./options.js";

/** What `tulle up` is told of the mesh's identities, as commander gives it. */
export interface IdentityFlags {
  readonly trustDomain: string;
  readonly trustDomainAliases?: readonly string[];
  readonly certificateTtl?: number;
  readonly rootTtl?: number;
  readonly expiredCertificateGrace?: number;
  readonly joinIssuers?: string;
  readonly oidcProviders?: string;
  readonly federation?: string;
  readonly bundleEndpointPort?: number;
  readonly caDir?: string;
  readonly vaultAddress?: string;
  readonly vaultMount: string;
  readonly vaultRole?: string;
  readonly vaultTokenFile?: string;
  readonly vaultNamespace?: string;
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
    )
    .option(
      "--ca-dir <dir>",
      "sign with an authority under your own root: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem, as Istio's cacerts",
    )
    .option(
      "--join-issuers <file>",
      "whose tokens let workloads join: Kubernetes clusters, clouds, CIs (YAML or JSON; see docs/identity.md)",
    )
    .option(
      "--oidc-providers <file>",
      "OpenID providers whose users log in, and who of them has which role (YAML or JSON; see docs/access.md)",
    )
    .option(
      "--federation <file>",
      "other trust domains whose workloads are let in (YAML or JSON; see docs/identity.md)",
    )
    .addOption(
      new Option(
        "--bundle-endpoint-port <port>",
        "serve this mesh's SPIFFE bundle over HTTPS to other trust domains (default: not served)",
      ).argParser(parsePort),
    )
    .option("--vault-address <url>", "sign with HashiCorp Vault's PKI secrets engine")
    .option("--vault-mount <path>", "where that engine is mounted", "pki")
    .option("--vault-role <name>", "its role")
    .option("--vault-token-file <file>", "Vault token; read again for every request")
    .option("--vault-namespace <name>", "Vault namespace");
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
    ...(flags.caDir !== undefined && { caDirectory: flags.caDir }),
    ...(flags.joinIssuers !== undefined && {
      joinIssuers: readList(flags.joinIssuers, "issuers") as unknown as readonly JoinIssuer[],
    }),
    ...(flags.oidcProviders !== undefined && {
      oidcProviders: readList(flags.oidcProviders, "providers") as unknown as readonly OidcProvider[],
    }),
    ...(flags.federation !== undefined && {
      federation: readList(flags.federation, "trustDomains") as unknown as readonly FederatedTrustDomain[],
    }),
    ...(flags.bundleEndpointPort !== undefined && { bundleEndpointPort: flags.bundleEndpointPort }),
    ...vaultOptions(flags),
  };
}

function vaultOptions(flags: IdentityFlags): Pick<ControlPlaneOptions, "vault"> {
  const { vaultAddress: address, vaultMount: mount, vaultRole: role, vaultTokenFile: tokenFile } = flags;
  const { vaultNamespace: namespace } = flags;
  if (address === undefined) return {};
  if (role === undefined || tokenFile === undefined) {
    throw new MeshError("invalid", "CLI_VAULT", "--vault-address needs --vault-role and --vault-token-file");
  }
  return { vault: { address, mount, role, tokenFile, ...(namespace !== undefined && { namespace }) } };
}

/** The file's list, or that of its key `key`; the control plane checks what is in it. */
function readList(path: string, key: string): readonly Record<string, unknown>[] {
  let content: unknown;
  try {
    content = parse(readFileSync(path, "utf8"));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new MeshError("invalid", "CLI_IDENTITY_FILE", `cannot read ${path}: ${why}`, { cause });
  }
  const list = isRecord(content) ? content[key] : content;
  if (Array.isArray(list) && list.every(isRecord)) return list;
  throw new MeshError("invalid", "CLI_IDENTITY_FILE", `${path} must hold a list, or ${key}: with one`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseTtl(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('expected a duration such as "24h" or "30s".');
  return ms;
}
