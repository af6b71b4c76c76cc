import {
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type SecureContextOptions,
} from "node:tls";

import { DisposableStack, Emitter, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import type {
  CertificateSource,
  EndpointPart,
  OriginatedTls,
  PemSource,
  SecretName,
  Snapshot,
  TlsSecret,
  TrustSource,
} from "@tulle/engine";

import type { Counter, MetricsRegistry } from "../telemetry/metrics.js";
import { systemRootsFile } from "./system-roots.js";
import { tlsOptions } from "./tls-options.js";
import { WatchedFiles } from "./watched-files.js";

/** Files that cannot be used are read again, when somebody wants to connect, so long after. */
const RETRY_MS = 1000;

export interface OriginatedContextsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Where Secrets are looked up. */
  readonly configuration: { readonly current: Pick<Snapshot, "secret"> };
  /** File with the authorities that are believed where none are named; default: the operating system's. */
  readonly systemRootsFile?: string | undefined;
}

/** A context with what it was made of. */
interface Made {
  readonly tls: OriginatedTls;
  /** Undefined as long as there has never been one. */
  context: SecureContext | undefined;
  files: Set<string>;
  secrets: Map<string, TlsSecret | undefined>;
  /** Why the newest certificates cannot be used; undefined = they are. */
  failure: MeshError | undefined;
  failedAtMs: number;
}

/**
 * TLS contexts for connections to servers outside the mesh: one for each configuration, made anew when its files or Secrets
 * change. What cannot be used replaces nothing that could.
 */
export class OriginatedContexts implements Disposable {
  readonly #options: OriginatedContextsOptions;
  readonly #owned = new DisposableStack();
  readonly #files: WatchedFiles;
  readonly #changed = new Emitter<string>();
  readonly #made = new Map<string, Made>();
  readonly #reloads: Counter;
  readonly #failures: Counter;

  constructor(options: OriginatedContextsOptions) {
    this.#options = options;
    this.#files = this.#owned.use(new WatchedFiles(options.clock, options.logger));
    this.#owned.use(this.#files.onChanged((paths) => this.#onFiles(paths)));
    const counts = options.metrics.counter(
      "tulle_tls_context_updates_total",
      "Certificates for TLS to servers outside the mesh that were taken into use, by result.",
    );
    this.#reloads = counts.with(["result", "success"]);
    this.#failures = counts.with(["result", "failure"]);
  }

  /** Fires with the key of a configuration whose connections should be made anew. */
  readonly onChanged = this.#changed.event;

  /** Throws `unavailable` while certificates cannot be read, used, or have not arrived. */
  contextOf(tls: OriginatedTls): SecureContext {
    let made = this.#made.get(tls.key);
    if (made === undefined) {
      made = {
        tls,
        context: undefined,
        files: new Set(),
        secrets: new Map(),
        failure: undefined,
        failedAtMs: Number.NEGATIVE_INFINITY,
      };
      this.#made.set(tls.key, made);
    }
    const { clock } = this.#options;
    if (made.context === undefined && clock.monotonic() - made.failedAtMs >= RETRY_MS) this.#make(made);
    if (made.context !== undefined) return made.context;
    throw made.failure ?? new MeshError("internal", "PROXY_TLS_CONTEXT", "there is no TLS context");
  }

  /** Secrets may have changed. */
  onConfigurationChanged(): void {
    const { current } = this.#options.configuration;
    for (const made of this.#made.values()) {
      const changed = [...made.secrets].some(([name, secret]) => current.secret(name) !== secret);
      if (changed) this.#remake(made);
    }
  }

  /** Forgets the contexts that no endpoint among these is reached with. */
  keepOnly(endpoints: Iterable<EndpointPart>): void {
    if (this.#made.size === 0) return;
    const keys = new Set<string>();
    for (const { tls } of endpoints) if (tls !== undefined) keys.add(tls.key);
    for (const key of this.#made.keys()) if (!keys.has(key)) this.#made.delete(key);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  #onFiles(paths: ReadonlySet<string>): void {
    for (const made of this.#made.values()) {
      if ([...made.files].some((path) => paths.has(path))) this.#remake(made);
    }
  }

  #remake(made: Made): void {
    if (this.#make(made)) this.#changed.emit(made.tls.key);
  }

  #make(made: Made): boolean {
    const { clock, logger } = this.#options;
    made.files = new Set();
    made.secrets = new Map();
    try {
      made.context = createSecureContext(this.#contextOptions(made));
      made.failure = undefined;
      this.#reloads.inc();
      return true;
    } catch (thrown) {
      made.failure = unusable(thrown);
      made.failedAtMs = clock.monotonic();
      this.#failures.inc();
      const what =
        made.context === undefined
          ? "TLS to a server outside the mesh is not possible"
          : "new certificates cannot be used; those from before stay in use";
      logger.warn(what, { serverName: made.tls.sni, error: made.failure });
      return false;
    }
  }

  #contextOptions(made: Made): SecureContextOptions {
    const { trust, certificate, settings } = made.tls;
    const options: SecureContextOptions = tlsOptions(settings);
    if (certificate !== undefined) {
      const { chain, key } = this.#certificate(made, certificate);
      options.cert = this.#pem(made, chain);
      options.key = this.#pem(made, key);
    }
    if (trust === undefined) return options;
    const { roots, crl } = this.#trust(made, trust);
    options.ca = roots === "system" ? this.#systemRoots(made) : this.#pem(made, roots);
    if (crl !== undefined) options.crl = this.#pem(made, crl);
    return options;
  }

  #certificate(made: Made, source: CertificateSource | SecretName): CertificateSource {
    if (!("secret" in source)) return source;
    const { certificate } = this.#secret(made, source.secret);
    if (certificate === undefined) throw missing(source.secret, "holds no certificate");
    return certificate;
  }

  #trust(made: Made, source: TrustSource | SecretName): TrustSource {
    if (!("secret" in source)) return source;
    const { trust } = this.#secret(made, source.secret);
    if (trust === undefined) throw missing(source.secret, "holds no authority");
    return trust;
  }

  #secret(made: Made, name: string): TlsSecret {
    const secret = this.#options.configuration.current.secret(name);
    made.secrets.set(name, secret);
    if (secret === undefined) throw missing(name, "does not exist or has not arrived");
    return secret;
  }

  #systemRoots(made: Made): string | string[] {
    const path = this.#options.systemRootsFile ?? systemRootsFile();
    return path === undefined ? [...rootCertificates] : this.#pem(made, { file: path });
  }

  #pem(made: Made, source: PemSource): string {
    if ("pem" in source) return source.pem;
    made.files.add(source.file);
    return this.#files.read(source.file);
  }
}

function missing(secret: string, why: string): MeshError {
  return new MeshError("unavailable", "PROXY_TLS_SECRET", `the secret ${secret} ${why}`);
}

/** What OpenSSL says of a PEM text never quotes it. */
function unusable(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new MeshError(
    "unavailable",
    "PROXY_TLS_CONTEXT",
    `certificate, key or authorities cannot be used: ${why}`,
    {
      cause: thrown,
    },
  );
}
