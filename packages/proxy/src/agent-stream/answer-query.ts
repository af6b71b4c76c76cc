import { MeshError, unreachable, type Logger, type LogLevel } from "@tulle/base";
import { readQuestion, type LoadTable, type SnapshotSource } from "@tulle/engine";
import { ENDPOINT_TYPE } from "@tulle/xds";
import { TrafficQuery_Action, type ExplainQuery, type Query } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { clustersJson } from "../admin/clusters.js";
import type { Explainer } from "../admin/explainer.js";
import type { ObservationAction, TrafficReport } from "../observed/contract.js";
import type { RecordAnswer } from "../records/record-answer.js";
import { endpointSets, type EndpointAges } from "./endpoint-sets.js";
import { heldList, heldTypes } from "./held-resources.js";
import { loadReport } from "./load-report.js";

/** What is looked at to answer the control plane. */
export interface QueryContext {
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly explainer: Pick<Explainer, "explain">;
  readonly logger: Logger;
  /** How an endpoint's last health check failed, by its slot in the load table. */
  readonly checkFailure: Parameters<typeof clustersJson>[2];
  readonly ages: Pick<EndpointAges, "changedAt" | "confirm">;
  /** What is recorded of a request, by all threads. */
  records(requestId: string): Promise<readonly RecordAnswer[]>;
  /** Begins or ends to observe traffic in all threads, and tells what was observed. */
  observe(action: ObservationAction): Promise<TrafficReport>;
  setLogLevel(level: LogLevel): void;
}

/** The queries that are answered, by the names that a hello has for them. */
export const QUERIES = [
  "explain",
  "why",
  "load",
  "log_level",
  "clusters",
  "endpoints",
  "held",
  "traffic",
] as const;

const ACTIONS: Readonly<Record<number, ObservationAction>> = {
  [TrafficQuery_Action.START]: "start",
  [TrafficQuery_Action.STOP]: "stop",
};
const LEVELS: ReadonlySet<string> = new Set(["debug", "info", "warn", "error"]);
/** A client may have sent an id of any length: it is compared, and kept cut. */
const MAX_REQUEST_ID = 1024;
/** Characters of JSON that records may have with their explanations; without them, any number of records has fewer. */
const MAX_EXPLAINED = 200 * 1024;
const MAX_RECORDS = 64;

/** The answer to a query of the control plane, as plain data. Rejects with what was wrong with it. */
export async function answerQuery(query: Query["query"], context: QueryContext): Promise<unknown> {
  const { configuration, load, logger } = context;
  switch (query.case) {
    case "explain":
      return context.explainer.explain(questionOf(query.value));
    case "why": {
      const { requestId } = query.value;
      if (requestId === "" || requestId.length > MAX_REQUEST_ID)
        throw new MeshError("invalid", "PROXY_QUERY", "a request id has 1 to 1,024 characters");
      return withinSize(await context.records(requestId));
    }
    case "load": {
      const { cluster } = query.value;
      const report = loadReport(configuration.current, load, cluster);
      if (report === undefined)
        throw new MeshError("not-found", "PROXY_UNKNOWN_CLUSTER", `this proxy has no cluster ${cluster}`);
      return report;
    }
    case "logLevel": {
      const { level } = query.value;
      if (level !== "" && !LEVELS.has(level))
        throw new MeshError("invalid", "PROXY_QUERY", `a log level is one of ${[...LEVELS].join(", ")}`);
      if (level !== "") context.setLogLevel(level as LogLevel);
      return { level: logger.level };
    }
    case "clusters":
      return clustersJson(configuration.current, load, context.checkFailure);
    case "endpoints": {
      const versionOf = (name: string): string => configuration.version(ENDPOINT_TYPE, name);
      return endpointSets(configuration.current, load, versionOf, context.ages, query.value.host);
    }
    case "traffic":
      return context.observe(ACTIONS[query.value.action] ?? "read");
    case "held": {
      const { typeUrl, expected } = query.value;
      if (typeUrl !== "") return heldList(configuration, typeUrl);
      const held = heldTypes(configuration);
      for (const [type, checksum] of Object.entries(held.types))
        if (expected[type] === checksum) context.ages.confirm(type);
      return held;
    }
    case undefined:
      // What a newer control plane asks is no member that is known here.
      throw new MeshError("unimplemented", "PROXY_QUERY", "this proxy does not know this query; update it");
    default:
      return unreachable(query);
  }
}

function questionOf(query: ExplainQuery): ReturnType<typeof readQuestion> {
  const { method, url, headers, requestId, inbound, principal, serverName, remoteAddress } = query;
  return readQuestion({
    method,
    url,
    headers,
    ...(requestId === "" ? {} : { requestId }),
    ...(inbound ? { direction: "inbound" } : {}),
    ...(principal === "" ? {} : { principal }),
    ...(serverName === "" ? {} : { serverName }),
    ...(remoteAddress === "" ? {} : { remoteAddress }),
  });
}

/** The newest records; without explanations where these are too long (clusters with very many endpoints). */
function withinSize(records: readonly RecordAnswer[]): readonly RecordAnswer[] {
  const newest = records.slice(-MAX_RECORDS);
  return JSON.stringify(newest).length <= MAX_EXPLAINED ? newest : newest.map(({ record }) => ({ record }));
}
