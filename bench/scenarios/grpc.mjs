import { join } from "node:path";
import { h2load } from "../harness/h2load.mjs";
import { direct } from "../peers/direct.mjs";
import { haproxyPairHttp2 } from "../peers/haproxy.mjs";
import { GRPC_PATH } from "../peers/nghttpd.mjs";
import { nginxGrpcPair } from "../peers/nginx.mjs";
import { tullePair } from "../peers/tulle.mjs";
import { measureRequests, REQUEST_COLUMNS, reuseNote, RSS_COLUMN } from "./requests.mjs";

const CONNECTIONS = 4;
const STREAMS = 16;

export const grpc = {
  name: "grpc",
  needs: ["h2load", "nghttpd"],
  byDefault: true,
  run: async (context, settings) => {
    const app = await context.grpcOrigin();
    const load = ({ port }, seconds) =>
      h2load(`http://127.0.0.1:${port}${GRPC_PATH}`, {
        connections: CONNECTIONS,
        streams: STREAMS,
        seconds,
        data: join(context.directory, "grpc", GRPC_PATH),
        cpu: context.loadCpu,
        directory: context.directory,
      });
    const peers = [direct, nginxGrpcPair, haproxyPairHttp2, tullePair];
    const { rows, skipped } = await measureRequests(context, peers, app, { settings, load });
    return {
      title: `Sidecar pair, mutual TLS 1.3, gRPC applications: h2load, ${CONNECTIONS} connections × ${STREAMS} streams, ${settings.seconds} s a run, medians of ${settings.rounds} interleaved rounds, unary calls of 100 bytes`,
      columns: [...REQUEST_COLUMNS, RSS_COLUMN],
      rows,
      notes: reuseNote(rows),
      skipped,
    };
  },
};
