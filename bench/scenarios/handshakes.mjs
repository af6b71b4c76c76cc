import { interleaved } from "../harness/interleaved.mjs";
import { runProgram } from "../harness/node-program.mjs";
import { usage } from "../harness/process-usage.mjs";
import { each, median, spread } from "../harness/report.mjs";
import { haproxyPairHttp1 } from "../peers/haproxy.mjs";
import { nginxPair } from "../peers/nginx.mjs";
import { tullePair } from "../peers/tulle.mjs";

const AT_ONCE = 8;

export const handshakes = {
  name: "handshakes",
  needs: [],
  byDefault: false,
  run: async (context, settings) => {
    const app = await context.origin();
    const load = ({ far: { port, identity } }, seconds) =>
      runProgram(
        "handshakes",
        { port, host: "origin:80", identity, seconds, atOnce: AT_ONCE },
        context.loadCpu,
      );
    const { measured, skipped } = await interleaved(context, [nginxPair, haproxyPairHttp1, tullePair], app, {
      rounds: settings.rounds,
      warmUp: (instance) => load(instance, 2),
      measure: async (instance) => {
        const before = usage(instance.far.pids).cpuSeconds;
        const { count, seconds } = await load(instance, settings.seconds);
        const cpuSeconds = usage(instance.far.pids).cpuSeconds - before;
        return { cpuUsPerConnection: (cpuSeconds * 1e6) / count, perSecond: count / seconds };
      },
    });
    return {
      title: `New mutual TLS 1.3 connections at the called side: P-256 certificates, never resumed, one request on each; medians of ${settings.rounds} interleaved rounds`,
      columns: [
        { title: "CPU-µs per connection", cell: ({ runs }) => spread(each(runs, "cpuUsPerConnection"), 0) },
        {
          title: "connections per second and core",
          cell: ({ runs }) => Math.round(1e6 / median(each(runs, "cpuUsPerConnection"))).toLocaleString("en"),
        },
      ],
      rows: measured.map(({ peer, runs }) => ({ peer, runs })),
      notes: ["Computed from CPU time: the client, Node.js, takes more of it than any of the proxies."],
      skipped,
    };
  },
};
