import { z } from "zod";
import { duration } from "../schema/durations.js";
import { host } from "../schema/hosts.js";
import { percent, port, uint32 } from "../schema/numbers.js";
import { atLeastOne, struct, structsOf, isFields, type Rule } from "../schema/struct.js";
import { clientTls } from "./client-tls.js";
import { connectionPool } from "./connection-pool.js";
import { loadBalancer } from "./load-balancer.js";
import { outlierDetection } from "./outlier-detection.js";

const settings = {
  loadBalancer: loadBalancer.exactOptional(),
  connectionPool: connectionPool.exactOptional(),
  outlierDetection: outlierDetection.exactOptional(),
  tls: clientTls.exactOptional(),
};

/** A port's settings come once. */
const distinctPorts: Rule = (fields, report) => {
  const seen = new Set<unknown>();
  for (const [index, item] of structsOf(fields["portLevelSettings"])) {
    const number = isFields(item["port"]) ? item["port"]["number"] : undefined;
    if (number === undefined) continue;
    if (seen.has(number)) report(["portLevelSettings", index, "port", "number"], "has settings already");
    seen.add(number);
  }
};

/** Istio's TrafficPolicy, of a rule or of a subset. */
export const trafficPolicy = struct(
  {
    ...settings,
    portLevelSettings: z.array(struct({ ...settings, port: struct({ number: port }) })).exactOptional(),
    tunnel: struct({
      protocol: z.enum(["CONNECT", "POST"]).exactOptional(),
      targetHost: host,
      targetPort: port,
    }).exactOptional(),
    proxyProtocol: struct({ version: z.enum(["V1", "V2"]).exactOptional() }).exactOptional(),
    retryBudget: struct({
      percent: percent.exactOptional(),
      minRetryConcurrency: uint32.exactOptional(),
      budgetInterval: duration.exactOptional(),
    }).exactOptional(),
  },
  atLeastOne(
    "loadBalancer",
    "connectionPool",
    "outlierDetection",
    "tls",
    "portLevelSettings",
    "tunnel",
    "proxyProtocol",
    "retryBudget",
  ),
  distinctPorts,
);
