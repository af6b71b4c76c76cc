import { createSecureContext, type SecureContextOptions } from "node:tls";

import {
  DisposableStack,
  Emitter,
  MeshError,
  type Clock,
  type Disposable,
  type Event,
  type Logger,
} from "@tulle/base";
import { WatchedFiles } from "@tulle/base/files";
import type { ServerTls, Snapshot } from "@tulle/engine";

import type { MetricsRegistry } from "../telemetry/metrics.js";
import { missing, TlsMaterial } from "../tls/tls-material.js";
import { SAFE_CIPHERS, tlsOptions } from "../tls/tls-options.js";

export interface ServerContextsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Where Secrets are looked up. */
  readonly configuration: { readonly current: Pick<Snapshot, "secret"> };
}

/** The certificates of one server, as TLS takes them. */
export interface ServerContext {
  /** Undefined as long as they cannot be used, or have not arrived. */
  serverOptions(): SecureContextOptions | undefined;
  /** Fires when options got before are out of date. */
  readonly onChanged: Event<void>;
}

/**
 * Certificates of a gateway's servers, from files and Secrets: read anew when either changes. What cannot be used replaces
 * nothing that could.
 */
export class ServerContexts implements Disposable {
  readonly #options: ServerContextsOptions;
  readonly #owned = new DisposableStack();
  readonly #files: WatchedFiles;
  readonly #contexts = new Map<string, Context>();
  readonly #count: (result: "success" | "failure") => void;

  constructor(options: ServerContextsOptions) {
    this.#options = options;
    this.#files = this.#owned.use(new WatchedFiles({ clock: options.clock, logger: options.logger }));
    this.#owned.use(this.#files.onChanged((paths) => this.#onFiles(paths)));
    const updates = options.metrics.counter(
      "tulle_gateway_certificate_updates_total",
      "Certificates of this gateway's servers that were read, by result.",
    );
    this.#count = (result) => updates.with(["result", result]).inc();
  }

  contextOf(tls: ServerTls): ServerContext {
    let context = this.#contexts.get(tls.key);
    if (context === undefined) {
      context = new Context(
        tls,
        new TlsMaterial({
          files: this.#files,
          configuration: this.#options.configuration,
          absent: "does not exist, or this gateway may not see it",
        }),
      );
      this.#contexts.set(tls.key, context);
      this.#read(context);
    }
    return context;
  }

  /** Secrets may have changed. */
  onConfigurationChanged(): void {
    for (const context of this.#contexts.values()) if (context.material.isOutdated()) this.#read(context);
  }

  /** Forgets the certificates that no server among these has. */
  keepOnly(servers: Iterable<ServerTls>): void {
    const keys = new Set<string>();
    for (const { key } of servers) keys.add(key);
    for (const key of this.#contexts.keys()) if (!keys.has(key)) this.#contexts.delete(key);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  #onFiles(paths: ReadonlySet<string>): void {
    for (const context of this.#contexts.values()) if (context.material.isFrom(paths)) this.#read(context);
  }

  #read(context: Context): void {
    context.material.clear();
    try {
      context.replace(optionsOf(context));
      this.#count("success");
    } catch (thrown) {
      this.#count("failure");
      const error = MeshError.from(thrown);
      const what =
        context.serverOptions() === undefined
          ? "a server of this gateway has no certificate: handshakes fail"
          : "new certificates cannot be used; those from before stay in use";
      this.#options.logger.warn(what, { error });
    }
  }
}

function optionsOf({ tls, material }: Context): SecureContextOptions {
  const { certificates, trust, crl, settings } = tls;
  const ciphers = settings.ciphers.length === 0 ? SAFE_CIPHERS : settings.ciphers;
  const found = certificates.map((source) => material.certificate(source));
  const options: SecureContextOptions = {
    ...tlsOptions({ ...settings, ciphers }),
    honorCipherOrder: true,
    cert: found.map(({ chain }) => material.pem(chain)),
    key: found.map(({ key }) => material.pem(key)),
  };
  if (trust === undefined) return options;
  const roots = material.trust(trust);
  if (roots.roots === "system") throw missing("", "the system's roots are not for clients");
  options.ca = material.pem(roots.roots);
  const lists = [roots.crl, crl].flatMap((list) => (list === undefined ? [] : [material.pem(list)]));
  if (lists.length > 0) options.crl = lists;
  return options;
}

class Context implements ServerContext {
  readonly tls: ServerTls;
  /** What it is made of. */
  readonly material: TlsMaterial;
  readonly #changed = new Emitter<void>();
  readonly onChanged = this.#changed.event;
  #options: SecureContextOptions | undefined;

  constructor(tls: ServerTls, material: TlsMaterial) {
    this.tls = tls;
    this.material = material;
  }

  serverOptions(): SecureContextOptions | undefined {
    return this.#options;
  }

  /** Throws what OpenSSL says of them. */
  replace(options: SecureContextOptions): void {
    createSecureContext(options);
    this.#options = options;
    this.#changed.emit();
  }
}
