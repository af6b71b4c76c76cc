import "reflect-metadata";
import { createPrivateKey, webcrypto, X509Certificate, type KeyObject } from "node:crypto";
import { join } from "node:path";

import * as x509 from "@peculiar/x509";
import { Emitter, MeshError, type Clock, type Logger } from "@tulle/base";
import { WatchedFiles } from "@tulle/base/files";
import {
  joinPem,
  KeyUsage,
  readCertificate,
  RevocationLists,
  splitPem,
  splitRevocationLists,
} from "@tulle/base/spiffe";

import { serialNumber, type RandomBytes } from "./serial-number.js";
import { signLeaf, type Issuer } from "./sign-leaf.js";
import type { AuthorityCertificate, CertificateSigner, SignedLeaf, SignRequest } from "./signer.js";

/** Files of the directory, as Istio's secret `cacerts` names them. */
const FILES = {
  certificate: "ca-cert.pem",
  key: "ca-key.pem",
  roots: "root-cert.pem",
  chain: "cert-chain.pem",
  revocations: "ca-crl.pem",
} as const;

/** Files are read so long after the first sign of a change, milliseconds; and looked at so often where nobody tells of one. */
const SETTLE_MS = 250;
const LOOK_EVERY_MS = 10_000;
/** Revocation lists go to every workload, with the roots. */
const MAX_LISTS_BYTES = 1 << 20;
/** Revocation lists may be from so far in the future. */
const CLOCK_SKEW_MS = 300_000;

export interface DirectorySignerOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
}

/** What is in the directory. */
interface Material {
  /** Everything as it was read, to see changes. */
  readonly text: string;
  readonly issuer: Issuer;
  readonly rootsPem: string;
  readonly revocationListsPem: string;
  readonly certificates: readonly AuthorityCertificate[];
}

/**
 * An intermediate authority under a user's root, from files in the layout of Istio's `cacerts`: `ca-cert.pem`,
 * `ca-key.pem` (P-256, P-384, P-521 or RSA), `root-cert.pem` (one or several roots), `cert-chain.pem` (from the
 * authority up to the root; may be missing where a root signs itself) and `ca-crl.pem` (revocation lists; may be missing). Read again when they change; files that do not
 * fit together are refused and the former ones stay.
 */
export class DirectorySigner implements CertificateSigner {
  readonly kind = "directory";
  readonly #options: DirectorySignerOptions;
  readonly #changed = new Emitter<void>();
  readonly #files: WatchedFiles;
  #material: Material;
  #refused = "";

  private constructor(options: DirectorySignerOptions, files: WatchedFiles, material: Material) {
    this.#options = options;
    this.#files = files;
    this.#material = material;
    files.onChanged(() => void this.reload());
  }

  readonly onChanged = this.#changed.event;

  /** Errors: `invalid` CA_DIRECTORY, which says what is wrong with which file. */
  static async open(options: DirectorySignerOptions): Promise<DirectorySigner> {
    const files = new WatchedFiles({ ...options, settleMs: SETTLE_MS, lookEveryMs: LOOK_EVERY_MS });
    try {
      return new DirectorySigner(options, files, await read(options, files));
    } catch (thrown) {
      files[Symbol.dispose]();
      throw thrown;
    }
  }

  get trustBundlePem(): string {
    return this.#material.rootsPem;
  }

  get revocationListsPem(): string {
    return this.#material.revocationListsPem;
  }

  get intermediatesPem(): string {
    return joinPem(this.#material.issuer.chainPem);
  }

  certificates(): readonly AuthorityCertificate[] {
    return this.#material.certificates;
  }

  sign(request: SignRequest): Promise<SignedLeaf> {
    const { issuer } = this.#material;
    if (request.nowMs >= issuer.notAfterMs) {
      const ended = new Date(issuer.notAfterMs).toISOString();
      const message = `the authority in ${this.#options.directory} expired at ${ended}; put a new one there`;
      return Promise.reject(new MeshError("unavailable", "CA_SIGNER", message));
    }
    return signLeaf(issuer, serialNumber(this.#options.randomBytes), request);
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }

  /** Reads the files again. Never rejects. */
  async reload(): Promise<void> {
    const { logger, directory } = this.#options;
    try {
      const material = await read(this.#options, this.#files);
      this.#refused = "";
      if (material.text === this.#material.text) return;
      this.#material = material;
      logger.info("the authority in the directory has changed", { directory });
      this.#changed.emit();
    } catch (thrown) {
      const { message } = MeshError.from(thrown);
      // Said once: files are looked at again and again.
      if (message === this.#refused) return;
      this.#refused = message;
      logger.error("the authority in the directory cannot be used; going on with the former one", {
        directory,
        error: thrown,
      });
    }
  }
}

async function read({ directory, clock }: DirectorySignerOptions, files: WatchedFiles): Promise<Material> {
  const optional = (file: string): string => files.readIfPresent(join(directory, file)) ?? "";
  const [certificatePem = "", keyPem = "", rootsPem = ""] = [FILES.certificate, FILES.key, FILES.roots].map(
    (file) => readPem(files, directory, file),
  );
  const [chainPem, revocationsPem] = [optional(FILES.chain), optional(FILES.revocations)];
  const wrong = (file: string, why: string, cause?: unknown): MeshError =>
    new MeshError("invalid", "CA_DIRECTORY", `${join(directory, file)} ${why}`, { cause });
  const parse = (file: string, pem: string): X509Certificate[] => {
    try {
      return splitPem(pem).map((block) => new X509Certificate(block));
    } catch (thrown) {
      throw wrong(file, "holds a certificate that cannot be read", thrown);
    }
  };
  const [certificate] = parse(FILES.certificate, certificatePem);
  const roots = parse(FILES.roots, rootsPem);
  if (certificate === undefined) throw wrong(FILES.certificate, "holds no certificate");
  if (roots.length === 0) throw wrong(FILES.roots, "holds no certificate");
  const facts = readCertificate(certificate.raw);
  if (
    facts === undefined ||
    !facts.ca ||
    ((facts.keyUsage ?? KeyUsage.keyCertSign) & KeyUsage.keyCertSign) === 0
  )
    throw wrong(
      FILES.certificate,
      "is no authority's: it needs basic constraints CA:TRUE and the usage keyCertSign",
    );
  if (facts.weakness !== undefined) throw wrong(FILES.certificate, `cannot be used: ${facts.weakness}`);
  const key = privateKey(keyPem, (why, cause) => wrong(FILES.key, why, cause));
  if (!certificate.checkPrivateKey(key)) throw wrong(FILES.key, `is not the key of ${FILES.certificate}`);

  const isRoot = roots.some((root) => root.raw.equals(certificate.raw));
  const chain = isRoot ? [] : [certificate, ...parse(FILES.chain, chainPem)].filter(unique);
  if (!isRoot && !leadsUp(chain, roots))
    throw wrong(FILES.chain, `does not lead from ${FILES.certificate} to a root of ${FILES.roots}`);
  const path = chain.filter((one) => !roots.some((root) => root.raw.equals(one.raw)));
  const unusable = whyUnusable(revocationsPem, [certificate, ...chain, ...roots], clock.now());
  if (unusable !== undefined) throw wrong(FILES.revocations, unusable);
  const ends = [certificate, ...path].map(({ validTo }) => Date.parse(validTo));
  return {
    text: [certificatePem, keyPem, rootsPem, chainPem, revocationsPem].join(),
    rootsPem: joinPem([rootsPem]),
    revocationListsPem: splitRevocationLists(revocationsPem).join(""),
    certificates: [
      ...(isRoot ? [] : [describe(certificate, "issuer")]),
      ...roots.map((root) => describe(root, "active")),
    ],
    issuer: {
      certificate: new x509.X509Certificate(certificate.raw),
      ...(await importKey(key)),
      chainPem: path.map((one) => `${one.toString().trim()}\n`),
      notAfterMs: Math.min(...ends),
    },
  };
}

function readPem(files: WatchedFiles, directory: string, file: string): string {
  try {
    return files.read(join(directory, file));
  } catch (thrown) {
    const message = `${MeshError.from(thrown).message}: the directory must hold ${Object.values(FILES).slice(0, 4).join(", ")}, as Istio's secret cacerts`;
    throw new MeshError("invalid", "CA_DIRECTORY", message, { cause: thrown });
  }
}

function privateKey(pem: string, wrong: (why: string, cause?: unknown) => MeshError): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (thrown) {
    throw wrong("is no private key in PEM without a password", thrown);
  }
}

async function importKey(key: KeyObject): Promise<Pick<Issuer, "signingKey" | "signingAlgorithm">> {
  const curves: Readonly<Record<string, readonly [string, string]>> = {
    prime256v1: ["P-256", "SHA-256"],
    secp384r1: ["P-384", "SHA-384"],
    secp521r1: ["P-521", "SHA-512"],
  };
  const [namedCurve, hash] = curves[key.asymmetricKeyDetails?.namedCurve ?? ""] ?? [undefined, "SHA-256"];
  if (namedCurve === undefined && key.asymmetricKeyType !== "rsa") {
    throw new MeshError("invalid", "CA_DIRECTORY", `${FILES.key} must be RSA or on P-256, P-384 or P-521`);
  }
  const signingAlgorithm =
    namedCurve === undefined ? { name: "RSASSA-PKCS1-v1_5", hash } : { name: "ECDSA", namedCurve, hash };
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, signingAlgorithm, false, ["sign"]);
  return { signingKey, signingAlgorithm };
}

function leadsUp(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  const signed = (below: X509Certificate, above: X509Certificate): boolean =>
    above.ca && below.checkIssued(above) && below.verify(above.publicKey);
  let [current] = chain;
  for (let steps = 0; current !== undefined && steps < chain.length; steps++) {
    const below: X509Certificate = current;
    if (roots.some((root) => signed(below, root))) return true;
    current = chain.find((above) => above !== below && signed(below, above));
  }
  return false;
}

/** Why revocation lists cannot be used; undefined = they can. One whose successor is late counts: what is revoked stays so. */
function whyUnusable(
  pem: string,
  authorities: readonly X509Certificate[],
  nowMs: number,
): string | undefined {
  if (pem.length > MAX_LISTS_BYTES) return `is larger than ${MAX_LISTS_BYTES} bytes`;
  const revocations = new RevocationLists(pem);
  if (revocations.unreadable > 0 || (revocations.lists.length === 0 && pem.trim() !== ""))
    return "holds no revocation list in PEM, or one that cannot be used (a delta or partial list, a weak signature)";
  const known = new Set(
    authorities.flatMap((certificate) => {
      const facts = readCertificate(certificate.raw);
      return facts === undefined ? [] : revocations.listsOf({ certificate, facts });
    }),
  );
  if (revocations.lists.some((list) => !known.has(list)))
    return "holds a revocation list that no authority of this directory has signed";
  if (revocations.lists.some(({ thisUpdate }) => thisUpdate > nowMs + CLOCK_SKEW_MS))
    return "holds a revocation list of the future; check the clocks";
  return undefined;
}

function unique(certificate: X509Certificate, index: number, all: readonly X509Certificate[]): boolean {
  return all.findIndex((other) => other.raw.equals(certificate.raw)) === index;
}

function describe(certificate: X509Certificate, phase: AuthorityCertificate["phase"]): AuthorityCertificate {
  return {
    id: certificate.serialNumber,
    phase,
    pem: `${certificate.toString().trim()}\n`,
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}
