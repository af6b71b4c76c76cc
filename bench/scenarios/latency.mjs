import { interleaved } from "../harness/interleaved.mjs";
import { runProgram } from "../harness/node-program.mjs";
import { usage } from "../harness/process-usage.mjs";
import { duration, each, median, percentile } from "../harness/report.mjs";
import { direct } from "../peers/direct.mjs";
import { haproxyPairHttp1, haproxyPairHttp2 } from "../peers/haproxy.mjs";
import { tullePair } from "../peers/tulle.mjs";

const PER_SECOND = 1000;
const CONNECTIONS = 32;
const BODY_BYTES = 1024;
const SHARES = [
  [0.5, "p50"],
  [0.9, "p90"],
  [0.99, "p99"],
  [0.999, "p99.9"],
];

export const latency = {
  name: "latency",
  needs: [],
  byDefault: false,
  run: async (context, settings) => {
    const app = await context.origin();
    const load = ({ port }, seconds, warmUpSeconds) =>
      runProgram(
        "open-loop",
        {
          port,
          path: "/1k",
          bodyBytes: BODY_BYTES,
          perSecond: PER_SECOND,
          seconds,
          warmUpSeconds,
          connections: CONNECTIONS,
        },
        context.loadCpu,
      );
    const peers = [direct, haproxyPairHttp1, haproxyPairHttp2, tullePair];
    const { measured, skipped } = await interleaved(context, peers, app, {
      rounds: settings.rounds,
      warmUp: (instance) => load(instance, 1, 2),
      measure: async (instance) => {
        const before = usage(instance.pids);
        const latencies = await load(instance, settings.seconds, 1);
        const { cpuSeconds } = usage(instance.pids);
        const requests = PER_SECOND * (settings.seconds + 1);
        return { latencies, cpuUsPerRequest: ((cpuSeconds - before.cpuSeconds) * 1e6) / requests };
      },
    });
    const rows = measured.map(({ peer, runs }) => {
      const all = Float64Array.from(each(runs, "latencies").flat()).sort();
      return {
        peer,
        samples: all.length,
        cpuUsPerRequest: median(each(runs, "cpuUsPerRequest")),
        percentilesUs: Object.fromEntries(SHARES.map(([share, name]) => [name, percentile(all, share)])),
      };
    });
    const floor = rows.find(({ peer }) => peer.name === direct.name)?.percentilesUs;
    const cell =
      (name) =>
      ({ peer, percentilesUs }) => {
        const added =
          floor === undefined || peer.name === direct.name
            ? ""
            : ` (+${duration(Math.max(0, percentilesUs[name] - floor[name]))})`;
        return `${duration(percentilesUs[name])}${added}`;
      };
    return {
      title: `Latency of a sidecar pair at ${PER_SECOND.toLocaleString("en")} requests per second, ${BODY_BYTES}-byte bodies both ways, HTTP/1.1 applications; in parentheses what the proxies add`,
      columns: [
        ...SHARES.map(([, name]) => ({ title: name, cell: cell(name) })),
        {
          title: "CPU-µs per request",
          cell: ({ cpuUsPerRequest }) => (cpuUsPerRequest === 0 ? "–" : cpuUsPerRequest.toFixed(0)),
        },
      ],
      rows,
      notes: [
        `Open loop with jitter on ${CONNECTIONS} connections; a latency counts from when its request was due. ${rows[0]?.samples.toLocaleString("en") ?? 0} requests each, of ${settings.rounds} interleaved rounds together.`,
      ],
      skipped,
    };
  },
};
