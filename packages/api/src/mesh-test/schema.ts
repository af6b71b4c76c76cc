import { z } from "zod";
import type { AppProtocol } from "../app-protocol.js";
import { duration } from "../schema/durations.js";
import { labels, mapOf } from "../schema/labels.js";
import { integer, port, statusCode, weight } from "../schema/numbers.js";
import { label, nonEmpty, stringThat, text } from "../schema/strings.js";
import { struct } from "../schema/struct.js";
import type { MeshServicesSpec, MeshTestSpec } from "./type.js";

const boolean = z.boolean({ error: "expected true or false" });
const PROTOCOLS: readonly string[] = ["http", "http2", "grpc", "grpc-web", "tcp", "tls", "https", "auto"];
const protocol = stringThat((value) => PROTOCOLS.includes(value), `one of ${PROTOCOLS.join(", ")}`);
const dnsName = stringThat(
  (value) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(value),
  'a service name such as "reviews"',
);

const instance = struct({
  version: nonEmpty.exactOptional(),
  labels: labels.exactOptional(),
  address: nonEmpty.exactOptional(),
  weight: weight.exactOptional(),
  healthy: boolean.exactOptional(),
  locality: nonEmpty.exactOptional(),
  mesh: boolean.exactOptional(),
});

const service = struct({
  name: dnsName,
  namespace: dnsName.exactOptional(),
  port: port.exactOptional(),
  protocol: (protocol as z.ZodType<AppProtocol>).exactOptional(),
  serviceAccount: nonEmpty.exactOptional(),
  labels: labels.exactOptional(),
  versions: z.array(nonEmpty).exactOptional(),
  instances: z.array(instance).exactOptional(),
  mesh: boolean.exactOptional(),
});

const services = z.array(service);

export const meshServicesSpec: z.ZodType<MeshServicesSpec> = struct({ services });

const anyKey = mapOf(text, (key) => key !== "", "a name");

/** `90%` or `9%..11%`. */
const SHARE = /^(\d{1,3}(?:\.\d{1,6})?)%(?:\.\.(\d{1,3}(?:\.\d{1,6})?)%)?$/;

/** Reads `90%` or `9%..11%` as shares from 0 to 1; undefined when it is neither. */
export function parseShare(written: string): { readonly least: number; readonly most: number } | undefined {
  const match = SHARE.exec(written);
  if (match === null) return undefined;
  const least = Number(match[1]) / 100;
  const most = match[2] === undefined ? least : Number(match[2]) / 100;
  return least <= most && most <= 1 ? { least, most } : undefined;
}

const share = stringThat((value) => parseShare(value) !== undefined, 'a share such as "90%" or "9%..11%"');

const expectedHeaders = struct({
  set: anyKey.exactOptional(),
  add: anyKey.exactOptional(),
  remove: z.array(nonEmpty).exactOptional(),
});

const RESULTS: readonly string[] = [
  "forward",
  "reply",
  "denied",
  "reset",
  "no-route",
  "unknown-service",
  "no-endpoint",
  "bytes",
];

const expectation = struct({
  result: stringThat((value) => RESULTS.includes(value), `one of ${RESULTS.join(", ")}`).exactOptional(),
  route: nonEmpty.exactOptional(),
  rule: nonEmpty.exactOptional(),
  destination: struct({
    host: nonEmpty.exactOptional(),
    subset: text.exactOptional(),
    port: port.exactOptional(),
  }).exactOptional(),
  split: mapOf(share, (key) => key !== "", "a subset or host").exactOptional(),
  rewrite: struct({ path: nonEmpty.exactOptional(), authority: nonEmpty.exactOptional() }).exactOptional(),
  requestHeaders: expectedHeaders.exactOptional(),
  responseHeaders: expectedHeaders.exactOptional(),
  timeout: duration.exactOptional(),
  retries: struct({
    attempts: integer(0, 1000).exactOptional(),
    perTryTimeout: duration.exactOptional(),
    after: z.array(nonEmpty).exactOptional(),
    notAfter: z.array(nonEmpty).exactOptional(),
  }).exactOptional(),
  mirrors: mapOf(share, (key) => key !== "", "a subset or host").exactOptional(),
  fault: struct({
    status: statusCode.exactOptional(),
    delay: duration.exactOptional(),
    share: share.exactOptional(),
  }).exactOptional(),
  redirect: struct({
    status: statusCode.exactOptional(),
    location: nonEmpty.exactOptional(),
  }).exactOptional(),
  directResponse: struct({ status: statusCode.exactOptional(), body: text.exactOptional() }).exactOptional(),
  status: statusCode.exactOptional(),
  mutualTls: boolean.exactOptional(),
  endpoints: z.array(nonEmpty).exactOptional(),
  considered: z
    .array(
      struct({
        step: nonEmpty,
        subject: nonEmpty.exactOptional(),
        reason: nonEmpty.exactOptional(),
        chosen: boolean.exactOptional(),
      }),
    )
    .exactOptional(),
});

const testCase = struct({
  name: label,
  when: struct({
    from: nonEmpty,
    method: nonEmpty.exactOptional(),
    url: nonEmpty,
    headers: anyKey.exactOptional(),
    requestId: nonEmpty.exactOptional(),
  }),
  expect: expectation,
});

export const meshTestSpec: z.ZodType<MeshTestSpec> = struct({
  given: struct({
    files: z.array(nonEmpty).exactOptional(),
    services: services.exactOptional(),
  }).exactOptional(),
  cases: z.array(testCase),
});
