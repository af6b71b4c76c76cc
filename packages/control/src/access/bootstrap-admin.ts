import { rename, rm, writeFile } from "node:fs/promises";

import { MeshError } from "@tulle/base";

import type { AccessTokens } from "./access-tokens.js";

/** Name of the first token. */
const NAME = "bootstrap-admin";

export interface BootstrapAdminOptions {
  readonly tokens: AccessTokens;
  /** Where the token is written, 0600. */
  readonly file: string;
  /** Makes a new one although there is an admin: for whoever has lost theirs. */
  readonly reset: boolean;
}

/**
 * Makes the first admin's token where nobody could log in as an admin, and writes it to a file that its owner alone can
 * read; it is shown nowhere else. Returns whether one was made. Rejects with `unavailable` ACCESS_ADMIN_FILE.
 */
export async function bootstrapAdmin({ tokens, file, reset }: BootstrapAdminOptions): Promise<boolean> {
  const known = await tokens.list();
  if (!reset && known.some(({ role }) => role === "admin")) return false;
  if (known.some(({ name }) => name === NAME)) await tokens.revoke(NAME);
  const { token } = await tokens.create({ name: NAME, role: "admin" }, "bootstrap");
  try {
    // An older file may have wider rights: it is replaced, not written over.
    await rm(`${file}.tmp`, { force: true });
    await writeFile(`${file}.tmp`, `${token}\n`, { mode: 0o600, flag: "wx" });
    await rename(`${file}.tmp`, file);
    return true;
  } catch (cause) {
    await tokens.revoke(NAME);
    throw new MeshError(
      "unavailable",
      "ACCESS_ADMIN_FILE",
      `cannot write the first admin's token to ${file}`,
      {
        cause,
      },
    );
  }
}
