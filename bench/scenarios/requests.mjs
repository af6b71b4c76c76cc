import { interleaved } from "../harness/interleaved.mjs";
import { usage } from "../harness/process-usage.mjs";
import { duration, each, mebibytes, median, spread } from "../harness/report.mjs";

/**
 * A closed loop of small requests. `load(instance, {seconds, connections})` resolves with `{requests, requestsPerSecond,
 * p50Us, p99Us}`. CPU time per request is user and kernel time of the proxies alone.
 */
export async function measureRequests(context, peers, app, { settings, load, single }) {
  const { measured, skipped } = await interleaved(context, peers, app, {
    rounds: settings.rounds,
    warmUp: (instance) => load(instance, 2),
    measure: async (instance) => {
      await load(instance, 1);
      const before = usage(instance.pids);
      const found = await load(instance, settings.seconds);
      const after = usage(instance.pids);
      return {
        cpuUsPerRequest:
          ((after.cpuSeconds - before.cpuSeconds) * 1e6) / (found.requests + (found.besides ?? 0)),
        rssBytes: after.rssBytes,
        requestsPerSecond: found.requestsPerSecond,
        p50Us: found.p50Us,
        p99Us: found.p99Us,
        ...(single === undefined ? {} : { singleP50Us: await single(instance) }),
      };
    },
    finish: (instance) => instance.upstreamUse?.(),
  });
  return { rows: measured.map(({ peer, runs, finished }) => ({ peer, runs, upstream: finished })), skipped };
}

const noProxy = (runs) => runs.every(({ cpuUsPerRequest }) => cpuUsPerRequest === 0);

export const REQUEST_COLUMNS = [
  {
    title: "CPU-µs per request",
    cell: ({ runs }) => (noProxy(runs) ? "–" : spread(each(runs, "cpuUsPerRequest"))),
  },
  {
    title: "requests per second",
    cell: ({ runs }) => Math.round(median(each(runs, "requestsPerSecond"))).toLocaleString("en"),
  },
  { title: "p50", cell: ({ runs }) => duration(median(each(runs, "p50Us"))) },
  { title: "p99", cell: ({ runs }) => duration(median(each(runs, "p99Us"))) },
];
export const SINGLE_COLUMN = {
  title: "p50 at 1 connection",
  cell: ({ runs }) => duration(median(each(runs, "singleP50Us"))),
};
export const RSS_COLUMN = {
  title: "RSS",
  cell: ({ runs }) => mebibytes(Math.max(...each(runs, "rssBytes"))),
};

/** What Tulle's own metrics say about connections between its sidecars. */
export function reuseNote(rows) {
  return rows.flatMap(({ peer, upstream }) => {
    if (upstream === undefined || upstream.requests === 0) return [];
    const { requests, connections } = upstream;
    const share = (100 * (requests - connections)) / requests;
    return [
      `Between the sidecars ${peer.name} opened ${connections} connections for ${requests.toLocaleString("en")} requests: ${share.toFixed(4)} % were on one that was there.`,
    ];
  });
}
