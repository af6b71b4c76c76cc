import { chmod, mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { MeshError, systemErrorCode } from "@tulle/base";

import type { AccessOptions } from "./access-options.js";

/** What one logs in with at a control plane, and what it is trusted by. */
export interface Credentials {
  readonly token?: string;
  /** Roots, PEM. */
  readonly ca?: string;
  /** SHA-256 of a root, 64 lower-case hexadecimal digits. */
  readonly caFingerprint?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `$XDG_CONFIG_HOME/tulle/credentials.json`: by server, written by `tulle login`. */
export function credentialsFile(environment: Environment): string {
  const home = environment["XDG_CONFIG_HOME"] || join(homedir(), ".config");
  return join(home, "tulle", "credentials.json");
}

/**
 * Credentials for a server: options first, then `TULLE_*`, then Consul's variables, then the credentials file. Errors:
 * `invalid` CLI_CREDENTIALS.
 */
export async function findCredentials(
  server: string,
  options: AccessOptions,
  environment: Environment,
): Promise<Credentials> {
  const from = (...names: readonly string[]): string | undefined =>
    names.map((name) => environment[name]).find((value) => value !== undefined && value !== "");
  const tokenFile = options.tokenFile ?? from("TULLE_TOKEN_FILE", "CONSUL_HTTP_TOKEN_FILE");
  const token =
    options.token ??
    (options.tokenFile === undefined ? from("TULLE_TOKEN", "CONSUL_HTTP_TOKEN") : undefined) ??
    (tokenFile === undefined ? undefined : (await readText(tokenFile)).trim());
  const caFile = options.caFile ?? from("TULLE_CA_FILE", "CONSUL_CACERT");
  const ca = caFile === undefined ? undefined : await readText(caFile);
  const fingerprint = options.caFingerprint ?? from("TULLE_CA_FINGERPRINT");
  const stated: Credentials = {
    ...(token === undefined ? {} : { token: checkToken(token) }),
    ...(ca === undefined ? {} : { ca }),
    ...(fingerprint === undefined ? {} : { caFingerprint: parseFingerprint(fingerprint) }),
  };
  const kept = (await readKept(credentialsFile(environment)))[originOf(server)] ?? {};
  const trustsOtherwise = stated.ca !== undefined || stated.caFingerprint !== undefined;
  return {
    ...(kept.token === undefined ? {} : { token: kept.token }),
    ...(kept.ca === undefined || trustsOtherwise ? {} : { ca: kept.ca }),
    ...stated,
  };
}

/** Keeps credentials for a server in the credentials file, which its owner alone can read. */
export async function keepCredentials(
  server: string,
  credentials: Credentials,
  environment: Environment,
): Promise<string> {
  const file = credentialsFile(environment);
  const servers = { ...(await readKept(file)), [originOf(server)]: credentials };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.tmp`, `${JSON.stringify({ servers }, null, 2)}\n`, { mode: 0o600 });
  // An older file of that name keeps its rights when it is written over.
  await chmod(`${file}.tmp`, 0o600);
  await rename(`${file}.tmp`, file);
  return file;
}

async function readKept(file: string): Promise<Readonly<Record<string, Credentials>>> {
  let text: string;
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) throw bad(`${file} can be read by others: chmod 600 ${file}`);
    text = await readFile(file, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return {};
    throw thrown;
  }
  try {
    const { servers } = JSON.parse(text) as { readonly servers?: unknown };
    if (typeof servers === "object" && servers !== null) return servers as Record<string, Credentials>;
  } catch {
    // Said below.
  }
  throw bad(`${file} is damaged: delete it and log in again (tulle login)`);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw bad(`cannot read ${file}: ${systemErrorCode(cause) ?? "no file"}`, cause);
  }
}

/** Control characters would become header fields. */
function checkToken(token: string): string {
  if (/^[\x21-\x7e]{1,16384}$/.test(token)) return token;
  throw bad("the token has characters that no token has: is it the right file?");
}

/** Reads `AB:CD:…`, `sha256:abcd…` or `abcd…`. */
function parseFingerprint(text: string): string {
  const digits = text
    .toLowerCase()
    .replace(/^sha-?256:/, "")
    .replaceAll(":", "");
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw bad(
    "a CA fingerprint is a SHA-256: 64 hexadecimal digits (openssl x509 -noout -fingerprint -sha256)",
  );
}

function originOf(server: string): string {
  try {
    return new URL(server.includes("://") ? server : `http://${server}`).origin;
  } catch {
    return server;
  }
}

function bad(message: string, cause?: unknown): MeshError {
  return new MeshError("invalid", "CLI_CREDENTIALS", message, { cause });
}
