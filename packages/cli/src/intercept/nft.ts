import { spawn } from "node:child_process";

import { MeshError, systemErrorCode } from "@tulle/base";

/** What nft said. */
export interface NftResult {
  readonly code: number;
  readonly output: string;
  readonly error: string;
}

/** Runs nftables' `nft` with a script on its stdin. Rejects with `unavailable` CLI_NO_NFT when there is none. */
export function nft(args: readonly string[], script = ""): Promise<NftResult> {
  return new Promise((resolve, reject) => {
    const child = spawn("nft", args, { stdio: "pipe" });
    let output = "";
    let error = "";
    child.stdout.on("data", (piece: Buffer) => (output += piece.toString("utf8")));
    child.stderr.on("data", (piece: Buffer) => (error += piece.toString("utf8")));
    // It may end without having read everything.
    child.stdin.on("error", () => undefined);
    child.on("error", (thrown) => {
      const missing = systemErrorCode(thrown) === "ENOENT";
      const message = missing
        ? "nft was not found: install nftables (Linux), or print the rules with --dry-run"
        : `nft cannot be started: ${thrown.message}`;
      reject(new MeshError("unavailable", "CLI_NO_NFT", message, { cause: thrown }));
    });
    child.on("close", (code) => resolve({ code: code ?? 1, output, error }));
    child.stdin.end(script);
  });
}

/** Applies a script, all of it or nothing. Rejects with `denied` CLI_NFT_FAILED and what nft said. */
export async function applyScript(script: string): Promise<void> {
  const { code, error } = await nft(["-f", "-"], script);
  if (code !== 0) throw failed(error);
}

/** The error of an nft that failed. */
export function failed(error: string): MeshError {
  const hint = error.includes("not permitted") ? " (run it as root)" : "";
  return new MeshError(
    "denied",
    "CLI_NFT_FAILED",
    `nft refused: ${error.trim().split("\n")[0] ?? ""}${hint}`,
  );
}
