import { z } from "zod";
import { textColumn } from "../column.js";
import { duration } from "../schema/durations.js";
import { integer, uint32, wholePercent } from "../schema/numbers.js";
import { exactlyOne, isFields, struct, type Rule } from "../schema/struct.js";
import { namespaceName } from "../schema/namespaces.js";
import { absolutePath, consulKind, meta, operand, partition, serviceName } from "./parts.js";
import type { ProxyDefaultsSpec, ServiceDefaultsSpec } from "./type.js";

const PROTOCOLS = ["tcp", "http", "http2", "grpc"] as const;

/** Fields of Consul that the mesh does not carry out; its analysis says so of each. */
const anything = z.unknown().exactOptional();

const upstream = {
  connectTimeoutMs: integer(0, 3_600_000, "milliseconds").exactOptional(),
  limits: struct({
    maxConnections: uint32.exactOptional(),
    maxPendingRequests: uint32.exactOptional(),
    maxConcurrentRequests: uint32.exactOptional(),
  }).exactOptional(),
  passiveHealthCheck: struct({
    interval: duration.exactOptional(),
    maxFailures: uint32.exactOptional(),
    maxEjectionPercent: wholePercent.exactOptional(),
    baseEjectionTime: duration.exactOptional(),
    enforcingConsecutive5xx: z
      .union([z.literal(0), z.literal(100)], { error: "expected 0 or 100: ejection is off or on" })
      .exactOptional(),
  }).exactOptional(),
};

const rate = {
  requestsPerSecond: uint32.exactOptional(),
  requestsMaxBurst: uint32.exactOptional(),
};

/** A number of 0 is how Consul's clients say nothing. */
const hasRate: Rule = (fields, report) => {
  if ((fields["requestsPerSecond"] ?? 0) === 0) report(["requestsPerSecond"], "is required");
};

const burstOfRate: Rule = (fields, report) => {
  if ((fields["requestsPerSecond"] ?? 0) === 0 && (fields["requestsMaxBurst"] ?? 0) !== 0)
    report(["requestsMaxBurst"], "has no effect without requestsPerSecond");
};

const rateLimits = struct({
  instanceLevel: struct(
    {
      ...rate,
      routes: z
        .array(
          struct(
            {
              ...rate,
              pathExact: absolutePath.exactOptional(),
              pathPrefix: absolutePath.exactOptional(),
              pathRegex: operand.exactOptional(),
            },
            exactlyOne("pathExact", "pathPrefix", "pathRegex"),
            hasRate,
          ),
        )
        .max(32, "must have at most 32 routes")
        .exactOptional(),
    },
    burstOfRate,
  ).exactOptional(),
});

const upstreamConfig = struct({
  defaults: struct(upstream).exactOptional(),
  overrides: z
    .array(
      struct({
        name: serviceName,
        namespace: namespaceName.exactOptional(),
        partition: partition.exactOptional(),
        ...upstream,
      }),
    )
    .max(1000, "must have at most 1000 items")
    .exactOptional(),
});

export const serviceDefaultsKind = consulKind<ServiceDefaultsSpec>(
  "ServiceDefaults",
  {
    specOptional: true,
    schema: struct({
      protocol: z.enum(PROTOCOLS).exactOptional(),
      upstreamConfig: upstreamConfig.exactOptional(),
      meta: meta.exactOptional(),
      mode: anything,
      balanceInboundConnections: anything,
      transparentProxy: anything,
      mutualTLSMode: anything,
      meshGateway: anything,
      expose: anything,
      externalSNI: anything,
      destination: anything,
      maxInboundConnections: anything,
      localConnectTimeoutMs: anything,
      localRequestTimeoutMs: anything,
      rateLimits: rateLimits.exactOptional(),
      envoyExtensions: anything,
    }),
  },
  [textColumn<ServiceDefaultsSpec>("Protocol", "What its instances speak.", ({ spec }) => spec.protocol)],
);

const knownProtocol: Rule = ({ config }, report) => {
  const protocol = isFields(config) ? config["protocol"] : undefined;
  if (protocol !== undefined && !(PROTOCOLS as readonly unknown[]).includes(protocol))
    report(["config", "protocol"], `expected one of ${PROTOCOLS.join(", ")}`);
};

export const proxyDefaultsKind = consulKind<ProxyDefaultsSpec>("ProxyDefaults", {
  specOptional: true,
  schema: struct(
    {
      config: z.record(z.string(), z.unknown()).exactOptional(),
      meta: meta.exactOptional(),
      mode: anything,
      transparentProxy: anything,
      mutualTLSMode: anything,
      meshGateway: anything,
      expose: anything,
      accessLogs: anything,
      envoyExtensions: anything,
      failoverPolicy: anything,
      prioritizeByLocality: anything,
    },
    knownProtocol,
  ),
});
