import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";

import type { Mesh } from "./mesh.js";

/** Servers in the test's own process, which it registers and tells what to do. */
export class Servers {
  readonly #open = new Set<() => void>();

  /** Returns its port. */
  async http(listener: RequestListener, port = 0): Promise<number> {
    const server = createServer(listener);
    this.#open.add(() => {
      server.closeAllConnections();
      server.close();
    });
    return listen(server, port);
  }

  /** A port on which nothing listens. */
  async closedPort(): Promise<number> {
    const server = createTcpServer();
    const port = await listen(server, 0);
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  close(): void {
    for (const close of this.#open) close();
    this.#open.clear();
  }
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** Registers servers of this machine as instances of a service at port 8080, healthy whatever they do. */
export async function register(
  mesh: Mesh,
  service: string,
  ports: readonly number[],
  protocol = "http",
  meta: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const [index, port] of ports.entries()) {
    await mesh.client.registry.register({
      ID: `${service}-${index}`,
      Name: service,
      Address: "127.0.0.1",
      Port: port,
      Meta: { "tulle-service-port": "8080", "tulle-protocol": protocol, ...meta },
      Check: { CheckID: `check-${service}-${index}`, TTL: "10m", Status: "passing" },
    });
  }
}
