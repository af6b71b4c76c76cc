import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Writes a file so that readers see the old content or the new, never a part, and so that it survives a crash. Only
 * its owner may read it (0600); directories that are missing are made for the owner alone (0700).
 */
export async function writeFileAtomically(path: string, content: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  // A left-over of a crash may have other permissions.
  await rm(temporary, { force: true });
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(directory);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(join(directory, "."), "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
