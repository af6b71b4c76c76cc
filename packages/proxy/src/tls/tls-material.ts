import { MeshError } from "@tulle/base";
import type { WatchedFiles } from "@tulle/base/files";
import type {
  CertificateSource,
  PemSource,
  SecretName,
  Snapshot,
  TlsSecret,
  TrustSource,
} from "@tulle/engine";

export interface TlsMaterialOptions {
  readonly files: WatchedFiles;
  /** Where Secrets are looked up. */
  readonly configuration: { readonly current: Pick<Snapshot, "secret"> };
  /** What is said of a Secret that is not there, as the end of a sentence. */
  readonly absent: string;
}

/**
 * Gets what a TLS configuration names, and knows the files and Secrets that it came from. Throws `unavailable`
 * PROXY_TLS_SECRET or FILE_UNREADABLE for what is not there.
 */
export class TlsMaterial {
  readonly #options: TlsMaterialOptions;
  readonly #files = new Set<string>();
  readonly #secrets = new Map<string, TlsSecret | undefined>();

  constructor(options: TlsMaterialOptions) {
    this.#options = options;
  }

  /** Everything is got anew. */
  clear(): void {
    this.#files.clear();
    this.#secrets.clear();
  }

  isFrom(paths: ReadonlySet<string>): boolean {
    return [...this.#files].some((path) => paths.has(path));
  }

  /** Whether one of its Secrets is another now. */
  isOutdated(): boolean {
    const { current } = this.#options.configuration;
    return [...this.#secrets].some(([name, secret]) => current.secret(name) !== secret);
  }

  certificate(source: CertificateSource | SecretName): CertificateSource {
    if (!("secret" in source)) return source;
    const { certificate } = this.#secret(source.secret);
    if (certificate === undefined) throw missing(source.secret, "holds no certificate");
    return certificate;
  }

  trust(source: TrustSource | SecretName): TrustSource {
    if (!("secret" in source)) return source;
    const { trust } = this.#secret(source.secret);
    if (trust === undefined) throw missing(source.secret, "holds no authority");
    return trust;
  }

  pem(source: PemSource): string {
    if ("pem" in source) return source.pem;
    this.#files.add(source.file);
    return this.#options.files.read(source.file);
  }

  #secret(name: string): TlsSecret {
    const secret = this.#options.configuration.current.secret(name);
    this.#secrets.set(name, secret);
    if (secret === undefined) throw missing(name, this.#options.absent);
    return secret;
  }
}

/** A Secret cannot be used; `why` ends the sentence. */
export function missing(secret: string, why: string): MeshError {
  return new MeshError("unavailable", "PROXY_TLS_SECRET", `the secret ${secret} ${why}`);
}
