import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { ResourceChange } from "@tulle/engine";
import { SECRET_TYPE } from "@tulle/xds";
import { SecretSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { resource } from "./message.js";

/** A Secret, as the control plane sends it. */
export function secret(
  name: string,
  type: NonNullable<MessageInitShape<typeof SecretSchema>["type"]>,
): ResourceChange {
  return resource(SECRET_TYPE, name, SecretSchema, create(SecretSchema, { name, type }));
}
