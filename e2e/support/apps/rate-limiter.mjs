// A rate limit service (envoy.service.ratelimit.v3), on grpc-js: of each combination of values two requests pass.
import { create } from "@bufbuild/protobuf";
import { serveGrpc } from "@tulle/testkit/grpc";
import {
  RateLimitResponse_Code as Code,
  RateLimitResponse_RateLimit_Unit as Unit,
  RateLimitResponseSchema,
  RateLimitService,
} from "@tulle/xds/gen/envoy/service/ratelimit/v3/rls_pb.js";

const LIMIT = 2;
const counts = new Map();

function limit({ domain, descriptors }) {
  const [descriptor] = descriptors;
  const values = descriptor.entries.map(({ value }) => value);
  const key = JSON.stringify([domain, values]);
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  const over = count > LIMIT;
  const code = over ? Code.OVER_LIMIT : Code.OK;
  const currentLimit = { requestsPerUnit: LIMIT, unit: Unit.HOUR, name: domain };
  return create(RateLimitResponseSchema, {
    overallCode: code,
    statuses: [{ code, currentLimit, limitRemaining: Math.max(0, LIMIT - count) }],
    rawBody: over ? Buffer.from(values.at(-1)) : new Uint8Array(),
  });
}

await serveGrpc(RateLimitService.method.shouldRateLimit, limit, `127.0.0.1:${process.env.PORT}`);
process.once("SIGTERM", () => process.exit(0));
