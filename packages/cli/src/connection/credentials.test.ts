import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { credentialsFile, findCredentials, keepCredentials } from "./credentials.js";

const SERVER = "https://mesh.example:8500";
const FINGERPRINT = "ab".repeat(32);

let directory: string;
let environment: Record<string, string>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tulle-credentials-"));
  environment = { XDG_CONFIG_HOME: directory };
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function fileOf(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

test("findCredentials takes options first, then TULLE_*, then Consul's variables, then the credentials file", async () => {
  await keepCredentials(SERVER, { token: "kept", ca: "ROOTS" }, environment);
  const find = (options = {}, more = {}): Promise<object> =>
    findCredentials(SERVER, options, { ...environment, ...more });
  expect(await find()).toEqual({ token: "kept", ca: "ROOTS" });
  expect(await find({}, { CONSUL_HTTP_TOKEN: "consul" })).toEqual({ token: "consul", ca: "ROOTS" });
  expect(await find({}, { CONSUL_HTTP_TOKEN: "consul", TULLE_TOKEN: "own" })).toMatchObject({ token: "own" });
  expect(await find({ token: "option" }, { TULLE_TOKEN: "own" })).toMatchObject({ token: "option" });
  const tokenFile = fileOf("token", "in-file\n");
  expect(await find({ tokenFile }, { TULLE_TOKEN: "own" })).toMatchObject({ token: "in-file" });
  expect(await find({}, { TULLE_TOKEN_FILE: tokenFile })).toMatchObject({ token: "in-file" });
  // Other roots than those that were kept count alone.
  expect(await find({ caFingerprint: `sha256:${FINGERPRINT.toUpperCase()}` })).toEqual({
    token: "kept",
    caFingerprint: FINGERPRINT,
  });
  expect(await find({ caFile: fileOf("root.pem", "OTHER") })).toEqual({ token: "kept", ca: "OTHER" });
});

test("findCredentials gives nothing of one server to another", async () => {
  await keepCredentials(SERVER, { token: "kept" }, environment);
  for (const other of ["https://mesh.example", "http://mesh.example:8500", "https://evil.example:8500"]) {
    expect(await findCredentials(other, {}, environment)).toEqual({});
  }
  expect(await findCredentials(`${SERVER}/path`, {}, environment)).toEqual({ token: "kept" });
});

test("keepCredentials writes a file of its owner's alone, and findCredentials refuses any other", async () => {
  const file = await keepCredentials(SERVER, { token: "kept" }, environment);
  expect(file).toBe(credentialsFile(environment));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  chmodSync(file, 0o644);
  await expect(findCredentials(SERVER, {}, environment)).rejects.toMatchObject({
    message: expect.stringContaining("chmod 600"),
  });
});

test.each([
  ["a token of several lines", { token: "a\nb" }],
  ["a token that would be a header field", { token: "a\r\nx: y" }],
  ["a short fingerprint", { caFingerprint: "abcd" }],
  ["a token file that is not there", { tokenFile: "/does/not/exist" }],
])("findCredentials refuses %s", async (_what, options) => {
  await expect(findCredentials(SERVER, options, environment)).rejects.toMatchObject({ kind: "invalid" });
});
