import { join, resolve } from "node:path";

import type { JsonObject } from "@bufbuild/protobuf";

import { writeFileAtomically } from "./atomic-file.js";
import { CERTIFICATE_FILE, PRIVATE_KEY_FILE, TRUST_BUNDLE_FILE } from "./certificate-files.js";
import type { WorkloadNode } from "./node-identity.js";

export interface GrpcBootstrapOptions {
  /** Where to write the document; its reader finds it by `GRPC_XDS_BOOTSTRAP`. */
  readonly path: string;
  /** The relay's Unix socket. */
  readonly socketPath: string;
  readonly node: WorkloadNode;
  /** Directory of `keepCertificateFiles`; undefined: no mutual TLS between applications. */
  readonly certificateDirectory?: string;
}

/** Name of the certificate provider in the bootstrap, which clusters refer to. Istio's. */
export const CERTIFICATE_PROVIDER = "default";

/** How often gRPC looks whether the files changed. */
const REFRESH_INTERVAL = "10s";

/**
 * The bootstrap document of proxyless gRPC for a workload. `locality` must be there even when it is empty, and
 * `ignore_resource_deletion` keeps a client working when an answer leaves out what it uses (gRFC A53).
 */
export function grpcBootstrap(options: Omit<GrpcBootstrapOptions, "path">): JsonObject {
  const { socketPath, node, certificateDirectory } = options;
  const document: JsonObject = {
    xds_servers: [
      {
        server_uri: `unix:${resolve(socketPath)}`,
        channel_creds: [{ type: "insecure" }],
        server_features: ["ignore_resource_deletion"],
      },
    ],
    node: { id: node.id, metadata: node.metadata, locality: {} },
  };
  if (certificateDirectory === undefined) return document;
  const directory = resolve(certificateDirectory);
  return {
    ...document,
    certificate_providers: {
      [CERTIFICATE_PROVIDER]: {
        plugin_name: "file_watcher",
        config: {
          certificate_file: join(directory, CERTIFICATE_FILE),
          private_key_file: join(directory, PRIVATE_KEY_FILE),
          ca_certificate_file: join(directory, TRUST_BUNDLE_FILE),
          refresh_interval: REFRESH_INTERVAL,
        },
      },
    },
  };
}

/** Writes {@link grpcBootstrap} to a file, whole or not at all. */
export async function writeGrpcBootstrap(options: GrpcBootstrapOptions): Promise<void> {
  await writeFileAtomically(options.path, `${JSON.stringify(grpcBootstrap(options), undefined, 2)}\n`);
}
