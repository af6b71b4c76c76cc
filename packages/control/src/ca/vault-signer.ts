import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";

import { Emitter, MeshError, MutableDisposable, type Clock, type Logger, type Timer } from "@tulle/base";
import { joinPem, parseCertificates, readLeaf, splitPem } from "@tulle/base/spiffe";

import type { AuthorityCertificate, CertificateSigner, SignedLeaf, SignRequest } from "./signer.js";

/** The roots are fetched again this often, milliseconds. */
const REFRESH_EVERY_MS = 60_000;
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 1 << 20;

export interface VaultSignerOptions {
  /** `https://vault.example:8200`. Plain HTTP on loopback only. */
  readonly address: string;
  /** Mount point of the PKI secrets engine and its role: `pki_int`, `tulle`. */
  readonly mount: string;
  readonly role: string;
  /** File with the token; read for every request, so that an agent may renew it. */
  readonly tokenFile: string;
  /** Vault's namespace (Enterprise). */
  readonly namespace?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: the host's. */
  readonly fetch?: typeof fetch;
}

/** What of Vault's answers is read. */
interface SignAnswer {
  readonly data?: {
    readonly certificate?: unknown;
    readonly issuing_ca?: unknown;
    readonly ca_chain?: unknown;
  };
}

/**
 * HashiCorp Vault's PKI secrets engine as the signer: `POST /v1/<mount>/sign/<role>` with the workload's CSR; the roots
 * come from `GET /v1/<mount>/ca_chain`. What Vault answers is checked as anybody's answer: the certificate must be for
 * the CSR's key and name exactly whom was asked for.
 */
export class VaultSigner implements CertificateSigner {
  readonly kind = "vault";
  readonly #options: VaultSignerOptions;
  readonly #changed = new Emitter<void>();
  readonly #timer = new MutableDisposable<Timer>();
  #chain: readonly X509Certificate[];

  private constructor(options: VaultSignerOptions, chain: readonly X509Certificate[]) {
    this.#options = options;
    this.#chain = chain;
    this.#refreshLater();
  }

  readonly onChanged = this.#changed.event;

  /** Errors: `invalid` CA_VAULT_ADDRESS, `unavailable` CA_SIGNER when Vault cannot be reached or has no root. */
  static async open(options: VaultSignerOptions): Promise<VaultSigner> {
    checkAddress(options.address);
    return new VaultSigner(options, await fetchChain(options));
  }

  get trustBundlePem(): string {
    return joinPem(this.#chain.filter(isRoot).map((one) => one.toString()));
  }

  get intermediatesPem(): string {
    return joinPem(this.#chain.filter((one) => !isRoot(one)).map((one) => one.toString()));
  }

  certificates(): readonly AuthorityCertificate[] {
    return this.#chain.map((certificate) => ({
      id: certificate.serialNumber,
      phase: isRoot(certificate) ? "active" : "issuer",
      pem: `${certificate.toString().trim()}\n`,
      notBefore: Date.parse(certificate.validFrom),
      notAfter: Date.parse(certificate.validTo),
    }));
  }

  async sign(request: SignRequest): Promise<SignedLeaf> {
    const { mount, role } = this.#options;
    const named = (type: string): string =>
      request.names.flatMap((name) => (name.type === type ? [name.value] : [])).join(",");
    const { data } = (await call(this.#options, "POST", `${mount}/sign/${role}`, {
      csr: request.csrPem,
      uri_sans: named("url"),
      alt_names: named("dns"),
      ip_sans: named("ip"),
      exclude_cn_from_sans: true,
      ttl: `${Math.ceil(request.ttlMs / 1000)}s`,
      format: "pem",
    })) as SignAnswer;
    const [leafPem = ""] = splitPem(String(data?.certificate));
    const { ca_chain: sent } = data ?? {};
    const above = Array.isArray(sent) ? sent.map(String) : [String(data?.issuing_ca)];
    checkLeaf(leafPem, request);
    const chain = parseCertificates(joinPem(above)).filter((one) => !isRoot(one));
    const leaf = new X509Certificate(leafPem);
    return {
      chainPem: [leafPem, ...chain.map((one) => `${one.toString().trim()}\n`)],
      serialNumber: leaf.serialNumber,
      notBefore: Date.parse(leaf.validFrom),
      notAfter: Date.parse(leaf.validTo),
    };
  }

  /** Fetches the roots again. Never rejects: the last good ones stay. */
  async refresh(): Promise<void> {
    try {
      const chain = await fetchChain(this.#options);
      const before = this.#chain.map((one) => one.fingerprint256).join();
      if (chain.map((one) => one.fingerprint256).join() === before) return;
      this.#chain = chain;
      this.#changed.emit();
    } catch (thrown) {
      this.#options.logger.warn("cannot fetch Vault's roots; going on with those that are known", {
        error: thrown,
      });
    }
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #refreshLater(): void {
    const again = (): void => void this.refresh().then(() => this.#refreshLater());
    this.#timer.value = this.#options.clock.setTimeout(again, REFRESH_EVERY_MS, { keepAlive: false });
  }
}

function checkAddress(address: string): void {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const loopback = url !== undefined && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && loopback)) return;
  throw new MeshError(
    "invalid",
    "CA_VAULT_ADDRESS",
    `${address} is no address of Vault to send CSRs and a token to: use https://…, or http:// on loopback`,
  );
}

/** Vault signs what its role allows; only what was asked for is passed on. */
function checkLeaf(pem: string, { key, names }: SignRequest): void {
  const wanted = names.find(({ type }) => type === "url")?.value;
  const leaf = pem === "" ? undefined : new X509Certificate(pem);
  if (leaf === undefined || readLeaf(leaf.raw)?.spiffeId !== wanted) {
    throw unusable(
      `its certificate is no SVID of ${wanted}; the role must allow the URI, and both server and client use`,
    );
  }
  if (!leaf.publicKey.export({ type: "spki", format: "der" }).equals(key.spki)) {
    throw unusable("its certificate is for another key");
  }
}

async function fetchChain(options: VaultSignerOptions): Promise<readonly X509Certificate[]> {
  const pem = String(await call(options, "GET", `${options.mount}/ca_chain`));
  const chain = parseCertificates(pem);
  if (!chain.some(isRoot)) {
    throw unusable(`${options.mount}/ca_chain has no root; import the root into the mount's issuers`);
  }
  return chain;
}

/**
 * The answer's JSON, or its text where it is PEM. Not behind the guard of addresses: the operator has written the address, which
 * may be an agent's on this machine; redirects are refused, and anything but loopback must prove its name before it is told the token.
 */
async function call(
  { address, namespace, tokenFile, fetch: doFetch = fetch }: VaultSignerOptions,
  method: "GET" | "POST",
  path: string,
  body?: object,
): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    const token = (await readFile(tokenFile, "utf8")).trim();
    response = await doFetch(`${address.replace(/\/$/, "")}/v1/${path}`, {
      method,
      headers: {
        "x-vault-token": token,
        "x-vault-request": "true",
        ...(namespace !== undefined && { "x-vault-namespace": namespace }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await readLimited(response);
  } catch (thrown) {
    throw new MeshError("unavailable", "CA_SIGNER", `Vault at ${address} cannot be asked`, { cause: thrown });
  }
  if (!response.ok) throw unusable(`${method} ${path} gave ${response.status}: ${errorsOf(text)}`);
  if (!(response.headers.get("content-type") ?? "").includes("json")) return text;
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw unusable("its answer is no JSON", thrown);
  }
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error("the answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Vault's own words. */
function errorsOf(text: string): string {
  try {
    const { errors = [] } = JSON.parse(text) as { readonly errors?: readonly unknown[] };
    return errors.map(String).join("; ").slice(0, 500);
  } catch {
    return "no reason given";
  }
}

function isRoot(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate);
}

function unusable(why: string, cause?: unknown): MeshError {
  return new MeshError("unavailable", "CA_SIGNER", `Vault did not sign: ${why}`, { cause });
}
