import { IdentityFile } from "@tulle/agent";
import { createClient, type Client } from "@tulle/client";

import { findCredentials } from "../connection/credentials.js";
import { createNodeFetch } from "../connection/node-fetch.js";
import type { CliContext } from "../context.js";
import { rootsOf } from "../resources/connection.js";
import type { WorkloadOptions } from "./workload-options.js";

/**
 * The client with which a workload registers itself: it shows the workload's own certificate as soon as there is one, or a
 * token where the user gives one.
 */
export async function workloadClient(
  options: WorkloadOptions,
  directory: string,
  context: CliContext,
): Promise<Client> {
  const { server } = options;
  const credentials = await findCredentials(server, options, context.environment);
  const ca = server.startsWith("https:") ? await rootsOf(server, credentials) : undefined;
  const identity = new IdentityFile(directory);
  const fetch = createNodeFetch({
    ca,
    clientCertificate: async () => {
      const kept = await identity.load().catch(() => undefined);
      return kept && { cert: kept.svid.certificateChainPem, key: kept.svid.privateKeyPem };
    },
  });
  return createClient({
    server,
    fetch,
    ...(credentials.token === undefined ? {} : { token: credentials.token }),
  });
}
