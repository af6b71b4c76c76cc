import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { VERSION, versionSkew } from "./version.js";

test("VERSION is the version of the package", () => {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  expect(VERSION).toBe(manifest.version);
});

test.each([
  ["1.4.0", "1.4.9", "supported"],
  ["1.4.0", "1.2.0", "supported"],
  ["1.4.0", "1.1.9", "too-old"],
  ["1.4.0", "1.5.0", "newer"],
  ["2.0.0", "1.9.0", "too-old"],
  ["1.9.0", "2.0.0", "newer"],
  ["0.3.1", "0.1.0", "supported"],
  ["0.4.0", "v0.1.0-rc.1", "too-old"],
  ["0.1.0", "", "unknown"],
  ["0.1.0", "latest", "unknown"],
  ["0.1.0", "1.2a", "unknown"],
] as const)("to a control plane %s a proxy %s is %s", (controlPlane, proxy, skew) => {
  expect(versionSkew(controlPlane, proxy)).toBe(skew);
});
