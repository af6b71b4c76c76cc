import { z } from "zod";
import { exportTo, exportToRule } from "../schema/namespaces.js";
import { hostPattern } from "../schema/hosts.js";
import { nonEmpty } from "../schema/strings.js";
import { atLeastOne, struct } from "../schema/struct.js";
import { httpRoute } from "./http.js";
import { tcpRoute, tlsRoute } from "./l4.js";
import { delegates, distinctHosts, meshHosts, sniWithinHosts } from "./rules.js";
import type { VirtualServiceSpec } from "./type.js";

/** Istio's VirtualService, every documented field. */
export const virtualServiceSpec: z.ZodType<VirtualServiceSpec> = struct(
  {
    hosts: z.array(hostPattern).exactOptional(),
    gateways: z.array(nonEmpty).exactOptional(),
    http: z.array(httpRoute).exactOptional(),
    tls: z.array(tlsRoute).exactOptional(),
    tcp: z.array(tcpRoute).exactOptional(),
    exportTo: exportTo.exactOptional(),
  },
  atLeastOne("http", "tls", "tcp"),
  distinctHosts,
  meshHosts,
  delegates,
  sniWithinHosts,
  exportToRule,
);
