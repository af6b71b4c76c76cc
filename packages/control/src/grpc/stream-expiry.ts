import { MeshError, type Clock, type Timer } from "@tulle/base";

/** The wall clock may be set, and very long timers fire early: looked at again after this. */
const LOOK_AGAIN_MS = 3_600_000;

/**
 * Calls back once when a stream may live no longer because its certificate has expired; with the error to end it by.
 * Throws that error when it has already.
 */
export function watchExpiry(clock: Clock, notAfterMs: number, expired: (error: MeshError) => void): Timer {
  let timer: Timer;
  const look = (): void => {
    const leftMs = notAfterMs - clock.now();
    if (leftMs <= 0) throw expiredError();
    timer = clock.setTimeout(
      () => {
        try {
          look();
        } catch (thrown) {
          expired(MeshError.from(thrown));
        }
      },
      Math.min(leftMs, LOOK_AGAIN_MS),
    );
  };
  look();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

function expiredError(): MeshError {
  return new MeshError(
    "unavailable",
    "XDS_CERTIFICATE_EXPIRED",
    "the certificate of this connection has expired; connect again with a new one",
  );
}
