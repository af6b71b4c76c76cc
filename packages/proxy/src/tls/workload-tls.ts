import type { Socket } from "node:net";
import { createSecureContext, TLSSocket, type SecureContext, type SecureContextOptions } from "node:tls";

import {
  revocationsOf,
  secureContextOptions,
  trustBundlesOf,
  verifyPeer,
  type PeerSocket,
  type Svid,
  type WorkloadIdentity,
} from "@tulle/agent";
import { DisposableStack, Emitter, type Clock, type Disposable } from "@tulle/base";
import { verifySvid, type SvidRule, type SvidVerdict } from "@tulle/base/spiffe";
import type { TlsSettings } from "@tulle/engine";

import { OpenPeers, type PeerTerms } from "./open-peers.js";
import { SAFE_CIPHERS, tlsOptions } from "./tls-options.js";

/** Clients make their connections anew so long before the peer's certificate ends, at most, milliseconds. */
const MAX_AHEAD_MS = 60_000;
const NO_CERTIFICATE: SvidVerdict = { ok: false, reason: "this sidecar has no certificate yet" };

/** No handshake may take longer, milliseconds: one that ends later began when whom to trust had changed already. */
const HANDSHAKE_MS = 600_000;

/** Contexts that are kept: who speaks differently everywhere makes them anew. */
const MAX_CONTEXTS = 16;

/**
 * A workload's identity as TLS needs it: one shared context for all connections that it makes, options for those that
 * it takes, renewed with the certificate. A context per connection would cost 100 KB and a parse of the key each.
 */
export class WorkloadTls implements Disposable {
  readonly #identity: WorkloadIdentity;
  readonly #clock: Clock;
  readonly #owned = new DisposableStack();
  readonly #changed = new Emitter<Svid>();
  readonly #peers: OpenPeers;
  /** What connections were let in by, as long as nobody watches them. */
  readonly #judged = new WeakMap<PeerSocket, { readonly terms: PeerTerms; readonly notAfter: number }>();
  #svid: Svid | undefined;
  /** When it has changed whom to trust, monotonic milliseconds. */
  #trustSinceMs = Number.NEGATIVE_INFINITY;
  /** By what is spoken: one, as long as the mesh speaks the same everywhere. */
  readonly #clients = new Map<string, SecureContext>();

  constructor(identity: WorkloadIdentity, clock: Clock) {
    this.#identity = identity;
    this.#clock = clock;
    this.#svid = currentOrUndefined(identity);
    this.#peers = this.#owned.use(
      new OpenPeers({
        clock,
        graceMs: () => this.graceMs,
        judge: (chain, terms) => {
          const rule = this.#rule(terms);
          return rule === undefined ? NO_CERTIFICATE : verifySvid(chain, rule);
        },
      }),
    );
    this.#owned.use(
      identity.onRotated((svid) => {
        const before = this.#svid;
        this.#svid = svid;
        this.#clients.clear();
        this.#changed.emit(svid);
        if (before === undefined || trustsTheSame(before, svid)) return;
        this.#trustSinceMs = clock.monotonic();
        this.#peers.judgeAnew();
      }),
    );
  }

  /** Fires when contexts got before are out of date. */
  readonly onChanged = this.#changed.event;

  /** The current SVID; undefined before the first one. */
  get svid(): Svid | undefined {
    this.#svid ??= currentOrUndefined(this.#identity);
    return this.#svid;
  }

  /**
   * How long certificates of peers count after their end, milliseconds. Unless it is 0 the handshake must let peers in
   * whose chain it does not accept (`rejectUnauthorized: false`), and `judge` refuses them.
   */
  get graceMs(): number {
    return this.svid?.graceMs ?? 0;
  }

  /**
   * Context for connections to other sidecars; undefined while there is no certificate. Throws what OpenSSL says of
   * settings that it does not know.
   */
  clientContext(settings: TlsSettings): SecureContext | undefined {
    const options = this.serverOptions(settings);
    if (options === undefined) return undefined;
    let context = this.#clients.get(settings.key);
    if (context === undefined) {
      if (this.#clients.size === MAX_CONTEXTS) this.#clients.clear();
      context = createSecureContext(options);
      this.#clients.set(settings.key, context);
    }
    return context;
  }

  /** Options for `tls.createServer` and `setSecureContext`; undefined while there is no certificate. */
  serverOptions(settings: TlsSettings): SecureContextOptions | undefined {
    const { svid } = this;
    if (svid === undefined) return undefined;
    const { ciphers } = settings;
    return {
      ...secureContextOptions(svid),
      ...tlsOptions({ ...settings, ciphers: ciphers.length === 0 ? SAFE_CIPHERS : ciphers }),
      honorCipherOrder: true,
    };
  }

  /** Judges the peer of a connection whose handshake is over, against the bundle of its trust domain. */
  judge(socket: PeerSocket, terms: PeerTerms): SvidVerdict {
    const rule = this.#rule(terms);
    if (rule === undefined) return NO_CERTIFICATE;
    // A handshake that had begun before has verified the chain by the roots of that time.
    const changedLately = this.#clock.monotonic() - this.#trustSinceMs < HANDSHAKE_MS;
    const verdict = verifyPeer(socket, rule, changedLately);
    if (verdict.ok) this.#judged.set(socket, { terms, notAfter: verdict.notAfter });
    return verdict;
  }

  /**
   * Watches an open connection whose peer `judge` has let in: when the peer counts no more, `onOver` is called once, and the
   * connection cut a second later. Returns how long a client should use it, milliseconds: a little less than the certificate
   * lasts. Infinite for a connection that was not judged.
   */
  watch(socket: Socket, onOver: (reason: string) => void): number {
    const judged = socket instanceof TLSSocket ? this.#judged.get(socket) : undefined;
    if (judged === undefined) return Number.POSITIVE_INFINITY;
    const { terms, notAfter } = judged;
    this.#peers.add(socket as TLSSocket, notAfter, terms, onOver);
    const now = this.#clock.now();
    // One that is over already lasts as long as the grace.
    const endsAt = notAfter > now ? notAfter : notAfter + this.graceMs;
    const leftMs = Math.max(0, endsAt - now);
    return leftMs - Math.min(leftMs / 4, MAX_AHEAD_MS);
  }

  #rule(terms: PeerTerms): SvidRule | undefined {
    const { svid, graceMs } = this;
    return (
      svid && {
        ...terms,
        nowMs: this.#clock.now(),
        bundles: trustBundlesOf(svid),
        revocations: revocationsOf(svid),
        graceMs,
      }
    );
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

function currentOrUndefined(identity: WorkloadIdentity): Svid | undefined {
  try {
    return identity.current();
  } catch {
    // Before the first certificate `current` throws; whoever needs one asks again.
    return undefined;
  }
}

function trustsTheSame(one: Svid, other: Svid): boolean {
  return (
    one.trustBundlePem === other.trustBundlePem &&
    one.revocationListsPem === other.revocationListsPem &&
    one.graceMs === other.graceMs &&
    JSON.stringify(one.federatedBundles) === JSON.stringify(other.federatedBundles)
  );
}

/** `cluster.local` of `spiffe://cluster.local/ns/…`. */
export function trustDomainOf(spiffeId: string): string {
  return spiffeId.slice("spiffe://".length).split("/", 1)[0] ?? "";
}
