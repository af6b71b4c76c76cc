import { readFileSync } from "node:fs";

/** Tulle's version, from this package's manifest: one for all packages. */
export function ownVersion(): string {
  const manifest = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }).version;
}
