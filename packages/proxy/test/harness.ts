// Proxies and backends in one process, over real sockets on free ports.
import {
  createServer as createHttpServer,
  request,
  type IncomingHttpHeaders,
  type RequestListener,
  type RequestOptions,
  type Server,
} from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { Writable } from "node:stream";

import type { Svid, WorkloadIdentity } from "@tulle/agent";
import { Emitter, MeshError, silentLogger, systemClock, type Clock, type Logger } from "@tulle/base";
import {
  createLoadTable,
  createSnapshotSource,
  type ResourceChange,
  type SnapshotSource,
} from "@tulle/engine";

import { EndpointHealth } from "../src/health/endpoint-health.js";
import type { MemoryUse } from "../src/overload/monitors.js";
import type { InboundInterception } from "../src/listener/inbound-interception.js";
import { listenInbound } from "../src/listener/inbound-listener.js";
import type { OutsideWays } from "../src/stream/contract.js";
import type { Interception } from "../src/listener/interception.js";
import { listenOutbound, type HttpListener } from "../src/listener/outbound-listener.js";
import { parseLimits, ProxyLimits } from "../src/limits/proxy-limits.js";
import { WorkloadTls } from "../src/tls/workload-tls.js";
import { buildStack, type ProxyStack } from "../src/stack.js";
import { HealthEventLog } from "../src/health/health-event-log.js";
import { LineWriter } from "../src/telemetry/line-writer.js";
import { Counter, MetricsRegistry } from "../src/telemetry/metrics.js";
import { prometheusText } from "../src/telemetry/prometheus-text.js";

const cleanups: (() => void | Promise<void>)[] = [];

/** Ends everything that the tests of a file opened. For `afterEach`. */
export async function closeAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** Has `closeAll` end something that the test opened itself. */
export function atEnd(cleanup: () => void): void {
  cleanups.push(cleanup);
}

/** An identity whose certificate the test changes at will. */
export class TestIdentity implements WorkloadIdentity {
  #svid: Svid | undefined;
  readonly #rotated = new Emitter<Svid>();
  readonly onRotated = this.#rotated.event;

  constructor(svid?: Svid) {
    this.#svid = svid;
  }

  current(): Svid {
    if (this.#svid === undefined) throw new MeshError("unavailable", "AGENT_NO_IDENTITY", "no identity yet");
    return this.#svid;
  }

  rotate(svid: Svid): void {
    this.#svid = svid;
    this.#rotated.emit(svid);
  }

  [Symbol.dispose](): void {}
}

export interface TestProxy {
  readonly stack: ProxyStack;
  readonly configuration: SnapshotSource;
  readonly health: EndpointHealth;
  readonly metrics: MetricsRegistry;
  readonly load: ReturnType<typeof createLoadTable>;
  readonly demanded: string[];
  apply(...resources: ResourceChange[]): void;
  /** Port of a loopback listener for `authority`; "" = by Host. */
  listen(authority: string): Promise<number>;
  listener(authority: string, interception?: Interception, outside?: OutsideWays): Promise<HttpListener>;
  inbound(interception?: InboundInterception, proxyProtocolFrom?: readonly string[]): Promise<HttpListener>;
  /** Access log lines so far. */
  log(): string[];
  /** Lines of the log of health events so far. */
  healthLog(): string[];
  metricsText(): string;
}

export interface TestProxyOptions {
  readonly svid?: Svid;
  readonly identity?: TestIdentity;
  readonly name?: string;
  readonly proxyStatus?: boolean;
  /** `NAME=VALUE` each. */
  readonly limits?: readonly string[];
  /** Of the health of endpoints; default: silent. */
  readonly logger?: Logger;
  /** Of outlier detection and health checks; default: that of everything else. */
  readonly healthClock?: Clock;
  /** What the overload manager finds; default: this process' memory. */
  readonly readMemory?: () => MemoryUse;
  /** Default: the operating system's. */
  readonly systemRootsFile?: string;
  /** Of everything but the access log and certificates; default: the system's. */
  readonly clock?: Clock;
  /** By which certificates end; default: the system's. */
  readonly certificateClock?: Clock;
}

/** A log whose lines stay in memory. */
function memoryLog(): { readonly writer: LineWriter; readonly lines: () => string[] } {
  let text = "";
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  const writer = new LineWriter(sink, systemClock, new Counter());
  const lines = (): string[] => {
    writer.flush();
    return text.split("\n").filter((line) => line !== "");
  };
  return { writer, lines };
}

export function createProxy(options: TestProxyOptions = {}): TestProxy {
  const load = createLoadTable({ maxSlots: 1024 });
  const configuration = createSnapshotSource({ load });
  const metrics = new MetricsRegistry();
  const identity = options.identity ?? new TestIdentity(options.svid);
  const tls = new WorkloadTls(identity, options.certificateClock ?? systemClock);
  const accessLog = memoryLog();
  const healthLog = memoryLog();
  // The test, its backends and the proxy are one thread: how late that comes to its work says nothing of the proxy.
  const limits = new ProxyLimits(parseLimits(["overload.lagShedMs=60000", ...(options.limits ?? [])]));
  const health = new EndpointHealth({
    clock: options.healthClock ?? options.clock ?? systemClock,
    logger: options.logger ?? silentLogger,
    events: new HealthEventLog(healthLog.writer, systemClock),
    metrics,
    load,
    configuration,
    tls,
    limits,
    random: () => 0,
  });
  const demanded: string[] = [];
  const name = options.name ?? "test";
  let ids = 0;
  const stack = buildStack({
    clock: options.clock ?? systemClock,
    logger: silentLogger,
    configuration,
    load,
    tls,
    metrics,
    accessLog: accessLog.writer,
    limits,
    systemRootsFile: options.systemRootsFile,
    ...(options.readMemory && { readMemory: options.readMemory }),
    proxyStatus: options.proxyStatus ?? true,
    workload: {
      workload: `${name}-v1`,
      namespace: "default",
      canonicalName: name,
      canonicalRevision: "v1",
      principal: () => tls.svid?.spiffeId ?? "",
    },
    newRequestId: () => `00000000-0000-4000-8000-${String(++ids).padStart(12, "0")}`,
    onDemand: (authority) => demanded.push(authority),
    onSuspect: (suspicion) => health.suspect(suspicion),
  });
  const listeners: HttpListener[] = [];
  cleanups.push(() => {
    for (const listener of listeners) {
      listener.stopAccepting();
      listener.connections.destroy();
    }
    stack[Symbol.dispose]();
    health[Symbol.dispose]();
    tls[Symbol.dispose]();
  });
  const dropped = new Counter();
  const refused = metrics.counter("refused", "refused");
  const proxy: TestProxy = {
    stack,
    configuration,
    health,
    metrics,
    load,
    demanded,
    apply(...resources) {
      const rejections = configuration.apply(resources);
      if (rejections.length > 0) throw new Error(JSON.stringify(rejections));
      stack.onConfigurationChanged();
      health.onConfigurationChanged();
    },
    async listener(authority, interception, outside) {
      const listener = await listenOutbound({
        name: authority,
        host: "127.0.0.1",
        port: 0,
        authority,
        configuration,
        connection: stack.connection,
        tcp: stack.tcp,
        dropped,
        onUse: () => undefined,
        outside,
        interception,
      });
      listeners.push(listener);
      return listener;
    },
    async listen(authority) {
      return (await proxy.listener(authority)).tcp.address.port;
    },
    async inbound(interception, proxyProtocolFrom) {
      const listener = await listenInbound({
        host: "127.0.0.1",
        port: 0,
        configuration,
        tls,
        connection: stack.connection,
        tcp: stack.tcp,
        logger: silentLogger,
        dropped,
        refused,
        interception,
        proxyProtocolFrom,
      });
      listeners.push(listener);
      cleanups.push(() => listener[Symbol.dispose]());
      return listener;
    },
    log: accessLog.lines,
    healthLog: healthLog.lines,
    metricsText: () => prometheusText(metrics),
  };
  return proxy;
}

/** An HTTP server of Node.js' own. */
export async function backend(listener: RequestListener): Promise<{ port: number; server: Server }> {
  const server = createHttpServer({ keepAliveTimeout: 60_000 }, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server };
}

/** A TCP server that the test scripts byte by byte. */
export async function rawBackend(
  onConnection: (socket: Socket, index: number) => void,
  halfOpen = false,
): Promise<{ port: number; connections: () => number; stop: () => void }> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("end", () => {
      if (!halfOpen) socket.end();
    });
    socket.on("error", () => undefined);
    onConnection(socket, count++);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  cleanups.push(stop);
  return { port: (server.address() as AddressInfo).port, connections: () => count, stop };
}

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

export interface CallOptions extends RequestOptions {
  readonly body?: string | Buffer | readonly Buffer[];
}

/** One request with node:http. */
export function call(port: number, path = "/", options: CallOptions = {}): Promise<Answer> {
  const { body, ...rest } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, agent: false, ...rest }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: Buffer.concat(chunks).toString(),
          trailers: response.trailers,
        });
      });
    });
    outgoing.on("error", reject);
    if (Array.isArray(body)) for (const chunk of body as readonly Buffer[]) outgoing.write(chunk);
    outgoing.end(Array.isArray(body) ? undefined : (body as string | Buffer | undefined));
  });
}

/** Writes raw bytes and gives everything that comes back until `until` holds or the connection ends. */
export function exchangeBytes(
  port: number,
  bytes: string | Buffer | readonly string[],
  until: (received: string) => boolean = () => false,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    cleanups.push(() => {
      socket.destroy();
    });
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (until(received)) {
        resolve(received);
        socket.destroy();
      }
    });
    socket.on("end", () => resolve(received));
    socket.on("error", (error) => (received === "" ? reject(error) : resolve(received)));
    if (typeof bytes === "string" || Buffer.isBuffer(bytes)) socket.write(bytes);
    else for (const part of bytes) socket.write(part);
  });
}
