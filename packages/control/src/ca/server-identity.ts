import {
  Backoff,
  Emitter,
  MutableDisposable,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";
import { parseCertificates, TrustBundles, verifySvid } from "@tulle/base/spiffe";

import type { ServerCertificateProvider } from "../grpc/server-credentials.js";
import type { CertificateAuthority, OwnCertificate } from "./certificate-authority.js";

export interface ServerIdentityOptions {
  readonly authority: Pick<CertificateAuthority, "serverCertificate" | "signer" | "trustDomain">;
  /** Names that clients may call the control plane by. */
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * The control plane's own certificate for its TLS ports, renewed at half of its life until disposed, and at once when the roots
 * that it leads to are no longer among the mesh's: nobody could reach the control plane.
 */
export async function createServerIdentity(
  options: ServerIdentityOptions,
): Promise<ServerCertificateProvider & Disposable> {
  const { authority, clock, logger } = options;
  const make = (): Promise<OwnCertificate> =>
    authority.serverCertificate(options.dnsNames, options.ipAddresses);
  const rotated = new Emitter<OwnCertificate>();
  const timer = new MutableDisposable<Timer>();
  const backoff = new Backoff({ baseMs: 1000, maxMs: 60_000 }, options.random);
  let current = await make();
  let disposed = false;

  const renew = async (): Promise<void> => {
    try {
      current = await make();
      if (disposed) return;
      backoff.reset();
      rotated.emit(current);
      schedule((current.notAfter - clock.now()) / 2);
    } catch (thrown) {
      const delayMs = backoff.next();
      logger.error("could not renew the control plane's certificate", { error: thrown, retryInMs: delayMs });
      schedule(delayMs);
    }
  };
  const schedule = (delayMs: number): void => {
    timer.value = clock.setTimeout(() => void renew(), delayMs, { keepAlive: false });
  };
  schedule((current.notAfter - clock.now()) / 2);
  const roots = authority.signer.onChanged(() => {
    current = { ...current, trustBundlePem: authority.signer.trustBundlePem };
    rotated.emit(current);
    if (!isTrusted(current, authority.trustDomain, clock.now())) void renew();
  });

  return {
    current: () => current,
    onRotated: rotated.event,
    [Symbol.dispose]() {
      disposed = true;
      roots[Symbol.dispose]();
      timer[Symbol.dispose]();
    },
  };
}

function isTrusted(
  { certificateChainPem, trustBundlePem }: OwnCertificate,
  trustDomain: string,
  nowMs: number,
): boolean {
  const chain = parseCertificates(certificateChainPem).map(({ raw }) => raw);
  return verifySvid(chain, { nowMs, bundles: new TrustBundles({ [trustDomain]: trustBundlePem }) }).ok;
}
