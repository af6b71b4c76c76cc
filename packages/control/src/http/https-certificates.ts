import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";

import { Emitter, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";

import type { ServerCertificate, ServerCertificateProvider } from "../grpc/index.js";

/** How often the files are looked at. */
const LOOK_EVERY_MS = 30_000;

/**
 * The mesh's own certificate for HTTPS: its root goes along, so that a client that knows only the root's fingerprint finds
 * it in the handshake.
 */
export function withRoot(provider: ServerCertificateProvider): ServerCertificateProvider {
  return {
    current() {
      const { certificateChainPem, trustBundlePem, privateKeyPem } = provider.current();
      return { certificateChainPem: certificateChainPem + trustBundlePem, trustBundlePem, privateKeyPem };
    },
    onRotated: provider.onRotated,
  };
}

export interface CertificateFilesOptions {
  /** PEM: the leaf, then what leads to a root. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Roots that workloads' certificates are verified against. */
  readonly trustBundlePem: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A certificate of the user's own for HTTPS, read anew when its files change; a bad change is logged and the one before
 * goes on. Rejects with `invalid` CONTROL_TLS_FILES.
 */
export async function openCertificateFiles(
  options: CertificateFilesOptions,
): Promise<ServerCertificateProvider & Disposable> {
  const { clock, logger } = options;
  const rotated = new Emitter<void>();
  let current = await read(options);
  let complained = "";
  const look = async (): Promise<void> => {
    try {
      const next = await read(options);
      complained = "";
      if (
        next.certificateChainPem === current.certificateChainPem &&
        next.privateKeyPem === current.privateKeyPem
      )
        return;
      current = next;
      rotated.emit();
      logger.info("the HTTPS certificate was read anew", { file: options.certificateFile });
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.message !== complained) logger.error("the new HTTPS certificate is not used", { error });
      complained = error.message;
    }
  };
  const timer = clock.setInterval(() => void look(), LOOK_EVERY_MS, { keepAlive: false });
  return {
    current: () => ({ ...current, trustBundlePem: options.trustBundlePem() }),
    onRotated: rotated.event,
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  };
}

async function read({
  certificateFile,
  keyFile,
  trustBundlePem,
}: CertificateFilesOptions): Promise<ServerCertificate> {
  try {
    const [certificateChainPem, privateKeyPem] = await Promise.all([
      readFile(certificateFile, "utf8"),
      readFile(keyFile, "utf8"),
    ]);
    if (!new X509Certificate(certificateChainPem).checkPrivateKey(createPrivateKey(privateKeyPem))) {
      throw new Error("the key is not the certificate's");
    }
    return { certificateChainPem, privateKeyPem, trustBundlePem: trustBundlePem() };
  } catch (cause) {
    throw new MeshError(
      "invalid",
      "CONTROL_TLS_FILES",
      `cannot serve HTTPS with ${certificateFile} and ${keyFile}: ${(cause as Error).message}`,
      { cause },
    );
  }
}
