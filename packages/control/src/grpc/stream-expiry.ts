import { MeshError, type Clock, type Disposable, type Event, type Timer } from "@tulle/base";

/** The wall clock may be set, and very long timers fire early: looked at again after this. */
const LOOK_AGAIN_MS = 3_600_000;

/** Whose stream it is. */
export interface StreamPeer {
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** Its certificate is revoked, or its root not trusted any more. */
  readonly onUntrusted?: Event<void>;
}

/**
 * Calls back when a stream may live no longer because its certificate has expired or is not trusted any more; with the error
 * to end it by. Throws that error when it has expired already.
 */
export function watchExpiry(clock: Clock, peer: StreamPeer, ended: (error: MeshError) => void): Disposable {
  let timer: Timer;
  const look = (): void => {
    const leftMs = peer.notAfter - clock.now();
    if (leftMs <= 0) throw expiredError();
    timer = clock.setTimeout(
      () => {
        try {
          look();
        } catch (thrown) {
          ended(MeshError.from(thrown));
        }
      },
      Math.min(leftMs, LOOK_AGAIN_MS),
    );
  };
  look();
  const trust = peer.onUntrusted?.(() => ended(untrustedError()));
  return {
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      trust?.[Symbol.dispose]();
    },
  };
}

function untrustedError(): MeshError {
  return new MeshError(
    "unauthenticated",
    "XDS_CERTIFICATE_UNTRUSTED",
    "the certificate of this connection has been revoked, or its root is not trusted any more",
  );
}

function expiredError(): MeshError {
  return new MeshError(
    "unavailable",
    "XDS_CERTIFICATE_EXPIRED",
    "the certificate of this connection has expired; connect again with a new one",
  );
}
