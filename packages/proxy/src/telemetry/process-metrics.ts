import type { Clock } from "@tulle/base";

import type { MetricsRegistry } from "./metrics.js";

/** Adds the process metrics that Prometheus clients give by convention, and Envoy's `server` gauges. */
export function addProcessMetrics(registry: MetricsRegistry, clock: Clock): void {
  const startedAt = clock.now() / 1000 - process.uptime();
  const cpu = registry.counter("process_cpu_seconds_total", "User and system CPU time in seconds.").with([]);
  const rss = registry.gauge("process_resident_memory_bytes", "Resident memory in bytes.").with([]);
  const started = registry
    .gauge("process_start_time_seconds", "Start of the process, seconds since the epoch.")
    .with([]);
  const uptime = registry.gauge("envoy_server_uptime", "Seconds since the start of the process.").with([]);
  started.set(startedAt);
  addHeapMetric(registry);
  registry.onCollect(() => {
    const { user, system } = process.cpuUsage();
    cpu.value = (user + system) / 1e6;
    rss.set(process.memoryUsage.rss());
    uptime.set(Math.floor(clock.now() / 1000 - startedAt));
  });
}

/** Adds the JavaScript heap of this thread to that of the process. */
export function addHeapMetric(registry: MetricsRegistry): void {
  const heap = registry.gauge("nodejs_heap_size_used_bytes", "Heap in use in bytes.").with([]);
  let counted = 0;
  registry.onCollect(() => {
    const used = process.memoryUsage().heapUsed;
    heap.add(used - counted);
    counted = used;
  });
}
