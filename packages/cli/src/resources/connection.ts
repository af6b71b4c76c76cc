import type { Client, ClientOptions } from "@tulle/client";

import type { AccessOptions } from "../connection/access-options.js";
import type { Credentials } from "../connection/credentials.js";
import type { CliContext } from "../context.js";

export interface ServerOptions extends AccessOptions {
  /** URL of the control plane. */
  readonly server: string;
}

/** A client of the control plane that the user names, with what the user logs in with; no call is made yet. */
export async function connect(
  options: ServerOptions,
  context: CliContext,
  more: Pick<ClientOptions, "timeoutMs"> = {},
): Promise<Client> {
  const [{ createClient }, { findCredentials }] = await Promise.all([
    import("@tulle/client"),
    import("../connection/credentials.js"),
  ]);
  const { server } = options;
  const credentials = await findCredentials(server, options, context.environment);
  return createClient({ server, clock: context.clock, ...(await accessOf(server, credentials)), ...more });
}

/** What a client is made with, so that it trusts the server by these credentials and shows them. */
export async function accessOf(
  server: string,
  credentials: Credentials,
): Promise<Pick<ClientOptions, "token" | "fetch">> {
  const token = credentials.token === undefined ? {} : { token: credentials.token };
  if (!server.startsWith("https:")) return token;
  const ca = await rootsOf(server, credentials);
  if (ca === undefined) return token;
  const { createNodeFetch } = await import("../connection/node-fetch.js");
  return { ...token, fetch: createNodeFetch({ ca }) };
}

/** Roots that the server at an HTTPS address is verified against, PEM; undefined: the system's. */
export async function rootsOf(
  server: string,
  { ca, caFingerprint }: Credentials,
): Promise<string | undefined> {
  if (ca !== undefined || caFingerprint === undefined) return ca;
  const { fetchPinnedRoot } = await import("../connection/pinned-root.js");
  return fetchPinnedRoot(new URL(server), caFingerprint);
}
