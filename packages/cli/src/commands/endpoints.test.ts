import type { EndpointsReport } from "@tulle/api";
import { expect, test } from "vitest";

import { runTulle, START, startRecorded, type CliRun } from "./testdata/harness.js";

const SET = "outbound|9080||reviews.default.svc.cluster.local";
const idOf = (name: string): string => `sidecar~127.0.0.1~${name}.default~default.svc.cluster.local`;

const REPORT: EndpointsReport = {
  services: [
    {
      namespace: "default",
      name: "reviews",
      instances: [
        {
          id: "tulle/reviews-1",
          address: "127.0.0.1:9001",
          meshAddress: "127.0.0.1:15006",
          health: "passing",
          version: "v1",
          locality: "eu/a",
          weight: 1,
          checks: [{ id: "check-1", status: "passing", output: "" }],
        },
      ],
    },
  ],
  proxies: [
    {
      proxy: idOf("web-1"),
      sets: [
        {
          name: SET,
          state: "synced",
          expectedVersion: "abc",
          version: "abc",
          changedAt: START - 90_000,
          endpoints: [
            { address: "127.0.0.1:15006", healthy: true, held: [], requests: 0 },
            { address: "127.0.0.1:15007", healthy: true, held: ["ejected"], requests: 1 },
          ],
        },
      ],
      differences: [],
    },
    {
      proxy: idOf("envoy"),
      sets: [{ name: SET, state: "synced", expectedVersion: "abc" }],
      differences: [],
      silent: "too late",
    },
  ],
};

const DIFFERING: EndpointsReport = {
  ...REPORT,
  proxies: [
    ...REPORT.proxies,
    {
      proxy: idOf("web-2"),
      sets: [],
      differences: [{ kind: "stale", set: SET, address: "127.0.0.1:15009", message: "no\u001b[2Jmore" }],
    },
  ],
};

async function endpoints(report: EndpointsReport, ...args: readonly string[]): Promise<CliRun> {
  const recorded = await startRecorded(report);
  try {
    return await runTulle(["endpoints", ...args], { server: recorded.url });
  } finally {
    recorded.server.close();
  }
}

test("tulle endpoints shows instances, what proxies have, and what they hold against them", async () => {
  const { code, out } = await endpoints(REPORT, "reviews");
  expect(code).toBe(0);
  expect(out).toMatch(
    /^reviews-1 +127\.0\.0\.1:9001 +127\.0\.0\.1:15006 +passing +v1 +eu\/a +1 +check-1 passing$/m,
  );
  expect(out).toMatch(/^web-1\.default +outbound\S+ +synced +abc +90s +1 of 2 usable$/m);
  expect(out).toMatch(/^web-1\.default +outbound\S+ +127\.0\.0\.1:15007 +ejected$/m);
  expect(out).toContain("envoy.default does not say what it has: too late");
});

test("tulle endpoints --diff shows differences alone, and exits with 1 when there are any", async () => {
  expect(await endpoints(REPORT, "--diff")).toMatchObject({
    code: 0,
    out: "No differences: 2 proxies compared with the registry.\n\nenvoy.default does not say what it has: too late\n",
  });
  const { code, out } = await endpoints(DIFFERING, "--diff");
  expect(code).toBe(1);
  expect(out).toMatch(/^web-2\.default +outbound\S+ +127\.0\.0\.1:15009 +stale +no/m);
  expect(out).not.toContain("\u001b");
  expect(out).not.toContain("web-1");
  expect((await endpoints(DIFFERING)).code).toBe(0);
  const json = await endpoints(DIFFERING, "--diff", "-o", "json");
  expect(json.code).toBe(1);
  expect(JSON.parse(json.out)).toEqual({ proxies: [DIFFERING.proxies[2]] });
});
