import type { CatalogService } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { EndpointsQuery } from "@tulle/xds/gen/tulle/v1/agent_pb.js";
import { expect, test } from "vitest";

import type { ConnectedAgent } from "../agents/index.js";
import type { ExpectedResource } from "../push/index.js";
import { EndpointReports } from "./endpoint-reports.js";

const SET = "outbound|80||a.default.svc.cluster.local";
const idOf = (name: string): string => `sidecar~127.0.0.1~${name}.default~default.svc.cluster.local`;

const service: CatalogService = {
  name: "a",
  namespace: "default",
  ports: [],
  portless: false,
  instances: [],
};

interface Init {
  /** By proxy. */
  readonly expected: Readonly<Record<string, readonly ExpectedResource[]>>;
  readonly agents?: Readonly<Record<string, (query: EndpointsQuery) => unknown>>;
}

function reports({ expected, agents = {} }: Init): EndpointReports {
  return new EndpointReports({
    catalog: { service: () => service, services: () => [service], registrations: () => [] },
    domainSuffix: "cluster.local",
    ledger: {
      expected: (_type, isAsked, isProxy) =>
        new Map(
          Object.entries(expected)
            .map(([name, all]) => [idOf(name), all.filter((each) => isAsked(each.name))] as const)
            .filter(([id, all]) => all.length > 0 && isProxy?.(id) === true),
        ),
    },
    agents: () =>
      Object.entries(agents).map(([name, answer]): ConnectedAgent => ({
        id: idOf(name),
        service: name,
        namespace: "default",
        identity: "",
        version: "1",
        inboundAddress: "",
        queries: new Set(["endpoints"]),
        connectedAt: 0,
        ask: async (query) => answer(query.value as EndpointsQuery),
      })),
  });
}

const none = (state: ExpectedResource["state"] = "synced"): ExpectedResource => ({
  name: SET,
  state,
  resource: undefined,
});
const empty = { sets: [], omitted: 0 };
const stale = {
  cluster: SET,
  version: "1",
  changedAt: 0,
  endpoints: [{ endpoint: "10.0.0.1:1", healthy: true, held: [], requests: 0 }],
};
const ALL = { service: "", namespace: "", proxy: "" };

test("a report asks the proxies that follow a service, and only for it", async () => {
  const asked: string[] = [];
  const tell = (query: EndpointsQuery): unknown => {
    asked.push(query.host);
    return empty;
  };
  const expected = {
    web: [none()],
    other: [{ ...none(), name: "outbound|80||b.default.svc.cluster.local" }],
  };
  const made = reports({ expected, agents: { web: tell, other: tell, idle: tell } });
  const { services, proxies } = await made.report({ ...ALL, service: "A", namespace: "default" });
  expect(asked).toEqual(["a.default.svc.cluster.local"]);
  expect(services).toEqual([{ namespace: "default", name: "a", instances: [] }]);
  expect(proxies.map(({ proxy, differences }) => [proxy, differences])).toEqual([[idOf("web"), []]]);
  expect((await made.report(ALL)).proxies).toHaveLength(2);
  expect((await made.report({ ...ALL, namespace: "shop" })).proxies).toHaveLength(0);
});

test("a difference that is gone when the proxy is asked once more was on its way", async () => {
  const answers: unknown[] = [{ sets: [stale], omitted: 0 }, empty];
  const made = reports({ expected: { web: [none()] }, agents: { web: () => answers.shift() } });
  expect((await made.report(ALL)).proxies[0]?.differences).toEqual([]);
  expect(answers).toEqual([]);
});

test("sets that a proxy has and nobody sent it are told, of the service alone", async () => {
  const foreign = { ...stale, cluster: "outbound|80||b.default.svc.cluster.local" };
  const made = reports({
    expected: { web: [{ ...none(), name: "outbound|81||a.default.svc.cluster.local" }] },
    agents: { web: () => ({ sets: [stale, foreign], omitted: 0 }) },
  });
  const { proxies } = await made.report({ ...ALL, service: "a.default.svc.cluster.local" });
  expect(proxies[0]?.differences.map(({ kind, set, address }) => [kind, set, address])).toEqual([
    ["stale", SET, "10.0.0.1:1"],
  ]);
});

test("of a proxy that tells nothing it is known what it has acknowledged", async () => {
  const silent = (): never => {
    throw new MeshError("timeout", "CONTROL_AGENT_TIMEOUT", "too late");
  };
  const made = reports({
    expected: { gone: [none("stale")], well: [none()], envoy: [none()], odd: [none()] },
    agents: { gone: silent, well: silent, odd: () => ({ sets: 7 }) },
  });
  const { proxies } = await made.report(ALL);
  expect(
    proxies.map(({ proxy, silent: why, differences }) => [proxy.split("~")[2], why, differences.length]),
  ).toEqual([
    ["envoy.default", expect.stringContaining("does not answer questions"), 0],
    ["gone.default", "too late", 1],
    ["odd.default", expect.stringContaining("cannot be read"), 0],
    ["well.default", "too late", 0],
  ]);
});

test("so many reports are made at once, and no more", async () => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const made = reports({ expected: { web: [none()] }, agents: { web: () => released.then(() => empty) } });
  const all = Array.from({ length: 5 }, () => made.report(ALL));
  await expect(all[4]).rejects.toMatchObject({ kind: "exhausted" });
  release();
  await Promise.all(all.slice(0, 4));
  await made.report(ALL);
});

test.each([
  [{ ...ALL, service: "nowhere", namespace: "default" }, "no service nowhere in namespace default"],
  [{ ...ALL, proxy: "nobody" }, "no proxy nobody is connected"],
  [{ ...ALL, proxy: "idle.default" }, "asks for no endpoints"],
])("a report of what is not there is refused: %o", async (question, text) => {
  const made = reports({ expected: { web: [none()] }, agents: { idle: () => empty } });
  await expect(made.report(question)).rejects.toThrow(text);
  await expect(made.report(question)).rejects.toMatchObject({ kind: "not-found" });
});
