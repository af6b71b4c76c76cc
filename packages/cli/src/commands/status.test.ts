import type { MeshStatus, ProxyStatus } from "@tulle/api";
import { expect, test } from "vitest";

import { golden, runTulle, START, startRecorded, type CliRun } from "./testdata/harness.js";

const HOUR = 3_600_000;
const NOW = START;
const PREFIX = "type.googleapis.com/envoy.config";
const TYPES = {
  CDS: `${PREFIX}.cluster.v3.Cluster`,
  EDS: `${PREFIX}.endpoint.v3.ClusterLoadAssignment`,
  LDS: `${PREFIX}.listener.v3.Listener`,
  RDS: `${PREFIX}.route.v3.RouteConfiguration`,
};

function proxy(
  name: string,
  account: string,
  states: Partial<Record<keyof typeof TYPES, "synced" | "stale" | "nack">>,
): ProxyStatus {
  return {
    id: `sidecar~127.0.0.1~${name}.default~default.svc.cluster.local`,
    dialect: "tulle",
    version: "0.1.0",
    identity: identity(account),
    connectedAt: NOW - 7 * 60_000,
    admin: "127.0.0.1:15000",
    types: Object.entries(states).map(([type, state]) => ({
      typeUrl: TYPES[type as keyof typeof TYPES],
      state,
      subscribed: 2,
      lastSentAt: NOW - 1000,
      lastAckedAt: NOW - 2000,
      ...(state === "nack" ? { error: 'route "reviews": cluster is unknown\u001b[2J\nsecond line' } : {}),
    })),
  };
}

function identity(account: string): string {
  return `spiffe://cluster.local/ns/default/sa/${account}`;
}

const HEALTHY: MeshStatus = {
  controlPlane: {
    version: "0.1.0",
    startedAt: NOW - 26 * HOUR,
    now: NOW,
    store: "lmdb",
    services: 3,
    instances: 6,
    healthyInstances: 5,
    objects: 1,
  },
  authority: {
    trustDomain: "cluster.local",
    rootNotAfter: NOW + 3650 * 24 * HOUR,
    certificateTtlMs: 24 * HOUR,
  },
  proxies: [
    proxy("ratings-1", "ratings", { CDS: "synced", EDS: "synced", LDS: "synced", RDS: "synced" }),
    proxy("reviews-1", "reviews", { CDS: "synced", EDS: "stale", LDS: "synced" }),
  ],
  certificates: [
    {
      spiffeId: identity("ratings"),
      serialNumber: "0a1b",
      notBefore: NOW - 20 * HOUR,
      notAfter: NOW + 4 * HOUR,
    },
    {
      spiffeId: identity("reviews"),
      serialNumber: "0123456789abcdef0123",
      notBefore: NOW - HOUR,
      notAfter: NOW + 23 * HOUR,
    },
    {
      spiffeId: identity("reviews"),
      serialNumber: "ff",
      notBefore: NOW - 23.9 * HOUR,
      notAfter: NOW + 0.1 * HOUR,
    },
  ],
};

const REFUSING: MeshStatus = {
  ...HEALTHY,
  proxies: [
    ...HEALTHY.proxies,
    proxy("web-1", "web", { CDS: "synced", EDS: "synced", LDS: "synced", RDS: "nack" }),
  ],
};

async function status(recorded: unknown, ...argv: readonly string[]): Promise<CliRun> {
  const { url, server } = await startRecorded(recorded);
  try {
    return await runTulle(["status", ...argv], { server: url });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test.each([
  ["status-table", []],
  ["status-json", ["-o", "json"]],
  ["status-yaml", ["-o", "yaml"]],
])("tulle prints %s as the golden file has it", async (name, argv) => {
  const run = await status(REFUSING, ...argv);
  const { actual, expected } = golden(name, run.out);
  expect(actual).toBe(expected);
  expect(run.code).toBe(1);
});

test("tulle status warns of proxies beyond the supported versions, and of no others", async () => {
  const [first, second] = HEALTHY.proxies as [ProxyStatus, ProxyStatus];
  const { version: _version, ...silent } = second;
  const of = async (proxyVersion: string): Promise<string> => {
    const proxies = [
      { ...first, version: proxyVersion },
      silent,
      { ...second, dialect: "grpc", version: "1.0.0" },
    ];
    const controlPlane = { ...HEALTHY.controlPlane, version: "0.5.2" };
    return (await status({ ...HEALTHY, controlPlane, proxies })).err;
  };
  expect(await of("0.3.9")).not.toContain("runs");
  expect(await of("0.2.9")).toContain(
    "warning: ratings-1.default runs 0.2.9, too old for a control plane 0.5.2",
  );
  expect(await of("0.6.0")).toContain(
    "warning: ratings-1.default runs 0.6.0, newer than the control plane (0.5.2): upgrade the control plane first",
  );
});

test("tulle status exits 0 when no proxy refused anything, stale ones included", async () => {
  expect((await status(HEALTHY)).code).toBe(0);
});

test("tulle status says loudly that a revocation list is out of date, and nothing of one that is not", async () => {
  const list = { issuer: "0123456789ABCDEF0123", thisUpdate: NOW - 3 * HOUR, revoked: 1 };
  const withList = (nextUpdate: number): MeshStatus => ({
    ...HEALTHY,
    authority: { ...HEALTHY.authority, revocation: { lists: [{ ...list, nextUpdate }] } },
  });
  expect((await status(withList(NOW - 2 * HOUR))).err).toContain(
    "the revocation list of 0123456789ABCDEF is out of date for 120m: what was revoked since is let in; get a new one",
  );
  expect((await status(withList(NOW + HOUR))).err).not.toContain("revocation");
});

test("tulle status warns of certificates that running workloads should have renewed, and of no others", async () => {
  const { err } = await status(HEALTHY);
  expect(err).toBe(
    `tulle: warning: the certificate of ${identity("ratings")} has 4h (16 % of its life) left and was not renewed: look at its sidecar's log\n`,
  );
});

test("tulle get proxies shows all of them, or those named", async () => {
  const { url, server } = await startRecorded(REFUSING);
  try {
    const all = await runTulle(["get", "proxies", "-o", "wide"], { server: url });
    const { actual, expected } = golden("get-proxies-wide", all.out);
    expect(actual).toBe(expected);
    const one = await runTulle(["get", "px", "web-1.default", "gone"], { server: url });
    expect(one.code).toBe(4);
    expect(one.out.trim().split("\n")).toHaveLength(2);
    expect(one.err).toBe('tulle: proxy "gone" is not connected\n');
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test("tulle status exits 3 and says what to do when there is no control plane", async () => {
  const run = await runTulle(["status"], { server: "http://127.0.0.1:1" });
  expect(run).toEqual({
    code: 3,
    out: "",
    err: "tulle: no control plane at http://127.0.0.1:1: start one with `tulle up` or set TULLE_SERVER\n",
  });
});

test("tulle status says which proxies may serve with something old", async () => {
  const [ratings, reviews] = HEALTHY.proxies;
  const status: MeshStatus = {
    ...HEALTHY,
    proxies: [
      {
        ...ratings!,
        reconciliation: { checkedAt: NOW, differing: [TYPES.EDS, TYPES.CDS], differingSince: NOW - 120_000 },
      },
      { ...reviews!, types: reviews!.types.map((type) => ({ ...type, lastSentAt: NOW - 45_000 })) },
    ],
    lostProxies: [{ id: ratings!.id.replace("ratings-1", "ratings-2"), since: NOW - 300_000 }],
  };
  const recorded = await startRecorded(status);
  const { code, out } = await runTulle(["status"], { server: recorded.url });
  recorded.server.close();
  expect(code).toBe(0);
  expect(out).toContain("Differs:  ratings-1.default does not hold what it was sent (EDS, CDS) for 2m");
  expect(out).toContain("Stale:    reviews-1.default has not acknowledged EDS for 45s");
  expect(out).toContain("Lost:     ratings-2.default is registered and not connected for 5m");
});
