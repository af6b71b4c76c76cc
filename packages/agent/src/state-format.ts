import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { MeshError, systemErrorCode, VERSION } from "@tulle/base";

import { writeFileAtomically } from "./atomic-file.js";

/** Of what sidecars keep: identity, last good configuration, where the control plane is. */
const FORMAT = 1;

/**
 * Claims a workload's state directory for this version: `format.json` in it says how its files are written. A directory
 * without one is new, or older than the file, and gets it. Rejects with `invalid` AGENT_STATE_FORMAT for one that a newer
 * version has written, before anything in it is changed.
 */
export async function claimStateDirectory(directory: string): Promise<void> {
  const path = join(directory, "format.json");
  const format = await formatOf(path);
  if (format === undefined)
    await writeFileAtomically(path, `${JSON.stringify({ format: FORMAT, writtenBy: VERSION })}\n`);
  else if (format !== FORMAT) {
    throw new MeshError(
      "invalid",
      "AGENT_STATE_FORMAT",
      `${directory} has format ${JSON.stringify(format)}, Tulle ${VERSION} reads ${FORMAT}: start the version that wrote it, or delete the directory and join again`,
    );
  }
}

/** Undefined when there is no file; null when it cannot be told. */
async function formatOf(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return undefined;
    throw new MeshError("invalid", "AGENT_STATE_FORMAT", `${path} cannot be read; fix its permissions`, {
      cause: thrown,
    });
  }
  try {
    return (JSON.parse(text) as { readonly format?: unknown } | null)?.format ?? null;
  } catch {
    return null;
  }
}
