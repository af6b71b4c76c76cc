import type { GradientController, LoadTable, SuccessWindow } from "@tulle/engine";

import type { MetricsRegistry } from "./metrics.js";

const GRADIENT = "envoy_http_adaptive_concurrency_gradient_controller";
const CONTROL = "envoy_http_admission_control";

/** Gauges and counters of adaptive limits and of admission control, under Envoy's names. */
export function collectAdmission(metrics: MetricsRegistry, { controllers }: LoadTable): void {
  const gauge = (name: string, help: string, read: (of: GradientController) => number) => {
    const family = metrics.gauge(`${GRADIENT}_${name}`, help);
    return (of: GradientController): void => family.with(["name", of.name]).set(read(of));
  };
  const gauges = [
    gauge("concurrency_limit", "Requests that are let through at a time.", ({ limit }) => limit),
    gauge("gradient", "What the limit was last multiplied by, thousandths.", ({ gradient }) =>
      Math.round(1000 * gradient),
    ),
    gauge("min_rtt_msecs", "Response time of the unburdened service.", ({ minRttMs }) => minRttMs),
    gauge("sample_rtt_msecs", "Response time lately.", ({ sampleRttMs }) => sampleRttMs),
    gauge("min_rtt_calculation_active", "1 while the unburdened service is measured.", ({ measuring }) =>
      measuring ? 1 : 0,
    ),
  ];
  const blocked = metrics.counter(`${GRADIENT}_rq_blocked`, "Requests beyond the adaptive limit.");
  const outcome = (name: string, help: string, read: (of: SuccessWindow) => number) => ({
    family: metrics.counter(`${CONTROL}_${name}`, help),
    read,
  });
  const outcomes = [
    outcome("rq_rejected", "Requests that were held back.", ({ refused }) => refused),
    outcome("rq_success", "Requests that went well.", ({ succeeded }) => succeeded),
    outcome("rq_failure", "Requests that failed.", ({ failed }) => failed),
  ];
  metrics.onCollect(() => {
    const sums = new Map<string, number>();
    for (const controller of controllers.gradients()) {
      for (const set of gauges) set(controller);
      sums.set(controller.name, (sums.get(controller.name) ?? 0) + controller.refused);
    }
    for (const [name, sum] of sums) blocked.with(["name", name]).value = sum;
    for (const { family, read } of outcomes) {
      const counts = new Map<string, number>();
      for (const window of controllers.windows())
        counts.set(window.name, (counts.get(window.name) ?? 0) + read(window));
      for (const [name, count] of counts) family.with(["name", name]).value = count;
    }
  });
}
