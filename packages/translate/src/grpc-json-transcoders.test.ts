import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { LISTENER_TYPE } from "@tulle/xds";
import { GrpcJsonTranscoderSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import {
  HttpConnectionManagerSchema,
  type HttpConnectionManager,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileProto } from "@tulle/testkit/proto";
import { expect, test } from "vitest";
import { CLIENT, instance, listener, mesh, type TestMesh } from "../testdata/mesh.js";
import { analyze } from "./analysis/analyze.js";
import type { ClientView } from "./contract.js";
import { translate } from "./translate.js";

const SET = compileProto(`
syntax = "proto3";
package t;
import "google/api/annotations.proto";
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{text}" }; } }
message M { string text = 1; }
`);
const NAME = "tulle.transcoder.default.library";

const object = (more: string): string => `
apiVersion: tulle.dev/v1
kind: GrpcJsonTranscoder
metadata: {name: library}
spec: {services: [t.S], ${more}}
`;
const INLINE = `descriptors: {inline: ${base64Encode(SET)}}`;
const TO_LIBRARY = "targetRefs: [{kind: Service, name: library}]";
const CONFIG_MAP = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: library}
binaryData: {set: ${base64Encode(SET)}}
`;
const FROM_MAP = "descriptors: {configMap: {name: library, key: set}}";

const DENY = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/t.S/Get]}}]}]}
`;

type Protocol = "grpc" | "http";

function meshOf(yaml: string, protocol: Protocol = "grpc"): TestMesh {
  const services = ["library", "books"].map((service) => instance({ service, servicePort: 80, protocol }));
  return mesh(services, yaml);
}

const SIDECAR: ClientView = {
  ...CLIENT,
  inbound: ["library", "books"].map((service, index) => ({
    service,
    namespace: "default",
    servicePort: 80,
    appPort: 8000 + index,
  })),
};
const GATEWAY: ClientView = {
  ...CLIENT,
  labels: { istio: "ingressgateway" },
  gateway: { trustedProxies: 0 },
};

function managers(at: TestMesh, client: ClientView): readonly HttpConnectionManager[] {
  return listener(at, client, "virtualInbound").filterChains.flatMap(({ filters }) => {
    const config = filters[0]?.configType;
    return (config?.case === "typedConfig" && anyUnpack(config.value, HttpConnectionManagerSchema)) || [];
  });
}

const names = ({ httpFilters }: HttpConnectionManager): string[] => httpFilters.map(({ name }) => name);

test.each([
  ["inline", object(`${TO_LIBRARY}, ${INLINE}`)],
  ["in a ConfigMap", object(`${TO_LIBRARY}, ${FROM_MAP}`) + CONFIG_MAP],
])("a service's port translates before it is guarded, descriptors %s", (_where, yaml) => {
  const [library, books, plaintext] = managers(meshOf(yaml + DENY), SIDECAR);
  expect(names(library!).slice(0, 2)).toEqual([NAME, "istio.authorization.deny"]);
  expect(names(books!)).not.toContain(NAME);
  const own = library?.httpFilters[0]?.configType;
  const config = own?.case === "typedConfig" ? anyUnpack(own.value, GrpcJsonTranscoderSchema) : undefined;
  expect(config).toMatchObject({
    services: ["t.S"],
    descriptorSet: { case: "protoDescriptorBin", value: SET },
    convertGrpcStatus: true,
    matchIncomingRequestRoute: true,
    requestValidationOptions: { rejectBindingBodyFieldCollisions: true },
  });
  expect(plaintext?.httpFilters[0]).toMatchObject({ name: NAME, disabled: true });
  const table = plaintext?.routeSpecifier;
  const hosts = table?.case === "routeConfig" ? table.value.virtualHosts : [];
  expect(hosts.map(({ typedPerFilterConfig }) => NAME in typedPerFilterConfig)).toEqual([true, false, true]);
});

test("a gateway translates last, behind what guards it", () => {
  const yaml = `${object(`selector: {matchLabels: {istio: ingressgateway}}, ${INLINE}`)}${DENY}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, protocol: HTTP, name: web}, hosts: ["*"]}]
`;
  const [manager] = managers(meshOf(yaml), GATEWAY);
  expect(names(manager!)[0]).toBe("istio.authorization.deny");
  expect(names(manager!).slice(-2)).toEqual([NAME, "envoy.filters.http.router"]);
  expect(managers(meshOf(yaml), SIDECAR).flatMap(names)).not.toContain(NAME);
});

test.each<[string, string, Protocol, string]>([
  ["no ConfigMap", object(`${TO_LIBRARY}, ${FROM_MAP}`), "grpc", "there is no ConfigMap default/library"],
  [
    "no key",
    object(`${TO_LIBRARY}, descriptors: {configMap: {name: library, key: other}}`) + CONFIG_MAP,
    "grpc",
    "has no other in its binaryData",
  ],
  ["no descriptors", object(`${TO_LIBRARY}, descriptors: {inline: AQID}`), "grpc", "is no descriptor set"],
  ["HTTP/1.1 only", object(`${TO_LIBRARY}, ${INLINE}`), "http", "declared as http, which cannot carry gRPC"],
])("what cannot be translated is said, and goes by as it is: %s", (_name, yaml, protocol, message) => {
  const at = meshOf(yaml, protocol);
  expect(managers(at, SIDECAR).flatMap(names)).not.toContain(NAME);
  const { resource, ...made } = translate(at.reader, SIDECAR, LISTENER_TYPE, "virtualInbound");
  expect(resource).toBeDefined();
  expect("warnings" in made ? made.warnings.join("\n") : "").toContain(message);
  if (protocol === "http") return;
  const findings = analyze(at.reader, { live: true }).map((finding) => `${finding.code} ${finding.message}`);
  expect(findings).toContainEqual(expect.stringMatching(/^TUL0001 .*nothing is translated/));
});

test("descriptors that are replaced are read anew", () => {
  const yaml = object(`${TO_LIBRARY}, ${FROM_MAP}`);
  expect(
    managers(meshOf(`${yaml}${CONFIG_MAP.replace("set:", "other:")}`), SIDECAR).flatMap(names),
  ).not.toContain(NAME);
  expect(managers(meshOf(yaml + CONFIG_MAP), SIDECAR).flatMap(names)).toContain(NAME);
});
