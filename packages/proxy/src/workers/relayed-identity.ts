import type { Svid, WorkloadIdentity } from "@tulle/agent";
import { Emitter, MeshError } from "@tulle/base";

/** The workload's identity in a worker: the main thread keeps it fresh and tells of every new certificate. */
export class RelayedIdentity implements WorkloadIdentity {
  readonly #rotated = new Emitter<Svid>();
  readonly onRotated = this.#rotated.event;
  #svid: Svid | undefined;

  constructor(svid: Svid | undefined) {
    this.#svid = svid;
  }

  current(): Svid {
    if (this.#svid !== undefined) return this.#svid;
    throw new MeshError("unavailable", "PROXY_NO_IDENTITY", "the workload has no certificate yet");
  }

  rotate(svid: Svid): void {
    this.#svid = svid;
    this.#rotated.emit(svid);
  }

  [Symbol.dispose](): void {}
}
