import type { SecureContextOptions } from "node:tls";

import { DisposableStack, Emitter, type Disposable, type Event } from "@tulle/base";
import { INBOUND_LISTENER, MESH_PARAMETERS, type SnapshotSource, type TlsSettings } from "@tulle/engine";

import type { WorkloadTls } from "./workload-tls.js";

/** The server's side of the mesh's mutual TLS: the workload's certificate, and what the inbound listener says is spoken. */
export class MeshServer implements Disposable {
  readonly #tls: WorkloadTls;
  readonly #configuration: SnapshotSource;
  readonly #owned = new DisposableStack();
  readonly #changed = new Emitter<void>();
  #settings: TlsSettings;

  constructor(tls: WorkloadTls, configuration: SnapshotSource, onConfigurationChanged: Event<unknown>) {
    this.#tls = tls;
    this.#configuration = configuration;
    this.#settings = this.#wanted;
    this.#owned.use(tls.onChanged(() => this.#changed.emit()));
    this.#owned.use(onConfigurationChanged(() => this.#follow()));
  }

  /** Fires when options got before are out of date. */
  readonly onChanged = this.#changed.event;

  /** As {@link WorkloadTls.graceMs}. */
  get graceMs(): number {
    return this.#tls.graceMs;
  }

  /** Options for `tls.createServer` and `setSecureContext`; undefined while there is no certificate. */
  serverOptions(): SecureContextOptions | undefined {
    return this.#tls.serverOptions(this.#settings);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  #follow(): void {
    const settings = this.#wanted;
    if (settings.key === this.#settings.key) return;
    this.#settings = settings;
    this.#changed.emit();
  }

  get #wanted(): TlsSettings {
    return this.#configuration.current.inbound(INBOUND_LISTENER)?.meshTls ?? MESH_PARAMETERS;
  }
}
