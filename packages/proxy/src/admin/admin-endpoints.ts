import type { JsonObject } from "@bufbuild/protobuf";
import { PROMETHEUS_CONTENT_TYPE, type Clock, type Logger, type LogLevel } from "@tulle/base";
import type { LoadTable, SnapshotSource } from "@tulle/engine";

import type { LearntPort } from "../detection/learnt-ports.js";
import type { CheckFailure } from "../health/health-checks.js";
import type { ListenerStatus } from "../lifecycle/traffic.js";
import { addressJson, isSocketPath } from "../socket-path.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import type { AdsStatus } from "../xds/ads-client.js";
import { certs } from "./certs.js";
import { clustersJson, clustersText } from "./clusters.js";
import { explainEndpoint } from "./explain.js";
import type { Explainer } from "./explainer.js";
import { json, text, type Endpoint, type Reply } from "./http-endpoints.js";
import { statsJson, statsText } from "./stats.js";

/** Envoy's server states. */
export type ServerState = "PRE_INITIALIZING" | "LIVE" | "DRAINING";

/** What the admin interface shows and may do. */
export interface AdminContext {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The metrics of the moment. */
  readonly scrape: () => Promise<MetricsRegistry>;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  /** Why the active check of an endpoint's slot fails; undefined when it does not. */
  readonly checkFailure: (slot: number) => CheckFailure | undefined;
  readonly tls: WorkloadTls;
  readonly explainer: Explainer;
  readonly version: string;
  readonly startedAtMs: number;
  /** Threads that carry traffic. */
  readonly workers: number;
  /** Sidecars that there were of this one before. */
  readonly epoch: number;
  node(): JsonObject;
  state(): ServerState;
  /** Connections pass by the mesh, for want of a configuration. */
  failsOpen(): boolean;
  ads(): AdsStatus;
  listeners(): Promise<readonly ListenerStatus[]>;
  setLogLevel(level: LogLevel): void;
  drain(): void;
  quit(): void;
}

const LEVELS: ReadonlySet<string> = new Set(["debug", "info", "warn", "error"]);

/** Envoy's admin endpoints, as far as they make sense here. */
export function adminEndpoints(context: AdminContext): readonly Endpoint[] {
  const { configuration, load, scrape } = context;
  const endpoints: Endpoint[] = [
    readyEndpoint("/ready", context),
    get("/server_info", "version, state and node", () => json(serverInfo(context))),
    get("/clusters", "clusters and their endpoints; ?format=json", (query) =>
      isJson(query)
        ? json(clustersJson(configuration.current, load, context.checkFailure))
        : text(clustersText(configuration.current, load)),
    ),
    get("/listeners", "listening addresses; ?format=json", (query) => listeners(context, isJson(query))),
    get(
      "/config_dump",
      "configuration in force; ?include_eds, ?resource=dynamic_active_clusters",
      async (query) => {
        const { configDump } = await import("./config-dump.js");
        return json(
          await configDump(context.node(), configuration.resources(), {
            includeEndpoints: query.has("include_eds"),
            resource: query.get("resource") ?? "",
          }),
        );
      },
    ),
    get("/certs", "the workload's certificate", () => json(certs(context.tls.svid, context.clock.now()))),
    get("/stats", "metrics; ?filter=substring, ?format=json|prometheus", (query) => stats(scrape, query)),
    get("/memory", "memory of this process, bytes", () => json(process.memoryUsage())),
    metricsEndpoint("/stats/prometheus", scrape),
    explainEndpoint(context.explainer),
    post("/logging", "?level=debug|info|warn|error", (query) => setLevel(context, query.get("level") ?? "")),
    post("/drain_listeners", "finish what is under way and take no more inbound connections", () => {
      context.drain();
      return text("OK\n");
    }),
    post("/quitquitquit", "end this sidecar", () => {
      context.quit();
      return text("OK\n");
    }),
  ];
  const help = endpoints
    .map((each) => `${each.path}${each.method === "POST" ? " (POST)" : ""}: ${each.help}\n`)
    .join("");
  return [...endpoints, get("/help", "this list", () => text(help)), get("/", "this list", () => text(help))];
}

/** What `scrape` gives, in Prometheus' text format, under `path`. */
export function metricsEndpoint(path: string, scrape: AdminContext["scrape"]): Endpoint {
  return get(path, "metrics in Prometheus' text format", async () => prometheus(await scrape()));
}

/** Whether the sidecar serves, under `path`. One that fails open does not: nobody reaches its application. */
export function readyEndpoint(
  path: string,
  context: Pick<AdminContext, "state" | "failsOpen"> & {
    /** Why the application is not ready; absent: nobody asks it. */
    readonly applicationProblem?: () => Promise<string | undefined>;
  },
): Endpoint {
  return get(path, "200 when this sidecar serves", async () => {
    const state = context.state();
    const openly = context.failsOpen() ? "FAIL OPEN: redirected connections pass by the mesh\n" : "";
    if (state !== "LIVE") return text(`${state}\n${openly}`, 503);
    const problem = await context.applicationProblem?.();
    return problem === undefined
      ? text(`${state}\n${openly}`)
      : text(`APPLICATION NOT READY: ${problem}\n`, 503);
  });
}

function get(path: string, help: string, handle: Endpoint["handle"]): Endpoint {
  return { path, method: "GET", help, handle };
}

function post(path: string, help: string, handle: Endpoint["handle"]): Endpoint {
  return { path, method: "POST", help, handle };
}

function isJson(query: URLSearchParams): boolean {
  return query.get("format") === "json";
}

function prometheus(metrics: MetricsRegistry): Reply {
  return { status: 200, contentType: PROMETHEUS_CONTENT_TYPE, body: prometheusText(metrics) };
}

async function stats(scrape: AdminContext["scrape"], query: URLSearchParams): Promise<Reply> {
  const metrics = await scrape();
  const filter = query.get("filter") ?? "";
  const format = query.get("format");
  if (format === "prometheus") return prometheus(metrics);
  return format === "json" ? json(statsJson(metrics, filter)) : text(statsText(metrics, filter));
}

function serverInfo(context: AdminContext): unknown {
  const uptimeSeconds = Math.floor((context.clock.now() - context.startedAtMs) / 1000);
  const { connected, lastError, types } = context.ads();
  return {
    version: `tulle/${context.version}`,
    state: context.state(),
    uptime_current_epoch: `${uptimeSeconds}s`,
    uptime_all_epochs: `${uptimeSeconds}s`,
    command_line_options: { concurrency: context.workers, restart_epoch: context.epoch },
    node: context.node(),
    control_plane: { connected, last_error: lastError, types: Object.fromEntries(types) },
  };
}

async function listeners(context: AdminContext, asJson: boolean): Promise<Reply> {
  const all = await context.listeners();
  if (!asJson)
    return text(
      all
        .map(
          ({ name, address, protocol, learnt }) =>
            `${name}::${isSocketPath(address.host) ? address.host : `${address.host}:${address.port}`} ${protocol}\n${learnt.map(learntLine).join("")}`,
        )
        .join(""),
    );
  return json({
    listener_statuses: all.map(({ name, address, connections, protocol, learnt }) => ({
      name,
      protocol,
      local_address: addressJson(address),
      connections,
      detected: learnt.map(({ port, verdict, silenceMs }) => ({ port, verdict, timeout_ms: silenceMs })),
    })),
  });
}

function learntLine({ port, verdict, silenceMs }: LearntPort): string {
  return `  ${port} ${verdict}, timeout ${silenceMs} ms\n`;
}

function setLevel(context: AdminContext, level: string): Reply {
  const { logger } = context;
  if (level === "") return text(`level: ${logger.level}\n`);
  if (!LEVELS.has(level)) return text(`unknown level; one of ${[...LEVELS].join(", ")}\n`, 400);
  logger.setLevel(level as LogLevel);
  context.setLogLevel(level as LogLevel);
  return text(`level: ${logger.level}\n`);
}
