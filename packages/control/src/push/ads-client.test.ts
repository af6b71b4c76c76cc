import { expect, test } from "vitest";

import { admitClient, type AdsIdentity } from "./ads-client.js";

const identity: AdsIdentity = {
  spiffeId: "spiffe://cluster.local/ns/shop/sa/web",
  namespace: "shop",
  serviceAccount: "web",
  notAfter: 1,
};
const id = "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local";
const metadata = { NAMESPACE: "shop", SERVICE_ACCOUNT: "web" };
const port = { service: "web", namespace: "shop", servicePort: 80, appPort: 8080 };

test("admitClient gives a sidecar the view of its namespace, labels and ports", () => {
  const node = {
    id,
    userAgentName: "tulle",
    metadata: { ...metadata, LABELS: { app: "web" }, INBOUND: [port] },
  };
  expect(admitClient(node, identity, false)).toMatchObject({
    id,
    dialect: "tulle",
    identity: identity.spiffeId,
    view: { dialect: "tulle", namespace: "shop", mtls: true, labels: { app: "web" }, inbound: [port] },
  });
});

test.each([
  ["namespace", { ...metadata, NAMESPACE: "bank" }, id.replaceAll("shop", "bank")],
  ["service account", { ...metadata, SERVICE_ACCOUNT: "root" }, id],
  ["inbound service of another namespace", { ...metadata, INBOUND: [{ ...port, namespace: "bank" }] }, id],
])("admitClient denies a %s that the certificate does not prove", (_, claimed, nodeId) => {
  const node = { id: nodeId, userAgentName: "tulle", metadata: claimed };
  expect(() => admitClient(node, identity, true)).toThrow(
    expect.objectContaining({ kind: "denied", code: "XDS_FOREIGN_NODE" }),
  );
});

test("admitClient takes a gRPC client's namespace from its certificate when its node has none", () => {
  const client = admitClient({ id: "x", userAgentName: "gRPC Go" }, identity, false);
  expect(client.view).toMatchObject({ dialect: "grpc", namespace: "shop", mtls: true });
});

test("admitClient puts a plaintext gRPC client without a namespace into the default one", () => {
  const client = admitClient({ id: "x", userAgentName: "gRPC Go" }, undefined, true);
  expect(client).toMatchObject({ identity: "", view: { namespace: "default", mtls: false } });
});

test("admitClient names every violation of a bad node", () => {
  expect(() => admitClient({ id: "", userAgentName: "tulle" }, identity, false)).toThrow(
    /id: is missing; metadata\.NAMESPACE: is missing; metadata\.SERVICE_ACCOUNT: is missing/,
  );
});
