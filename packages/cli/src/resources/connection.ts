import type { Client } from "@tulle/client";

import type { CliContext } from "../context.js";

export interface ServerOptions {
  /** URL of the control plane. */
  readonly server: string;
}

/** A client of the control plane that the user names; no call is made yet. */
export async function connect({ server }: ServerOptions, context: CliContext): Promise<Client> {
  const { createClient } = await import("@tulle/client");
  return createClient({ server, clock: context.clock });
}
