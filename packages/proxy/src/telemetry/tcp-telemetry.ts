import type { TcpObserver, TcpRecord, TcpTraffic } from "../tcp/contract.js";
import type { AccessLogEntry } from "./access-log-format.js";
import type { AccessLog } from "./access-log.js";
import type { Counter, Family, MetricsRegistry } from "./metrics.js";
import { securityPolicy, trafficLabels, type OwnWorkload } from "./traffic-labels.js";

/**
 * Istio's TCP metrics (https://istio.io/latest/docs/reference/config/metrics/) and a log line for each session. Bytes
 * are counted as they flow: a database connection may live for weeks.
 */
export class TcpTelemetry implements TcpObserver {
  readonly #own: OwnWorkload;
  readonly #log: AccessLog;
  readonly #opened: Family<Counter>;
  readonly #closed: Family<Counter>;
  readonly #sent: Family<Counter>;
  readonly #received: Family<Counter>;

  constructor(registry: MetricsRegistry, own: OwnWorkload, log: AccessLog) {
    this.#own = own;
    this.#log = log;
    this.#opened = registry.counter("istio_tcp_connections_opened_total", "TCP connections opened.");
    this.#closed = registry.counter("istio_tcp_connections_closed_total", "TCP connections closed.");
    this.#sent = registry.counter("istio_tcp_sent_bytes_total", "Bytes sent to clients over TCP.");
    this.#received = registry.counter(
      "istio_tcp_received_bytes_total",
      "Bytes received from clients over TCP.",
    );
  }

  opened(record: TcpRecord): TcpTraffic {
    const labels = this.#labels(record);
    this.#opened.with(labels).inc();
    const sent = this.#sent.with(labels);
    const received = this.#received.with(labels);
    return { sent: (bytes) => sent.inc(bytes), received: (bytes) => received.inc(bytes) };
  }

  closed(record: TcpRecord): void {
    this.#closed.with(this.#labels(record)).inc();
    this.#log.write(record.chain, new TcpLogEntry(record));
  }

  #labels(record: TcpRecord): string[] {
    return [
      ...trafficLabels(record, this.#own),
      "request_protocol",
      "tcp",
      "response_flags",
      record.flags === "" ? "-" : record.flags,
      "connection_security_policy",
      securityPolicy(record),
    ];
  }
}

/** A session as the access log shows it: nothing of it is a request. */
class TcpLogEntry implements AccessLogEntry {
  readonly method = "";
  readonly path = "";
  readonly authority = "";
  readonly scheme = "";
  readonly protocol = "";
  readonly requestHeaders = [];
  readonly responseHeaders = [];
  readonly responseCode = 0;
  readonly responseCodeDetails = "";
  readonly routeName = "";
  readonly requestId = "";
  readonly startTimeMs: number;
  readonly durationMs: number;
  readonly responseFlags: string;
  readonly connectionTerminationDetails: string;
  readonly upstreamTransportFailureReason: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly attemptCount: number;
  readonly upstreamHost: string;
  readonly upstreamCluster: string;
  readonly upstreamLocalAddress: string;
  readonly downstreamLocalAddress: string;
  readonly downstreamRemoteAddress: string;
  readonly downstreamPeerUriSan: string;
  readonly requestedServerName: string;

  constructor(record: TcpRecord) {
    const { source } = record;
    this.startTimeMs = record.startTimeMs;
    this.durationMs = record.durationMs;
    this.responseFlags = record.flags;
    this.connectionTerminationDetails = record.termination;
    this.upstreamTransportFailureReason = record.transportFailure;
    this.bytesReceived = record.bytesReceived;
    this.bytesSent = record.bytesSent;
    this.attemptCount = record.attempts;
    this.upstreamHost = record.endpoint?.key ?? "";
    this.upstreamCluster = record.cluster?.name ?? "";
    this.upstreamLocalAddress = record.upstreamLocalAddress;
    this.downstreamLocalAddress = source.localAddress;
    this.downstreamRemoteAddress = source.remoteAddress;
    this.downstreamPeerUriSan = source.peerSpiffeId;
    this.requestedServerName = source.serverName;
  }
}
