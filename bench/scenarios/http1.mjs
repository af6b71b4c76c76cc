import { wrk } from "../harness/wrk.mjs";
import { direct } from "../peers/direct.mjs";
import {
  haproxyHop,
  haproxyPairHttp1,
  haproxyPairHttp2,
  haproxySidecarHop,
  haproxySidecars,
} from "../peers/haproxy.mjs";
import { nginxHop, nginxPair } from "../peers/nginx.mjs";
import { tulleHop, tullePair, tullePairWithPolicies, tullePairWithRules } from "../peers/tulle.mjs";
import { measureRequests, REQUEST_COLUMNS, reuseNote, RSS_COLUMN, SINGLE_COLUMN } from "./requests.mjs";

const scenario = (name, title, peers, byDefault = true) => ({
  name,
  needs: ["wrk"],
  byDefault,
  run: async (context, settings) => {
    const app = await context.origin();
    const { connections, seconds } = settings;
    const load = ({ port }, options) =>
      wrk(`http://127.0.0.1:${port}/`, { cpu: context.loadCpu, ...options });
    const { rows, skipped } = await measureRequests(context, peers, app, {
      settings,
      load: (instance, duration) => load(instance, { connections, seconds: duration }),
      single: async (instance) => (await load(instance, { connections: 1, seconds: 1 })).p50Us,
    });
    return {
      title: `${title}: wrk, ${connections} connections, ${seconds} s a run, medians of ${settings.rounds} interleaved rounds, 78-byte bodies`,
      columns: [...REQUEST_COLUMNS, SINGLE_COLUMN, RSS_COLUMN],
      rows,
      notes: reuseNote(rows),
      skipped,
    };
  },
});

export const oneHop = scenario("one-hop", "One hop, HTTP/1.1, no encryption", [
  direct,
  nginxHop,
  haproxyHop,
  haproxySidecarHop,
  tulleHop,
]);

export const pair = scenario("pair", "Sidecar pair, mutual TLS 1.3, HTTP/1.1 applications", [
  nginxPair,
  haproxyPairHttp1,
  haproxyPairHttp2,
  haproxySidecars,
  tullePair,
]);

export const rules = scenario(
  "rules",
  "Sidecar pair as above, with and without many routing rules",
  [tullePair, tullePairWithRules(100), tullePairWithRules(1000)],
  false,
);

export const authorization = scenario(
  "authorization",
  "Sidecar pair as above, with and without rules of authorization",
  [tullePair, tullePairWithPolicies(100)],
  false,
);
