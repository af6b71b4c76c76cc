// An authorization service over gRPC (envoy.service.auth.v3.Authorization), on grpc-js: who says `x-user` may pass, and is
// told so in `x-checked-by`. Who says `x-slow` waits for ever. Of connections that carry bytes, the account `caller` may make them.
import { create } from "@bufbuild/protobuf";
import { serveGrpc } from "@tulle/testkit/grpc";
import { Authorization, CheckResponseSchema } from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";

const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

function check({ attributes }) {
  if (attributes.request.http === undefined) {
    const code = attributes.source.principal.endsWith("/sa/caller") ? 0 : PERMISSION_DENIED;
    return create(CheckResponseSchema, { status: { code } });
  }
  const { headers, path } = attributes.request.http;
  if (headers["x-slow"] !== undefined) return new Promise(() => undefined);
  const user = headers["x-user"];
  if (user === undefined) {
    return create(CheckResponseSchema, {
      status: { code: UNAUTHENTICATED },
      httpResponse: {
        case: "deniedResponse",
        value: { status: { code: 401 }, body: `who asks for ${path}?` },
      },
    });
  }
  const by = { header: { key: "x-checked-by", value: attributes.source.principal } };
  return create(CheckResponseSchema, {
    status: { code: 0 },
    httpResponse: {
      case: "okResponse",
      value: { headers: [{ header: { key: "x-user", value: `${user}!` } }], responseHeadersToAdd: [by] },
    },
  });
}

await serveGrpc(Authorization.method.check, check, `127.0.0.1:${process.env.PORT}`);
process.once("SIGTERM", () => process.exit(0));
