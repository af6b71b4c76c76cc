import type { Socket } from "node:net";

/** Breaks a connection off so that its peer notices, by TCP's reset. A Unix socket has none: it is closed. */
export function resetSocket(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
