import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

import type { Disposable, Logger } from "@tulle/base";

import type { Svid, WorkloadIdentity } from "./contract.js";

/** Names of the files, as bootstrap documents refer to them. */
export const CERTIFICATE_FILE = "cert.pem";
export const PRIVATE_KEY_FILE = "key.pem";
export const TRUST_BUNDLE_FILE = "ca.pem";

const FILES: readonly (readonly [string, (svid: Svid) => string])[] = [
  [CERTIFICATE_FILE, (svid) => svid.certificateChainPem],
  [PRIVATE_KEY_FILE, (svid) => svid.privateKeyPem],
  [TRUST_BUNDLE_FILE, (svid) => svid.trustBundlePem],
];
const CURRENT = "..data";

export interface CertificateFilesOptions {
  /** Made when missing, for its owner only. Nothing else should be in it. */
  readonly directory: string;
  readonly identity: WorkloadIdentity;
  readonly logger: Logger;
}

/**
 * Keeps `cert.pem`, `key.pem` and `ca.pem` up to date for programs that read certificates from files, until disposed.
 * They are links into one directory that is exchanged as a whole (as Kubernetes does it), so a reader cannot get a
 * certificate without its key for longer than between two reads. Needs a first SVID.
 */
export async function keepCertificateFiles(options: CertificateFilesOptions): Promise<Disposable> {
  const { identity, directory, logger } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeGeneration(directory, identity.current());
  for (const [name] of FILES) await replaceLink(directory, name, `${CURRENT}/${name}`);

  // One after another: an older certificate must not overtake a newer one.
  let last: Promise<void> = Promise.resolve();
  return identity.onRotated((svid) => {
    last = last
      .then(() => writeGeneration(directory, svid))
      .catch((thrown: unknown) =>
        logger.error("could not write the certificate files", { directory, error: thrown }),
      );
  });
}

async function writeGeneration(directory: string, svid: Svid): Promise<void> {
  // For its owner only, and never the one that is in use.
  const path = await mkdtemp(join(directory, `..${svid.serialNumber.toLowerCase()}.`));
  const generation = basename(path);
  for (const [name, content] of FILES) await writeFile(join(path, name), content(svid), { mode: 0o600 });
  await replaceLink(directory, CURRENT, generation);
  for (const name of await readdir(directory)) {
    const old = name.startsWith("..") && name !== CURRENT && name !== generation;
    if (old) await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function replaceLink(directory: string, name: string, target: string): Promise<void> {
  const temporary = join(directory, `${name}.new`);
  await rm(temporary, { force: true });
  await symlink(target, temporary);
  await rename(temporary, join(directory, name));
}
