import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installedVersion } from "../harness/program.mjs";
import { freePort, listening, start } from "../harness/spawned.mjs";

/** A gRPC message of 100 bytes with its prefix. */
export const GRPC_MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, "x")]);
export const GRPC_PATH = "/message.grpc";

/** A unary gRPC application over h2c: answers each call with one message of 100 bytes and status 0 in trailers. */
export async function startGrpcOrigin(context) {
  if (installedVersion("nghttpd", ["--version"], /nghttp2\/([\d.]+)/) === undefined) {
    throw new Error("nghttpd is not installed (scripts/peers.sh)");
  }
  const root = join(context.directory, "grpc");
  mkdirSync(root);
  writeFileSync(join(root, GRPC_PATH), GRPC_MESSAGE);
  writeFileSync(join(root, "mime.types"), "application/grpc grpc\n");
  const port = await freePort();
  const args = ["--no-tls", "--trailer", "grpc-status: 0", "--mime-types-file", join(root, "mime.types")];
  const handle = start("nghttpd", [...args, "-d", root, "-a", "127.0.0.1", String(port)], {
    cpu: context.loadCpu,
    log: join(context.directory, "nghttpd.log"),
  });
  await listening(port, handle);
  return { port, protocol: "h2c", handle };
}
