import { fileURLToPath } from "node:url";

import type { Explanation } from "@tulle/engine";
import { expect, test } from "vitest";

import { golden, runTulle, startRecorded } from "./testdata/harness.js";

const TESTDATA = fileURLToPath(new URL("./testdata/", import.meta.url));
const FILES = ["-f", `${TESTDATA}canary.yaml`, "-f", `${TESTDATA}services.yaml`, "--from", "frontend"];

async function explained(name: string, ...words: readonly string[]): Promise<void> {
  const { code, out, err } = await runTulle(["explain", ...words, ...FILES]);
  expect([code, err]).toEqual([0, ""]);
  const { actual, expected } = golden(name, out.replaceAll(TESTDATA, ""));
  expect(actual).toBe(expected);
}

test("tulle explain tells winner and losers with their reasons, from files", async () => {
  await explained("explain-split", "GET", "http://reviews:9080/reviews/7", "--request-id", "seven");
  await explained("explain-redirect", "GET", "http://reviews:9080/old/x?y=1");
  await explained("explain-no-route", "POST", "http://reviews:9080/reviews");
  await explained("explain-unknown", "http://nowhere/");
});

test("tulle explain tells which policy decided, and which came closest and what it lacks", async () => {
  const policies = ["-f", `${TESTDATA}authorization.yaml`, "-H", "version: v2"];
  await explained("explain-allowed", "GET", "http://reviews:9080/reviews/7", ...policies);
  await explained("explain-denied", "DELETE", "http://reviews:9080/reviews/7", ...policies);
  await explained("explain-not-allowed", "GET", "http://reviews:9080/x/y", ...policies);
});

const EDGE = ["-f", `${TESTDATA}gateway.yaml`, "-f", `${TESTDATA}services.yaml`];

test("tulle explain tells what a gateway makes of a request, and the sidecar behind it, from files", async () => {
  const ask = async (name: string, url: string): Promise<void> => {
    const words = ["explain", url, "--gateway", "ingressgateway.edge", ...EDGE];
    const { code, out, err } = await runTulle(words);
    expect([code, err]).toEqual([0, ""]);
    const { actual, expected } = golden(name, out.replaceAll(TESTDATA, ""));
    expect(actual).toBe(expected);
  };
  await ask("explain-gateway", "https://www.example.com/reviews/7");
  await ask("explain-gateway-denied", "https://www.example.com/reviews/private/7");
  await ask("explain-gateway-redirect", "http://www.example.com/");
  await ask("explain-gateway-unknown", "https://other.example.com/");
});

test("the gateway and the callee behind it know each other", async () => {
  const words = ["explain", "https://www.example.com/reviews", "--gateway", "ingressgateway", "-n", "edge"];
  const { out } = await runTulle([...words, ...EDGE, "-o", "json"]);
  expect(JSON.parse(out)).toMatchObject({
    gateway: true,
    result: { kind: "forward" },
    next: {
      request: { principal: "spiffe://cluster.local/ns/edge/sa/ingressgateway" },
      result: { kind: "forward" },
    },
  });
});

test("a gateway without a port, and one without files, are bad input", async () => {
  const none = await runTulle(["explain", "http://www.example.com/", "--gateway", "other.edge", ...EDGE]);
  expect([none.code, none.err]).toEqual([2, expect.stringContaining("istio=other")]);
  const live = await runTulle(["explain", "http://www.example.com/", "--gateway", "ingressgateway"]);
  expect([live.code, live.err]).toEqual([2, expect.stringContaining("--gateway needs files")]);
});

test("tulle explain -o json gives the engine's explanation, the callee's side included", async () => {
  const words = ["explain", "http://reviews:9080/", "-H", "version: v2", "-o", "json"];
  const { code, out } = await runTulle([...words, ...FILES]);
  expect(code).toBe(0);
  const explanation = JSON.parse(out) as Explanation;
  expect(explanation).toMatchObject({
    version: 1,
    result: { kind: "forward" },
    route: { name: "by-header", owner: { kind: "VirtualService", rule: "http[0]" } },
    cluster: { subset: "v2" },
    next: {
      direction: "inbound",
      request: { principal: "spiffe://cluster.local/ns/default/sa/frontend" },
      result: { kind: "forward" },
    },
  });
  expect(explanation.route?.owner?.source).toMatch(/canary\.yaml:7$/);
  expect(explanation.endpoints.map(({ address }) => address)).toEqual(["10.0.0.3:15006"]);
});

test("tulle explain says whom an egress proxy is asked for", async () => {
  const { code, out } = await runTulle(["explain", "http://db.corp:5432/", "-f", `${TESTDATA}tunnel.yaml`]);
  expect(code).toBe(0);
  expect(out).toContain(
    "goes, as bytes, to egress.example:3128 at 192.0.2.3:3128, by CONNECT db.corp:5432\n",
  );
});

test("tulle explain says that a service has no instances, and still explains the route", async () => {
  const words = ["explain", "http://reviews/", "-H", "version: v2", "-f", `${TESTDATA}canary.yaml`];
  const { code, out, err } = await runTulle(words);
  expect([code, err]).toEqual([0, expect.stringContaining("does not exist: requests to it fail with 503")]);
  expect(out).toContain("✓ by-header");
  expect(out).toContain("nobody can take it");
});

test.each([
  [["a b", "http://reviews/"], "is not a method"],
  [["http:///x"], "is not a host"],
  [["http://reviews/", "-H", "x"], "is not a header"],
  [["http://reviews/", "--from", "a/b"], "is not a service or gateway"],
  [["http://reviews/", "-f", `${TESTDATA}wrong.yaml`], "wrong.yaml:"],
  [["http://reviews/"], "whose request is it?"],
])("tulle explain exits with 2 for bad input: %j", async (words, message) => {
  const files = words.includes("-f") || message.startsWith("whose") ? [] : FILES.slice(0, 4);
  const { code, err } = await runTulle(["explain", ...words, ...files]);
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});

test("tulle explain asks a sidecar, or the control plane, and shows what it says", async () => {
  const json = await runTulle(["explain", "http://reviews:9080/x", ...FILES, "-o", "json"]);
  const offline = JSON.parse(json.out) as Explanation;
  const text = await runTulle(["explain", "http://reviews:9080/x", ...FILES]);
  const sidecar = await startRecorded(offline);
  const live = await runTulle(["explain", "http://reviews:9080/x", "--proxy", sidecar.url]);
  sidecar.server.close();
  expect(live).toEqual({ ...text, err: "" });
  const control = await startRecorded({ explanation: offline, proxy: { id: "p", version: "1" } });
  const byControl = await runTulle(["explain", "http://reviews:9080/x", "--from", "frontend"], {
    server: control.url,
  });
  control.server.close();
  expect(byControl).toEqual({ ...text, err: "" });
});

test("tulle explain says who cannot be reached, and who answers in another form", async () => {
  const gone = await runTulle(["explain", "http://a/", "--proxy", "http://127.0.0.1:1"]);
  expect([gone.code, gone.err]).toEqual([3, expect.stringContaining("no sidecar's admin interface")]);
  const { url, server } = await startRecorded({ version: 99 });
  const foreign = await runTulle(["explain", "http://a/", "--proxy", url]);
  server.close();
  expect(foreign.err).toContain("explains in version 99");
});
