import fc from "fast-check";
import { expect, test } from "vitest";

import { parseNode, type NodeMessage } from "./node.js";

const sidecar: NodeMessage = {
  id: "sidecar~10.0.0.1~reviews-1.shop~shop.svc.cluster.local",
  userAgentName: "tulle",
  userAgentVersionType: { case: "userAgentVersion", value: "0.1.0" },
  metadata: {
    NAMESPACE: "shop",
    SERVICE_ACCOUNT: "reviews",
    WORKLOAD_NAME: "reviews-v1",
    LABELS: { app: "reviews", version: "v1" },
    INBOUND: [{ service: "reviews", namespace: "shop", servicePort: 9080, appPort: 3000 }],
    ADMIN: "127.0.0.1:15000",
  },
};

test("parseNode reads all that a sidecar says", () => {
  expect(parseNode(sidecar)).toEqual({
    ok: true,
    node: {
      id: "sidecar~10.0.0.1~reviews-1.shop~shop.svc.cluster.local",
      dialect: "tulle",
      version: "0.1.0",
      namespace: "shop",
      serviceAccount: "reviews",
      workloadName: "reviews-v1",
      labels: { app: "reviews", version: "v1" },
      inbound: [{ service: "reviews", namespace: "shop", servicePort: 9080, appPort: 3000 }],
      admin: "127.0.0.1:15000",
      intercepts: false,
    },
  });
});

test("parseNode reads a version in text or in numbers, and leaves out what nobody could read", () => {
  const version = (told: NodeMessage["userAgentVersionType"]): string | undefined => {
    const parsed = parseNode({ ...sidecar, ...(told && { userAgentVersionType: told }) });
    return parsed.ok ? parsed.node.version : undefined;
  };
  const numbers = { majorNumber: 1, minorNumber: 32, patch: 3 };
  expect(version({ case: "userAgentBuildVersion", value: { version: numbers } })).toBe("1.32.3");
  expect(version({ case: "userAgentBuildVersion", value: {} })).toBe("");
  expect(version({ case: "userAgentVersion", value: "1".repeat(65) })).toBe("");
  expect(version({ case: "userAgentVersion", value: "1.0\u001b[2J" })).toBe("");
  expect(version({ case: undefined })).toBe("");
});

test("parseNode reads whether connections are redirected, and refuses a mode that nobody knows", () => {
  const mode = (INTERCEPTION_MODE: unknown): ReturnType<typeof parseNode> =>
    parseNode({ ...sidecar, metadata: { ...(sidecar.metadata as object), INTERCEPTION_MODE } });
  expect(mode("REDIRECT")).toMatchObject({ ok: true, node: { intercepts: true } });
  expect(mode("NONE")).toMatchObject({ ok: true, node: { intercepts: false } });
  expect(mode("TPROXY")).toMatchObject({
    ok: false,
    violations: [{ path: "metadata.INTERCEPTION_MODE" }],
  });
});

test("parseNode reads the protocol of an inbound port, and refuses one that nobody knows", () => {
  const speaking = (protocol: string): ReturnType<typeof parseNode> => {
    const port = { service: "db", namespace: "shop", servicePort: 5432, appPort: 3000, protocol };
    return parseNode({ ...sidecar, metadata: { ...(sidecar.metadata as object), INBOUND: [port] } });
  };
  expect(speaking("tcp")).toMatchObject({ ok: true, node: { inbound: [{ protocol: "tcp" }] } });
  expect(speaking("smoke")).toMatchObject({
    ok: false,
    violations: [{ path: "metadata.INBOUND[0].protocol" }],
  });
});

test("parseNode reads the PROXY header of an inbound port, and refuses a version that there is not", () => {
  const expecting = (proxyProtocol: unknown): ReturnType<typeof parseNode> => {
    const port = { service: "db", namespace: "shop", servicePort: 5432, appPort: 3000, proxyProtocol };
    return parseNode({ ...sidecar, metadata: { ...(sidecar.metadata as object), INBOUND: [port] } });
  };
  expect(expecting(2)).toMatchObject({ ok: true, node: { inbound: [{ proxyProtocol: 2 }] } });
  expect(expecting("2")).toMatchObject({
    ok: false,
    violations: [{ path: "metadata.INBOUND[0].proxyProtocol" }],
  });
});

test("parseNode asks of a gRPC client only an id", () => {
  const parsed = parseNode({ id: "my-client", userAgentName: "gRPC Node Pure JS" });
  expect(parsed).toMatchObject({ ok: true, node: { dialect: "grpc", namespace: "", inbound: [] } });
});

test("parseNode reports every violation with its path", () => {
  const parsed = parseNode({
    id: "",
    userAgentName: "envoy",
    metadata: {
      NAMESPACE: "Shop!",
      SERVICE_ACCOUNT: 7,
      LABELS: ["x"],
      INBOUND: [{ service: "reviews", namespace: "shop", servicePort: 0, appPort: "80" }, null],
    },
  });
  expect(parsed.ok).toBe(false);
  const paths = parsed.ok ? [] : parsed.violations.map(({ path }) => path);
  expect(paths).toEqual([
    "user_agent_name",
    "id",
    "metadata.NAMESPACE",
    "metadata.SERVICE_ACCOUNT",
    "metadata.LABELS",
    "metadata.INBOUND[0].servicePort",
    "metadata.INBOUND[0].appPort",
    "metadata.INBOUND[1]",
    "metadata.INBOUND[1].service",
    "metadata.INBOUND[1].namespace",
    "metadata.INBOUND[1].servicePort",
    "metadata.INBOUND[1].appPort",
  ]);
});

test("parseNode asks a sidecar for namespace and account", () => {
  const parsed = parseNode({ id: sidecar.id, userAgentName: "tulle" });
  expect(parsed).toEqual({
    ok: false,
    violations: [
      { path: "metadata.NAMESPACE", message: "is missing" },
      { path: "metadata.SERVICE_ACCOUNT", message: "is missing" },
    ],
  });
});

test.each([
  "reviews-1",
  "sidecar~10.0.0.1~reviews-1.other~shop.svc.cluster.local",
  "sidecar~10.0.0.1~reviews-1.shop~other.svc.cluster.local",
  "sidecar~~reviews-1.shop~shop.svc.cluster.local",
  "sidecar~10.0.0.1~.shop~shop.svc.cluster.local",
  "sidecar~10.0.0.1~reviews-1.shop~shop.svc.cluster.local~more",
])("parseNode refuses the id %s", (id) => {
  expect(parseNode({ ...sidecar, id })).toMatchObject({ ok: false, violations: [{ path: "id" }] });
});

test("parseNode keeps label names that look like an object's own", () => {
  const metadata = JSON.parse(
    '{"LABELS": {"__proto__": "x", "constructor": "y"}, "NAMESPACE": "shop", "SERVICE_ACCOUNT": "a"}',
  ) as unknown;
  const parsed = parseNode({ ...sidecar, metadata });
  expect(parsed.ok && Object.entries(parsed.node.labels)).toEqual([
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
});

test("parseNode never throws and says little of a node that is wrong all over", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.constantFrom("tulle", "gRPC Go", "envoy", ""),
      fc.dictionary(
        fc.constantFrom("NAMESPACE", "SERVICE_ACCOUNT", "LABELS", "INBOUND", "ADMIN", "x"),
        fc.anything({ withNullPrototype: true }),
      ),
      (id, userAgentName, metadata) => {
        const parsed = parseNode({ id, userAgentName, metadata });
        expect(parsed.ok || (parsed.violations.length > 0 && parsed.violations.length <= 32)).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});
