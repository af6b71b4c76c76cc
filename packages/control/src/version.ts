import { readFileSync } from "node:fs";

/** Tulle's version: one for all packages. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version;
