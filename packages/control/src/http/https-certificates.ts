import { createPrivateKey, X509Certificate } from "node:crypto";

import { Emitter, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import { WatchedFiles } from "@tulle/base/files";

import type { ServerCertificate, ServerCertificateProvider } from "../grpc/index.js";

/** How often the files are looked at where nobody tells of a change. */
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
 * goes on. Throws `invalid` CONTROL_TLS_FILES.
 */
export function openCertificateFiles(
  options: CertificateFilesOptions,
): ServerCertificateProvider & Disposable {
  const { clock, logger } = options;
  const rotated = new Emitter<void>();
  const files = new WatchedFiles({ clock, logger, lookEveryMs: LOOK_EVERY_MS });
  let current: ServerCertificate;
  try {
    current = read(options, files);
  } catch (thrown) {
    files[Symbol.dispose]();
    throw thrown;
  }
  let complained = "";
  files.onChanged(() => {
    try {
      const next = read(options, files);
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
  });
  return {
    current: () => ({ ...current, trustBundlePem: options.trustBundlePem() }),
    onRotated: rotated.event,
    [Symbol.dispose]: () => files[Symbol.dispose](),
  };
}

function read(
  { certificateFile, keyFile, trustBundlePem }: CertificateFilesOptions,
  files: WatchedFiles,
): ServerCertificate {
  try {
    const certificateChainPem = files.read(certificateFile);
    const privateKeyPem = files.read(keyFile);
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
