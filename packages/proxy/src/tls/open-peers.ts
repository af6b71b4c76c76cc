import type { TLSSocket } from "node:tls";

import { MutableDisposable, type Clock, type Disposable, type Timer } from "@tulle/base";
import { peerChain, type PeerCertificateLink, type SvidRule, type SvidVerdict } from "@tulle/base/spiffe";

/** How often it is looked whose certificate has ended, milliseconds. */
const LOOK_EVERY_MS = 500;
/** What is under way on a connection may still end for so long once its peer does not count any more, milliseconds. */
const CUT_AFTER_MS = 1000;
/** Peers that are judged anew at a time: the others' requests are not held up. */
const BATCH = 100;

/** What a peer was let in by. */
export type PeerTerms = Pick<SvidRule, "trustDomains" | "spiffeIds">;

export interface OpenPeersOptions {
  readonly clock: Clock;
  /** Verifies a whole chain by what counts now. */
  readonly judge: (chain: readonly Uint8Array[], terms: PeerTerms) => SvidVerdict;
  /** How long certificates count after their end, milliseconds. */
  readonly graceMs: () => number;
}

/** An open connection. */
interface OpenPeer {
  readonly terms: PeerTerms;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** It is to take no more requests. Called once. */
  readonly onOver: (reason: string) => void;
  /** When it is cut, monotonic milliseconds; undefined = its peer counts. */
  cutAt: number | undefined;
}

/**
 * Open mutual TLS connections. A peer counts for as long as its certificate does: when that ends, is revoked, or leads to no
 * trusted root any more, its connections take no further request, and are cut a second later. Costs nothing per request: all of
 * them are looked at twice a second by the clock, and one by one when it changes whom to trust.
 */
export class OpenPeers implements Disposable {
  readonly #options: OpenPeersOptions;
  readonly #peers = new Map<TLSSocket, OpenPeer>();
  readonly #look = new MutableDisposable<Timer>();
  readonly #judging = new MutableDisposable<Timer>();
  #suspects: Iterator<[TLSSocket, OpenPeer]> | undefined;

  constructor(options: OpenPeersOptions) {
    this.#options = options;
  }

  /** Watches a connection whose peer has been verified until it closes. */
  add(socket: TLSSocket, notAfter: number, terms: PeerTerms, onOver: (reason: string) => void): void {
    if (socket.destroyed) return;
    this.#peers.set(socket, { terms, notAfter, onOver, cutAt: undefined });
    socket.once("close", () => this.#peers.delete(socket));
    if (this.#peers.size === 1) this.#lookSoon();
  }

  /** It has changed whom to trust. */
  judgeAnew(): void {
    if (this.#peers.size === 0) return;
    this.#suspects = this.#peers.entries();
    this.#judgeSome();
  }

  [Symbol.dispose](): void {
    this.#look[Symbol.dispose]();
    this.#judging[Symbol.dispose]();
    this.#peers.clear();
  }

  #lookSoon(): void {
    const { clock } = this.#options;
    this.#look.value = clock.setTimeout(() => this.#lookAtDates(), LOOK_EVERY_MS, { keepAlive: false });
  }

  #lookAtDates(): void {
    const { clock, graceMs } = this.#options;
    const endedBefore = clock.now() - graceMs();
    const cutBefore = clock.monotonic();
    for (const [socket, peer] of this.#peers) {
      if (peer.cutAt !== undefined) {
        if (peer.cutAt <= cutBefore) socket.destroy();
      } else if (peer.notAfter <= endedBefore) this.#end(peer, "its certificate has expired");
    }
    if (this.#peers.size > 0) this.#lookSoon();
  }

  #judgeSome(): void {
    const { judge, clock } = this.#options;
    for (let judged = 0; judged < BATCH; judged++) {
      const next = this.#suspects?.next();
      if (next === undefined || next.done === true) {
        this.#suspects = undefined;
        return;
      }
      const [socket, peer] = next.value;
      if (socket.destroyed || peer.cutAt !== undefined) continue;
      // Null once its connection has gone, which its types do not tell.
      const certificate = socket.getPeerCertificate(true) as PeerCertificateLink | null;
      const verdict = judge(peerChain(certificate ?? {}), peer.terms);
      if (!verdict.ok) this.#end(peer, verdict.reason);
    }
    this.#judging.value = clock.setTimeout(() => this.#judgeSome(), 0, { keepAlive: false });
  }

  #end(peer: OpenPeer, reason: string): void {
    peer.cutAt = this.#options.clock.monotonic() + CUT_AFTER_MS;
    peer.onOver(reason);
  }
}
