import { silentLogger } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import type { Coordination } from "../stores/coordination.js";
import { createMemoryStores } from "../stores/open.js";
import { KeptTraffic } from "./kept-traffic.js";

const EVERYBODY = (): boolean => true;
const DAY_MS = 86_400_000;

let clock: FakeClock;
let coordination: Coordination;
/** What connected proxies tell. */
let told: { proxy: ReturnType<typeof name>; report: object }[];

const name = (id: string, namespace = "default") => ({
  id,
  service: "web",
  namespace,
  identity: `spiffe://cluster.local/ns/${namespace}/sa/web`,
  version: "v1",
});
const report = (since: number, count: number, path = "/a") => ({
  since,
  complete: true,
  inbound: [
    {
      source: "",
      service: "web.default.svc.cluster.local",
      port: 1,
      connections: 0,
      requests: [{ method: "GET", path, count }],
    },
  ],
  calls: [],
});

beforeEach(() => {
  clock = new FakeClock();
  ({ coordination } = createMemoryStores({ clock }));
  told = [];
});

const open = (): Promise<KeptTraffic> =>
  KeptTraffic.open({
    coordination,
    ask: async () => ({ proxies: told, silent: [] }),
    clock,
    logger: silentLogger,
  });

test("what was observed outlives the sidecar and the control plane", async () => {
  const first = await open();
  await first.begin();
  told = [{ proxy: name("web-1"), report: report(1000, 3) }];
  await clock.advance(30_000);
  first[Symbol.dispose]();

  const second = await open();
  // The sidecar was started again, too, and tells less than before.
  told = [{ proxy: name("web-1"), report: report(2000, 1) }];
  expect(await second.besides(told, EVERYBODY)).toEqual([{ proxy: name("web-1"), report: report(1000, 3) }]);
  await clock.advance(30_000);
  expect(await second.besides(told, EVERYBODY)).toHaveLength(1);
  expect(await second.besides([], EVERYBODY)).toHaveLength(2);
  second[Symbol.dispose]();
});

test("what is told now is not told twice, and nobody sees what is not theirs", async () => {
  const kept = await open();
  await kept.begin();
  told = [
    { proxy: name("web-1"), report: report(1000, 3) },
    { proxy: name("web-2", "bank"), report: report(1000, 3) },
    { proxy: name("idle"), report: { since: 0, complete: true, inbound: [], calls: [] } },
  ];
  await kept.keep(told);
  expect(await kept.besides(told, EVERYBODY)).toEqual([]);
  const seen = await kept.besides([], (namespace) => namespace === "bank");
  expect(seen.map(({ proxy }) => proxy.id)).toEqual(["web-2"]);
  await kept.forget((namespace) => namespace === "bank");
  expect((await kept.besides([], EVERYBODY)).map(({ proxy }) => proxy.id)).toEqual(["web-1"]);
  await kept.forget(EVERYBODY);
  await kept.keep(told);
  expect(await kept.besides([], EVERYBODY)).toEqual([]);
  kept[Symbol.dispose]();
});

test("it is forgotten after a week, and there is an end to how much is kept", async () => {
  const kept = await open();
  await kept.begin();
  told = [{ proxy: name("web-1"), report: report(1000, 3) }];
  await kept.keep(told);
  told = [{ proxy: name("huge"), report: report(1000, 1, "/".padEnd(300_000, "x")) }];
  await kept.keep(told);
  const huge = (await kept.besides([], EVERYBODY)).find(({ proxy }) => proxy.id === "huge");
  expect(huge?.report).toMatchObject({ complete: false });
  told = Array.from({ length: 2100 }, (_, i) => ({ proxy: name(`many-${i}`), report: report(1000, 1) }));
  await kept.keep(told);
  expect(await kept.besides([], EVERYBODY)).toHaveLength(2000);
  kept[Symbol.dispose]();
  await clock.advance(7 * DAY_MS);
  expect(await kept.besides([], EVERYBODY)).toEqual([]);
});
