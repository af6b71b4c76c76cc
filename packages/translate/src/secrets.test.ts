import { fromBinary } from "@bufbuild/protobuf";
import { SECRET_TYPE } from "@tulle/xds";
import { SecretSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { expect, test } from "vitest";
import { CLIENT, GRPC_CLIENT, mesh } from "../testdata/mesh.js";
import type { ClientView } from "./contract.js";
import { translate } from "./translate.js";

const text = (value: string): string => Buffer.from(value).toString("base64");

const OBJECTS = `
apiVersion: v1
kind: Secret
metadata: {name: cred}
type: kubernetes.io/tls
data: {tls.crt: ${text("chain")}, tls.key: ${text("key")}, ca.crt: ${text("roots")}, ca.crl: ${text("list")}}
---
apiVersion: v1
kind: Secret
metadata: {name: generic}
data: {cert: ${text("chain")}, key: ${text("key")}}
---
apiVersion: v1
kind: Secret
metadata: {name: generic-cacert}
data: {cacert: ${text("roots")}}
---
apiVersion: v1
kind: Secret
metadata: {name: nobody-names-it}
data: {tls.crt: ${text("chain")}, tls.key: ${text("key")}}
---
apiVersion: v1
kind: Secret
metadata: {name: of-others}
data: {tls.crt: ${text("chain")}, tls.key: ${text("key")}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a.example
  trafficPolicy:
    tls: {mode: MUTUAL, credentialName: cred}
    portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, credentialName: generic}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b, namespace: other}
spec: {host: b.example, exportTo: ["."], trafficPolicy: {tls: {mode: MUTUAL, credentialName: of-others}}}
`;

function asked(name: string, view: ClientView = CLIENT) {
  const { resource } = translate(mesh([], OBJECTS).reader, view, SECRET_TYPE, name);
  return resource && fromBinary(SecretSchema, resource.bytes);
}

function textOf(bytes: unknown): string {
  return Buffer.from(bytes as Uint8Array).toString();
}

test("credential gives a certificate with its key, and apart from it the authorities", () => {
  const { type } = asked("kubernetes://cred")!;
  if (type.case !== "tlsCertificate") throw new Error(String(type.case));
  expect(textOf(type.value.certificateChain?.specifier.value)).toBe("chain");
  expect(textOf(type.value.privateKey?.specifier.value)).toBe("key");
  const trust = asked("kubernetes://cred-cacert")!.type;
  if (trust.case !== "validationContext") throw new Error(String(trust.case));
  expect(textOf(trust.value.trustedCa?.specifier.value)).toBe("roots");
  expect(textOf(trust.value.crl?.specifier.value)).toBe("list");
});

test("credential knows Istio's generic Secrets, whose authorities may be in another", () => {
  expect(asked("kubernetes://generic")?.type.case).toBe("tlsCertificate");
  expect(asked("kubernetes://generic-cacert")?.type.case).toBe("validationContext");
});

test.each([
  ["that nothing names", "kubernetes://nobody-names-it", CLIENT],
  ["that only a rule names which the client does not see", "kubernetes://of-others", CLIENT],
  ["of another namespace", "kubernetes://cred", { ...CLIENT, namespace: "other" }],
  ["by another name", "cred", CLIENT],
  ["by a path", "kubernetes://default/cred", CLIENT],
  ["without a certificate of its own", "kubernetes://cred", { ...CLIENT, mtls: false }],
  ["as a proxyless client", "kubernetes://cred", GRPC_CLIENT],
])("credential gives nobody a Secret %s", (_what, name, view) => {
  expect(asked(name, view)).toBeUndefined();
});
