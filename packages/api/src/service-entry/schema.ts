import { z } from "zod";
import { subnet } from "../schema/addresses.js";
import { isHostname, isWildcard } from "../schema/hosts.js";
import { labels } from "../schema/labels.js";
import { exportTo, exportToRule } from "../schema/namespaces.js";
import { port } from "../schema/numbers.js";
import { nonEmpty, stringThat } from "../schema/strings.js";
import { excludes, struct, unique } from "../schema/struct.js";
import { portName, workloadEntrySpec } from "../workload-entry/schema.js";
import { blocksNeedNoLookup, distinctHosts, endpointPorts, resolutionFits } from "./rules.js";
import type { ServiceEntrySpec } from "./type.js";

const PROTOCOLS = [
  "HTTP",
  "HTTPS",
  "GRPC",
  "GRPC-WEB",
  "HTTP2",
  "MONGO",
  "MYSQL",
  "REDIS",
  "TCP",
  "TLS",
  "UDP",
];

const serviceHost = stringThat(
  (value) => isHostname(value) || (isWildcard(value) && value !== "*"),
  'a host name such as "api.example.com", or a wildcard such as "*.example.com"',
);

const servicePort = struct({
  number: port,
  protocol: stringThat(
    (value) => PROTOCOLS.includes(value.toUpperCase()),
    `one of ${PROTOCOLS.join(", ")}`,
  ).exactOptional(),
  name: portName,
  targetPort: port.exactOptional(),
});

/** Istio's ServiceEntry, every documented field. */
export const serviceEntrySpec: z.ZodType<ServiceEntrySpec> = struct(
  {
    hosts: z.array(serviceHost).refine((list) => list.length > 0, { error: "must have at least one host" }),
    addresses: z.array(subnet).exactOptional(),
    ports: z.array(servicePort).exactOptional(),
    location: z.enum(["MESH_EXTERNAL", "MESH_INTERNAL"]).exactOptional(),
    resolution: z.enum(["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]).exactOptional(),
    endpoints: z.array(workloadEntrySpec).exactOptional(),
    workloadSelector: struct({ labels: labels.exactOptional() }).exactOptional(),
    exportTo: exportTo.exactOptional(),
    subjectAltNames: z.array(nonEmpty).exactOptional(),
  },
  unique("ports", "number"),
  unique("ports", "name"),
  excludes("workloadSelector", "endpoints"),
  distinctHosts,
  resolutionFits,
  blocksNeedNoLookup,
  endpointPorts,
  exportToRule,
);
