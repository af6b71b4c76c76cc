import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { curl } from "../harness/curl.mjs";
import { interleaved } from "../harness/interleaved.mjs";
import { usage } from "../harness/process-usage.mjs";
import { each, median, spread } from "../harness/report.mjs";
import { direct } from "../peers/direct.mjs";
import { haproxyPairHttp1, haproxyPairHttp2 } from "../peers/haproxy.mjs";
import { tullePair } from "../peers/tulle.mjs";

const GIBIBYTE = 1_073_741_824;
const WARM_UP_BYTES = 67_108_864;

export const bulk = {
  name: "bulk",
  needs: ["curl"],
  byDefault: false,
  run: async (context, settings) => {
    const app = await context.bulkOrigin();
    // Nothing but its length is on the disk.
    const sparse = (bytes) => {
      const path = join(context.directory, `sparse-${bytes}`);
      const file = openSync(path, "w");
      ftruncateSync(file, bytes);
      closeSync(file);
      return path;
    };
    const files = { [GIBIBYTE]: sparse(GIBIBYTE), [WARM_UP_BYTES]: sparse(WARM_UP_BYTES) };
    const cpu = context.loadCpu;
    const up = ({ port }, bytes) =>
      curl(`http://127.0.0.1:${port}/?bytes=0`, { bytes, upload: files[bytes], cpu });
    const down = ({ port }, bytes) => curl(`http://127.0.0.1:${port}/?bytes=${bytes}`, { bytes, cpu });
    const timed = async (instance, transfer) => {
      const before = usage(instance.pids).cpuSeconds;
      const seconds = await transfer(instance, GIBIBYTE);
      return { seconds, cpuSeconds: usage(instance.pids).cpuSeconds - before };
    };
    const peers = [direct, haproxyPairHttp1, haproxyPairHttp2, tullePair];
    const { measured, skipped } = await interleaved(context, peers, app, {
      rounds: settings.rounds,
      warmUp: async (instance) => {
        await up(instance, WARM_UP_BYTES);
        await down(instance, WARM_UP_BYTES);
      },
      measure: async (instance) => {
        const sent = await timed(instance, up);
        const received = await timed(instance, down);
        return {
          upSeconds: sent.seconds,
          upCpuSeconds: sent.cpuSeconds,
          downSeconds: received.seconds,
          downCpuSeconds: received.cpuSeconds,
          rssBytes: usage(instance.pids).rssBytes,
        };
      },
    });
    const rate =
      (name) =>
      ({ runs }) =>
        `${Math.round(1024 / median(each(runs, name)))} MiB/s`;
    const cpuTime =
      (name) =>
      ({ runs }) =>
        median(each(runs, name)) === 0 ? "–" : `${spread(each(runs, name), 2)} s`;
    return {
      title: `Bulk through a sidecar pair, mutual TLS 1.3: 1 GiB up, then 1 GiB down, each as one body; medians of ${settings.rounds} interleaved rounds`,
      columns: [
        { title: "up", cell: rate("upSeconds") },
        { title: "CPU time, up", cell: cpuTime("upCpuSeconds") },
        { title: "down", cell: rate("downSeconds") },
        { title: "CPU time, down", cell: cpuTime("downCpuSeconds") },
      ],
      rows: measured.map(({ peer, runs }) => ({ peer, runs })),
      notes: ["Client curl, origin Node.js; CPU time is that of the two proxies."],
      skipped,
    };
  },
};
