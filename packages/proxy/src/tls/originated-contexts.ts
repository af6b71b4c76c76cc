import {
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type SecureContextOptions,
} from "node:tls";

import { DisposableStack, Emitter, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import { WatchedFiles } from "@tulle/base/files";
import type { EndpointPart, OriginatedTls, Snapshot } from "@tulle/engine";

import type { Counter, MetricsRegistry } from "../telemetry/metrics.js";
import { systemRootsFile } from "./system-roots.js";
import { TlsMaterial } from "./tls-material.js";
import { tlsOptions } from "./tls-options.js";

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
  readonly material: TlsMaterial;
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
    this.#files = this.#owned.use(new WatchedFiles({ clock: options.clock, logger: options.logger }));
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
        material: new TlsMaterial({
          files: this.#files,
          configuration: this.#options.configuration,
          absent: "does not exist or has not arrived",
        }),
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
    for (const made of this.#made.values()) if (made.material.isOutdated()) this.#remake(made);
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
    for (const made of this.#made.values()) if (made.material.isFrom(paths)) this.#remake(made);
  }

  #remake(made: Made): void {
    if (this.#make(made)) this.#changed.emit(made.tls.key);
  }

  #make(made: Made): boolean {
    const { clock, logger } = this.#options;
    made.material.clear();
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

  #contextOptions({ tls, material }: Made): SecureContextOptions {
    const { trust, certificate, settings } = tls;
    const options: SecureContextOptions = tlsOptions(settings);
    if (certificate !== undefined) {
      const { chain, key } = material.certificate(certificate);
      options.cert = material.pem(chain);
      options.key = material.pem(key);
    }
    if (trust === undefined) return options;
    const { roots, crl } = material.trust(trust);
    options.ca = roots === "system" ? this.#systemRoots(material) : material.pem(roots);
    if (crl !== undefined) options.crl = material.pem(crl);
    return options;
  }

  #systemRoots(material: TlsMaterial): string | string[] {
    const path = this.#options.systemRootsFile ?? systemRootsFile();
    return path === undefined ? [...rootCertificates] : material.pem({ file: path });
  }
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
