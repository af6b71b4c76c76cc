import { delay, MeshError, type Clock } from "@tulle/base";
import type { WorkloadIdentity } from "@tulle/agent";

import type { Companion } from "./companion.js";
import { Successor } from "./successor.js";

export interface SidecarPlaceOptions {
  readonly first: Companion;
  readonly instanceId: string;
  readonly appPort: number | undefined;
  /** Leaves what the first one has open beside its sockets. */
  readonly releaseFirst: () => Promise<void>;
  /** How long inbound requests may take at the end, milliseconds. */
  readonly drainMs: number;
  /** How long what is under way may take at a sidecar that has a successor, milliseconds. */
  readonly retireMs: number;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
}

/** Who has the sockets, and leaves them. */
interface Holder {
  readonly sockets: ReadonlyMap<string, object>;
  release(): Promise<void>;
  retire(drainMs: number): Promise<void>;
}

/**
 * The place of a workload's sidecar, whoever fills it: the first one lives in this process, its successors have their own
 * (docs/decisions/040-successors.md). To the workload it is one companion.
 */
export class SidecarPlace implements Companion {
  readonly meshAddress: Companion["meshAddress"];
  readonly quitRequested: Promise<void>;
  readonly failed: Promise<never>;
  readonly #options: SidecarPlaceOptions;
  #current: Companion;
  #holder: Holder | undefined;
  #epoch = 0;
  #upgrading = false;
  #ending = false;
  readonly #retiring = new Set<Promise<void>>();
  readonly #retirees = new Set<Companion>();
  #quit: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;

  constructor(options: SidecarPlaceOptions) {
    this.#options = options;
    this.#current = options.first;
    this.meshAddress = options.first.meshAddress;
    this.quitRequested = new Promise((resolve) => (this.#quit = resolve));
    this.failed = new Promise((_resolve, reject) => (this.#fail = reject));
    this.failed.catch(() => undefined);
    this.#follow(options.first);
  }

  get identity(): WorkloadIdentity {
    return this.#current.identity;
  }

  get addresses(): object {
    return this.#current.addresses;
  }

  environment(): Record<string, string> {
    return this.#options.first.environment();
  }

  /**
   * Starts a successor from what is installed now, and gives it the place. Rejects with the sidecar that there was still in
   * it: `invalid` PROXY_NO_HANDOVER, CLI_UPGRADE_UNDER_WAY, and what kept the successor from getting ready.
   */
  async upgrade(): Promise<Successor> {
    if (this.#upgrading || this.#ending)
      throw new MeshError("invalid", "CLI_UPGRADE_UNDER_WAY", "an upgrade, or the end, is under way");
    this.#upgrading = true;
    try {
      return await this.#replace(this.#holder ?? this.#holderOfFirst());
    } finally {
      this.#upgrading = false;
    }
  }

  async drain(): Promise<void> {
    this.#ending = true;
    const { clock, drainMs } = this.#options;
    // What the former ones have under way gets the same time.
    const retired = this.#retiring.size === 0 ? undefined : Promise.all(this.#retiring);
    await Promise.all([this.#current.drain(), retired && Promise.race([retired, delay(clock, drainMs)])]);
  }

  async close(): Promise<void> {
    this.#ending = true;
    await Promise.all([this.#current, ...this.#retirees].map((each) => each.close()));
  }

  async #replace(before: Holder): Promise<Successor> {
    const { instanceId, appPort, drainMs, retireMs, environment, clock } = this.#options;
    const { meshAddress } = this;
    const epoch = this.#epoch + 1;
    const { sockets } = before;
    const successor = await Successor.start({
      instanceId,
      appPort,
      epoch,
      sockets,
      meshAddress,
      drainMs,
      environment,
      clock,
    });
    if (this.#ending) {
      await successor.close();
      throw new MeshError("canceled", "CLI_UPGRADE_UNDER_WAY", "the workload ends");
    }
    const former = this.#current;
    this.#epoch = epoch;
    this.#current = successor;
    this.#holder = successor;
    this.#follow(successor);
    this.#retirees.add(former);
    await before.release();
    successor.takeOver();
    const retiring = before
      .retire(retireMs)
      .then(() => former.close())
      .finally(() => {
        this.#retiring.delete(retiring);
        this.#retirees.delete(former);
      });
    this.#retiring.add(retiring);
    return successor;
  }

  #holderOfFirst(): Holder {
    const { first, releaseFirst } = this.#options;
    if (first.handover === undefined)
      throw new MeshError("invalid", "PROXY_NO_HANDOVER", "there is no sidecar that could be replaced");
    const { sockets, retire } = first.handover();
    return { sockets, release: releaseFirst, retire };
  }

  #follow(companion: Companion): void {
    companion.failed.catch((error: unknown) => {
      if (companion === this.#current) this.#fail(error);
    });
    void companion.quitRequested.then(() => {
      if (companion === this.#current) this.#quit();
    });
  }
}
