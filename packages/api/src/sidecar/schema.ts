import { z } from "zod";
import { connectionPool } from "../destination-rule/connection-pool.js";
import { isIpAddress } from "../schema/addresses.js";
import { host as hostName, isHostname, isWildcard } from "../schema/hosts.js";
import { labels } from "../schema/labels.js";
import { isDnsLabel } from "../schema/namespaces.js";
import { port } from "../schema/numbers.js";
import { nonEmpty, stringThat } from "../schema/strings.js";
import { isFields, struct, structsOf, type Rule } from "../schema/struct.js";
import { portName } from "../workload-entry/schema.js";
import type { SidecarSpec } from "./type.js";

const PROTOCOLS = ["HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "MYSQL", "REDIS", "TCP", "TLS"];

/** Whether `value` is `namespace/host`, as an egress listener names what may be called. */
function isImport(value: string): boolean {
  const slash = value.indexOf("/");
  if (slash === -1) return false;
  const namespace = value.slice(0, slash);
  const host = value.slice(slash + 1);
  return (
    ([".", "*", "~"].includes(namespace) || isDnsLabel(namespace)) && (isHostname(host) || isWildcard(host))
  );
}

/** `127.0.0.1:PORT`, `[::1]:PORT`, an address of the workload as `0.0.0.0:PORT` or `[::]:PORT`, or a Unix socket. */
function isLocalEndpoint(value: string): boolean {
  if (/^unix:\/\/[/@][^\0]{1,107}$/.test(value)) return true;
  const parts = /^(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):([1-9]\d{0,4})$/.exec(value);
  return parts !== null && Number(parts[1]) <= 65_535;
}

const sidecarPort = struct({
  number: port,
  protocol: stringThat(
    (value) => PROTOCOLS.includes(value.toUpperCase()),
    `one of ${PROTOCOLS.join(", ")}`,
  ).exactOptional(),
  name: portName.exactOptional(),
});

const bind = stringThat(
  (value) => isIpAddress(value) || value.startsWith("unix://"),
  "an IP address, or unix:///path",
).exactOptional();
const captureMode = z.enum(["DEFAULT", "IPTABLES", "NONE"]).exactOptional();

/** Ports come once; a listener for all ports comes once, and last. */
const distinctPorts =
  (list: "ingress" | "egress"): Rule =>
  (fields, report) => {
    const seen = new Map<unknown, number>();
    const items = structsOf(fields[list]);
    for (const [index, item] of items) {
      const number = isFields(item["port"]) ? item["port"]["number"] : undefined;
      const key = number === undefined ? "all" : JSON.stringify([number, item["bind"] ?? ""]);
      const first = seen.get(key);
      if (first !== undefined) {
        report([list, index], `has the same port as ${list}[${first}]: it would never be used`);
      } else seen.set(key, index);
      if (list === "egress" && number === undefined && index !== items.at(-1)?.[0]) {
        report([list, index, "port"], "is required for all items but the last");
      }
    }
  };

/** Istio's Sidecar, every documented field that is about plaintext and mesh traffic. */
export const sidecarSpec: z.ZodType<SidecarSpec> = struct(
  {
    workloadSelector: struct({ labels: labels.exactOptional() }).exactOptional(),
    ingress: z
      .array(
        struct({
          port: sidecarPort,
          bind,
          captureMode,
          defaultEndpoint: stringThat(
            isLocalEndpoint,
            '"127.0.0.1:PORT", "0.0.0.0:PORT", "[::1]:PORT" or "unix:///path"',
          ).exactOptional(),
          connectionPool: connectionPool.exactOptional(),
        }),
      )
      .exactOptional(),
    egress: z
      .array(
        struct({
          port: sidecarPort.exactOptional(),
          bind,
          captureMode,
          hosts: z
            .array(
              stringThat(isImport, 'namespace/host, such as "./*" or "shop/reviews.shop.svc.cluster.local"'),
            )
            .refine((list) => list.length > 0, { error: "must have at least one host" }),
        }),
      )
      .exactOptional(),
    inboundConnectionPool: connectionPool.exactOptional(),
    outboundTrafficPolicy: struct({
      mode: z.enum(["REGISTRY_ONLY", "ALLOW_ANY"]).exactOptional(),
      egressProxy: struct({
        host: hostName,
        subset: nonEmpty.exactOptional(),
        port: struct({ number: port }).exactOptional(),
      }).exactOptional(),
    }).exactOptional(),
  },
  distinctPorts("ingress"),
  distinctPorts("egress"),
);
