import { z } from "zod";
import { connectionPool } from "../destination-rule/connection-pool.js";
import { outlierDetection } from "../destination-rule/outlier-detection.js";
import { duration, positiveDuration } from "../schema/durations.js";
import { isToken } from "../schema/headers.js";
import { serviceReference } from "../schema/hosts.js";
import { mapOf } from "../schema/labels.js";
import { integer, port } from "../schema/numbers.js";
import { stringThat, text } from "../schema/strings.js";
import { atLeastOne, exactlyOne, struct, structsOf, type Rule } from "../schema/struct.js";
import { cipherSuite, ecdhCurve } from "../schema/tls-parameters.js";
import { retries } from "../virtual-service/retries.js";
import type { MeshConfigSpec } from "./type.js";

const statusOnError = stringThat(
  (value) => /^[45]\d\d$/.test(value),
  'an HTTP error status as text, such as "403"',
);

/** Istio's patterns of names: exact, `prefix*`, `*suffix`, `*`. */
const headerPattern = stringThat(
  (value) => value === "*" || (isToken(value) && !value.replace(/^\*|\*$/, "").includes("*")),
  'a header name such as "x-user", "x-*", "*-id" or "*"',
);
const headerPatterns = z.array(headerPattern).max(256);

const body = struct({
  maxRequestBytes: integer(1, 4_294_967_295, "a number of bytes").exactOptional(),
  allowPartialMessage: z.boolean().exactOptional(),
  packAsBytes: z.boolean().exactOptional(),
});

const common = {
  service: serviceReference,
  port,
  timeout: positiveDuration.exactOptional(),
  failOpen: z.boolean().exactOptional(),
  statusOnError: statusOnError.exactOptional(),
  clearRouteCache: z.boolean().exactOptional(),
  includeRequestBodyInCheck: body.exactOptional(),
};

const pathPrefix = stringThat(
  (value) => /^\/[\x21-\x22\x24-\x3e\x40-\x7e]*$/.test(value),
  'a path such as "/check", without a query',
);

const provider = struct(
  {
    name: stringThat(
      (value) => /^[\w.-]{1,253}$/.test(value),
      'a name of letters, digits, ".", "_" and "-", such as "opa"',
    ),
    envoyExtAuthzGrpc: struct(common).exactOptional(),
    envoyExtAuthzHttp: struct({
      ...common,
      pathPrefix: pathPrefix.exactOptional(),
      includeRequestHeadersInCheck: headerPatterns.exactOptional(),
      includeAdditionalHeadersInCheck: mapOf(text, isToken, 'a header name such as "x-user"').exactOptional(),
      headersToUpstreamOnAllow: headerPatterns.exactOptional(),
      headersToDownstreamOnDeny: headerPatterns.exactOptional(),
      headersToDownstreamOnAllow: headerPatterns.exactOptional(),
    }).exactOptional(),
  },
  exactlyOne("envoyExtAuthzGrpc", "envoyExtAuthzHttp"),
);

/** Policies name providers: one name means one. */
const uniqueNames: Rule = (fields, report) => {
  const seen = new Set<unknown>();
  for (const [index, { name }] of structsOf(fields["extensionProviders"])) {
    if (seen.has(name))
      report(["extensionProviders", index, "name"], "is the name of another provider already");
    seen.add(name);
  }
};

const tlsConfig = struct({
  minProtocolVersion: z.enum(["TLS_AUTO", "TLSV1_2", "TLSV1_3"]).exactOptional(),
  ecdhCurves: z.array(ecdhCurve).max(16).exactOptional(),
  cipherSuites: z.array(cipherSuite).max(64).exactOptional(),
});

/** Every field of a MeshConfig. */
export const meshConfigSpec: z.ZodType<MeshConfigSpec> = struct(
  {
    extensionProviders: z.array(provider).max(256).exactOptional(),
    meshMTLS: tlsConfig.exactOptional(),
    tlsDefaults: tlsConfig.exactOptional(),
    defaultTrafficPolicy: struct(
      {
        connectionPool: connectionPool.exactOptional(),
        outlierDetection: outlierDetection.exactOptional(),
      },
      atLeastOne("connectionPool", "outlierDetection"),
    ).exactOptional(),
    connectTimeout: positiveDuration.exactOptional(),
    protocolDetectionTimeout: duration.exactOptional(),
    defaultHttpRetryPolicy: retries.exactOptional(),
    defaultInboundHttpRetryPolicy: retries.exactOptional(),
  },
  uniqueNames,
);
