import { IdentityFile } from "@tulle/agent";
import { createClient, type Client } from "@tulle/client";

import { findCredentials } from "../connection/credentials.js";
import { createNodeFetch } from "../connection/node-fetch.js";
import type { CliContext } from "../context.js";
import { rootsOf } from "../resources/connection.js";
import type { WorkloadOptions } from "./workload-options.js";

/** How a workload talks to the control plane's HTTP API. */
export interface WorkloadClients {
  /** As whoever starts the workload: asks where the mesh is, and for a token to join with. */
  readonly joining: Client;
  /**
   * As the workload: shows its own certificate, as soon as there is one. A token counts only where it is given for this
   * workload, not one that somebody has logged in with on this machine.
   */
  readonly registering: Client;
}

/** Both clients of a workload whose identity is kept in `directory`. */
export async function workloadClients(
  options: WorkloadOptions,
  directory: string,
  context: CliContext,
): Promise<WorkloadClients> {
  const { server } = options;
  // A token for Consul is none of a workload of this mesh.
  const { CONSUL_HTTP_TOKEN: _token, CONSUL_HTTP_TOKEN_FILE: _file, ...environment } = context.environment;
  const credentials = await findCredentials(server, options, environment);
  const ca = server.startsWith("https:") ? await rootsOf(server, credentials) : undefined;
  const given =
    options.token ?? options.tokenFile ?? environment["TULLE_TOKEN"] ?? environment["TULLE_TOKEN_FILE"];
  const identity = new IdentityFile(directory);
  const token = credentials.token === undefined ? {} : { token: credentials.token };
  return {
    joining: createClient({ server, fetch: createNodeFetch({ ca }), ...token }),
    registering: createClient({
      server,
      fetch: createNodeFetch({
        ca,
        clientCertificate: async () => {
          const kept = await identity.load().catch(() => undefined);
          return kept && { cert: kept.svid.certificateChainPem, key: kept.svid.privateKeyPem };
        },
      }),
      ...(given === undefined ? {} : token),
    }),
  };
}
