// Bytes that reach a proxy cut as a test likes.
import { connect } from "node:net";

import { eventually } from "@tulle/testkit";

/**
 * Sends bytes in pieces cut at `cuts`. Gives what came back until a whole head, or until the proxy ended the connection,
 * and ends it.
 */
export async function sendInPieces(
  port: number,
  bytes: Buffer,
  cuts: readonly number[],
  until: "head" | "end",
): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let answer = "";
  let closed = false;
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
  // A proxy that has refused may reset what is still being sent.
  socket.on("error", () => undefined);
  socket.on("close", () => (closed = true));
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    if (closed || !socket.writable) break;
    await new Promise<void>((resolve) => socket.write(bytes.subarray(from, to), () => resolve()));
    from = to;
  }
  await eventually(() => closed || (until === "head" && answer.includes("\r\n\r\n")));
  socket.destroy();
  await eventually(() => closed);
  return answer;
}
