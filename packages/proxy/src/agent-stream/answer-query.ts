import { MeshError, unreachable, type Clock, type Logger, type LogLevel } from "@tulle/base";
import type { LoadTable, SnapshotSource } from "@tulle/engine";
import type { Query } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { clustersJson } from "../admin/clusters.js";
import type { RecordAnswer } from "../records/record-answer.js";
import { loadReport } from "./load-report.js";

/** What is looked at to answer the control plane. */
export interface QueryContext {
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is recorded of a request, by all threads. */
  records(requestId: string): Promise<readonly RecordAnswer[]>;
  setLogLevel(level: LogLevel): void;
}

/** The queries that are answered, by the names that a hello has for them. */
export const QUERIES = ["why", "load", "log_level", "clusters"] as const;

const LEVELS: ReadonlySet<string> = new Set(["debug", "info", "warn", "error"]);
/** A client may have sent an id of any length: it is compared, and kept cut. */
const MAX_REQUEST_ID = 1024;

/** The answer to a query of the control plane, as plain data. Rejects with what was wrong with it. */
export async function answerQuery(query: Query["query"], context: QueryContext): Promise<unknown> {
  const { configuration, load, logger } = context;
  switch (query.case) {
    case "why": {
      const { requestId } = query.value;
      if (requestId === "" || requestId.length > MAX_REQUEST_ID)
        throw new MeshError("invalid", "PROXY_QUERY", "a request id has 1 to 1,024 characters");
      return context.records(requestId);
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
      return clustersJson(configuration.current, load);
    case "explain":
    case undefined:
      // What a newer control plane asks is no member that is known here.
      throw new MeshError("unimplemented", "PROXY_QUERY", "this proxy does not know this query; update it");
    default:
      return unreachable(query);
  }
}
