import { createHash } from "node:crypto";

import type { Clock } from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";

const PREFIX = "ca/used-tokens/";
/** A token holds for so long after its end, by the clocks of others; and its use is known longer. */
const MARGIN_MS = 120_000;

/** Tokens of others that have been used, so that each is used once: in the store, for all control planes. */
export class UsedTokens {
  readonly #coordination: Coordination;
  readonly #clock: Clock;

  constructor({ coordination, clock }: { readonly coordination: Coordination; readonly clock: Clock }) {
    this.#coordination = coordination;
    this.#clock = clock;
  }

  /** Uses a token up, by its issuer and its id. Of several callers at once exactly one is told true. */
  async use(issuer: string, id: string, expiresAt: number): Promise<boolean> {
    const key =
      PREFIX +
      createHash("sha256")
        .update(JSON.stringify([issuer, id]))
        .digest("base64url");
    const lease = await this.#coordination.grantLease(
      Math.max(MARGIN_MS, expiresAt - this.#clock.now() + MARGIN_MS),
    );
    const { succeeded } = await this.#coordination.txn(
      [{ key, absent: true }],
      [{ op: "put", key, value: new Uint8Array(), lease }],
    );
    if (!succeeded) await this.#coordination.revokeLease(lease).catch(() => undefined);
    return succeeded;
  }
}
