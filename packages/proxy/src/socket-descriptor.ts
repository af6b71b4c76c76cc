import type { Server, Socket } from "node:net";

/** Node.js does not document a socket's descriptor; it is there on every Linux while the socket is open. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } | null };
  const fd = handle?.fd;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

/**
 * What a listening server listens by: Node.js sends it to other processes (`ChildProcess.send`), and servers there listen by
 * it (`server.listen(handle)`). Undocumented, too; undefined when the server does not listen.
 */
export function handleOf(server: Server): object | undefined {
  return (server as Server & { readonly _handle?: object | null })._handle ?? undefined;
}
