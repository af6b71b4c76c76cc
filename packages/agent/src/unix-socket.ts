import { chmod, mkdir, mkdtemp, rename, rmdir } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";

import { MeshError, systemErrorCode } from "@tulle/base";

/** Longer paths do not fit a socket address while it is being set up beside its final place. */
const MAX_SOCKET_PATH_BYTES = 90;

/**
 * Has `listen` bind inside a directory that only we may enter, then moves the socket to its place: nobody else can connect before
 * its permissions are set, and a left-over of a crash is replaced.
 */
export async function listenOnUnixSocket(
  listen: (path: string) => Promise<void>,
  socketPath: string,
): Promise<void> {
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    throw new MeshError(
      "invalid",
      "AGENT_SOCKET_PATH",
      `${socketPath} is longer than ${MAX_SOCKET_PATH_BYTES} bytes; choose a shorter path for the socket`,
    );
  }
  if (await isInUse(socketPath)) {
    throw new MeshError(
      "already-exists",
      "AGENT_SOCKET_IN_USE",
      `somebody listens on ${socketPath} already; stop that first`,
    );
  }
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o700 });
  const directory = await mkdtemp(`${socketPath}.`);
  try {
    const temporary = join(directory, "s");
    await listen(temporary).catch((thrown: unknown) => {
      const { message } = MeshError.from(thrown);
      throw new MeshError("unavailable", "AGENT_SOCKET", `cannot listen on ${socketPath}: ${message}`);
    });
    await chmod(temporary, 0o600);
    await rename(temporary, socketPath);
  } finally {
    await rmdir(directory).catch(() => undefined);
  }
}

function isInUse(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error) => resolve(systemErrorCode(error) === "EACCES"));
  });
}
