import { create } from "@bufbuild/protobuf";
import { createLogger, MeshError, systemClock, type LogLevel } from "@tulle/base";
import { UNHEALTHY_EJECTED } from "@tulle/engine";
import { CLUSTER_TYPE, ENDPOINT_TYPE, heldVersion } from "@tulle/xds";
import {
  ClustersQuerySchema,
  EndpointsQuerySchema,
  ExplainQuerySchema,
  HeldQuerySchema,
  LoadQuerySchema,
  LogLevelQuerySchema,
  WhyQuerySchema,
  type Query,
} from "@tulle/xds/gen/tulle/v1/agent_pb.js";
import { afterEach, expect, test } from "vitest";

import { closeAll, createProxy } from "../../test/harness.js";
import { serviceAt } from "../../test/resources.js";
import { Explainer } from "../admin/explainer.js";
import type { RecordAnswer } from "../records/record-answer.js";
import { answerQuery, type QueryContext } from "./answer-query.js";

afterEach(closeAll);

const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";

function context(
  records: readonly unknown[] = [],
): QueryContext & { levels: LogLevel[]; confirmed: string[] } {
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [1234, 1235]));
  const { configuration, load } = proxy;
  const [cluster] = configuration.current.clusters();
  const [first, second] = cluster!.endpoints;
  load.begin(cluster!.slot, first!.slot);
  load.setUnhealthy(second!.slot, UNHEALTHY_EJECTED, true);
  const levels: LogLevel[] = [];
  const confirmed: string[] = [];
  return {
    configuration,
    load,
    explainer: new Explainer({ configuration, load, clock: systemClock, onDemand: () => undefined }),
    checkFailure: () => undefined,
    ages: { changedAt: () => 7, confirm: (type) => confirmed.push(type) },
    confirmed,
    logger: createLogger({ level: "warn", write: () => undefined, now: () => 0 }),
    observe: async () => ({ since: 0, complete: true, inbound: [], calls: [] }),
    records: async () => records as readonly RecordAnswer[],
    setLogLevel: (level) => levels.push(level),
    levels,
  };
}

const load = (cluster: string): Query["query"] => ({
  case: "load",
  value: create(LoadQuerySchema, { cluster }),
});
const why = (requestId: string): Query["query"] => ({
  case: "why",
  value: create(WhyQuerySchema, { requestId }),
});

test("load tells what is under way in a cluster, and what is held against its endpoints", async () => {
  const all = {
    cluster: CLUSTER,
    requests: 1,
    connections: 0,
    pending: 0,
    retries: 0,
    endpoints: [
      { endpoint: "127.0.0.1:1234", requests: 1, healthy: true, held: [] },
      { endpoint: "127.0.0.1:1235", requests: 0, healthy: true, held: ["ejected"] },
    ],
  };
  expect(await answerQuery(load(CLUSTER), context())).toMatchObject([all]);
  expect(await answerQuery(load(""), context())).toMatchObject([all]);
  await expect(answerQuery(load("none"), context())).rejects.toMatchObject({ kind: "not-found" });
});

test("clusters tells them as the admin interface does", async () => {
  const query: Query["query"] = { case: "clusters", value: create(ClustersQuerySchema) };
  expect(await answerQuery(query, context())).toMatchObject({ cluster_statuses: [{ name: CLUSTER }] });
});

test("endpoints tells the sets of a host, with their versions and what is held against each endpoint", async () => {
  const query = (host: string): Query["query"] => ({
    case: "endpoints",
    value: create(EndpointsQuerySchema, { host }),
  });
  const asked = context();
  const all = {
    sets: [
      {
        cluster: CLUSTER,
        version: asked.configuration.version(ENDPOINT_TYPE, CLUSTER),
        changedAt: 7,
        endpoints: [
          { endpoint: "127.0.0.1:1234", requests: 1, healthy: true, held: [] },
          { endpoint: "127.0.0.1:1235", requests: 0, healthy: true, held: ["ejected"] },
        ],
      },
    ],
    omitted: 0,
  };
  expect(await answerQuery(query("reviews.default.svc.cluster.local"), asked)).toEqual(all);
  expect(await answerQuery(query(""), asked)).toEqual(all);
  expect(await answerQuery(query("default.svc.cluster.local"), asked)).toEqual({ sets: [], omitted: 0 });
});

test("held tells a checksum of each type, and confirms those that are as the control plane has them", async () => {
  const query = (typeUrl: string, expected: Record<string, string> = {}): Query["query"] => ({
    case: "held",
    value: create(HeldQuerySchema, { typeUrl, expected }),
  });
  const asked = context();
  const { types } = (await answerQuery(query(""), asked)) as { types: Record<string, string> };
  expect(Object.keys(types)).toHaveLength(4);
  expect(asked.confirmed).toEqual([]);
  await answerQuery(query("", { ...types, [CLUSTER_TYPE]: "other" }), asked);
  expect(asked.confirmed.sort()).toEqual(
    Object.keys(types)
      .filter((type) => type !== CLUSTER_TYPE)
      .sort(),
  );
  const [resource] = [...asked.configuration.resources()].filter(({ typeUrl }) => typeUrl === ENDPOINT_TYPE);
  const { name, version, bytes } = resource!;
  expect(await answerQuery(query(ENDPOINT_TYPE), asked)).toEqual({
    resources: [[name, heldVersion({ version, bytes: bytes! })]],
    omitted: 0,
  });
  asked.configuration.apply([{ ...resource!, bytes: Uint8Array.from([...bytes!, ...bytes!]) }]);
  const altered = (await answerQuery(query(""), asked)) as { types: Record<string, string> };
  expect(altered.types[ENDPOINT_TYPE]).not.toBe(types[ENDPOINT_TYPE]);
  expect(altered.types[CLUSTER_TYPE]).toBe(types[CLUSTER_TYPE]);
});

test("explain tells what would become of a request, and refuses what is none", async () => {
  const query = (url: string): Query["query"] => ({
    case: "explain",
    value: create(ExplainQuerySchema, { method: "GET", url, headers: ["version: v1"] }),
  });
  expect(await answerQuery(query("http://reviews:9080/x"), context())).toMatchObject({
    direction: "outbound",
    result: { kind: "forward" },
    request: { path: "/x", headers: ["version: v1"] },
  });
  await expect(answerQuery(query("http://a b/"), context())).rejects.toMatchObject({ kind: "invalid" });
});

test("log-level is told, and changed to one that there is", async () => {
  const query = (level: string): Query["query"] => ({
    case: "logLevel",
    value: create(LogLevelQuerySchema, { level }),
  });
  const asked = context();
  expect(await answerQuery(query(""), asked)).toEqual({ level: "warn" });
  expect(asked.levels).toEqual([]);
  await answerQuery(query("debug"), asked);
  expect(asked.levels).toEqual(["debug"]);
  await expect(answerQuery(query("loud"), asked)).rejects.toThrow("debug, info, warn, error");
});

test("why leaves explanations out where they are too long, and older records where there are too many", async () => {
  const records = Array.from({ length: 70 }, (_, i) => ({ record: { time: i }, explanation: { v: 1 } }));
  const short = (await answerQuery(why("id"), context(records))) as typeof records;
  expect(short).toEqual(records.slice(6));
  const long = records.map((each) => ({ ...each, explanation: { text: "x".repeat(10_000) } }));
  expect(await answerQuery(why("id"), context(long))).toEqual(
    records.slice(6).map(({ record }) => ({ record })),
  );
  await expect(answerQuery(why(""), context())).rejects.toBeInstanceOf(MeshError);
  await expect(answerQuery(why("x".repeat(2000)), context())).rejects.toBeInstanceOf(MeshError);
});

test("a query that a newer control plane asks is refused as one that is not known", async () => {
  await expect(answerQuery({ case: undefined }, context())).rejects.toMatchObject({ kind: "unimplemented" });
});
