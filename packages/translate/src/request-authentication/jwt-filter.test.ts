import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { fromBinary } from "@bufbuild/protobuf";
import { LISTENER_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { JwtAuthenticationSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { expect, test } from "vitest";
import { CLIENT, made, mesh } from "../../testdata/mesh.js";
import type { ClientView, MeshReader } from "../contract.js";

const PORT = {
  service: "web",
  namespace: "default",
  servicePort: 80,
  appPort: 8080,
  protocol: "http",
} as const;
const WEB: ClientView = { ...CLIENT, labels: { app: "web" }, inbound: [PORT] };

function object(name: string, issuer: string, spec = "", namespace = "default", rule = ""): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}jwtRules: [{issuer: ${issuer}${rule === "" ? ", jwks: '{\"keys\":[]}'" : rule}}]}
---`;
}

function inbound(yaml: string, view = WEB, tokenKeys?: MeshReader["tokenKeys"]) {
  const { reader } = mesh([], yaml);
  const seen = tokenKeys === undefined ? reader : { ...reader, tokenKeys };
  const result = made({ reader: seen }, view, LISTENER_TYPE, "virtualInbound");
  const { filterChains } = fromBinary(ListenerSchema, result.resource.bytes);
  const filters = filterChains.map((chain) => {
    const config = chain.filters.at(-1)?.configType.value;
    const manager = config && anyUnpack(config as never, HttpConnectionManagerSchema);
    return manager?.httpFilters ?? [];
  });
  const jwt = filters.map((list) => {
    const value = list.find(({ name }) => name === "envoy.filters.http.jwt_authn")?.configType.value;
    return value === undefined ? undefined : anyUnpack(value as never, JwtAuthenticationSchema);
  });
  return { ...result, filters, jwt: jwt[0], all: jwt };
}

function issuers(yaml: string, view = WEB): readonly string[] {
  return Object.values(inbound(yaml, view).jwt?.providers ?? {}).map(({ issuer }) => issuer);
}

test("jwtFilters takes the rules of mesh, namespace, workload and service together, and nobody else's", () => {
  const yaml = [
    object("mesh", "of-mesh", "", "istio-system"),
    object("namespace", "of-namespace"),
    object("workload", "of-workload", "selector: {matchLabels: {app: web}}, "),
    object("service", "of-service", "targetRef: {kind: Service, name: web}, "),
    object("other-label", "x", "selector: {matchLabels: {app: other}}, "),
    object("other-service", "x", "targetRefs: [{kind: Service, name: other}], "),
    object("other-namespace", "x", "", "other"),
  ].join("\n");
  expect([...issuers(yaml)].sort()).toEqual(["of-mesh", "of-namespace", "of-service", "of-workload"]);
  expect(issuers(yaml, { ...WEB, namespace: "third", inbound: [{ ...PORT, namespace: "third" }] })).toEqual([
    "of-mesh",
  ]);
});

test("jwtFilters is nothing where no token is asked for, and stands before everything else in every chain", () => {
  expect(inbound("").all).toEqual([undefined, undefined]);
  const { filters, all } = inbound(object("a", "a"));
  expect(filters.map((list) => list[0]?.name)).toEqual(all.map(() => "envoy.filters.http.jwt_authn"));
});

test("jwtFilters stands behind who is asked outside, and before what goes by tokens", () => {
  const policy = (action: string, more = ""): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${action.toLowerCase()}}
spec: {action: ${action}, ${more}rules: [{to: [{operation: {paths: [/x]}}]}]}
---`;
  const yaml =
    object("a", "a") + policy("CUSTOM", "provider: {name: nobody}, ") + policy("DENY") + policy("ALLOW");
  const names = inbound(yaml).filters[0]?.map(({ name }) => name);
  expect(names?.slice(0, 4)).toEqual([
    "istio.authorization.custom",
    "envoy.filters.http.jwt_authn",
    "istio.authorization.deny",
    "istio.authorization.allow",
  ]);
});

test("jwtFilters lets requests without a token pass, and demands that every token is good", () => {
  const [one] = inbound(object("a", "a")).jwt!.rules;
  expect(one?.match?.pathSpecifier).toEqual({ case: "prefix", value: "/" });
  expect(JSON.stringify(one?.requirementType.value)).toMatch(/requiresAny.*origins-0.*allowMissing/);
  const [two] = inbound(object("a", "a") + object("b", "b")).jwt!.rules;
  expect(JSON.stringify(two?.requirementType.value)).toMatch(
    /requiresAll.*requiresAny.*origins-0.*allowMissing.*requiresAny.*origins-1.*allowMissing/,
  );
});

test("jwtFilters carries every field", () => {
  const rule = `, audiences: [x], jwks: '{"keys":[]}', fromHeaders: [{name: X-Token, prefix: "JWT "}], fromParams: [t], fromCookies: [c], outputPayloadToHeader: X-Payload, outputClaimToHeaders: [{header: x-sub, claim: sub}], forwardOriginalToken: true, spaceDelimitedClaims: [roles]`;
  expect(inbound(object("a", "a", "", "default", rule)).jwt?.providers["origins-0"]).toMatchObject({
    audiences: ["x"],
    fromHeaders: [{ name: "X-Token", valuePrefix: "JWT " }],
    fromParams: ["t"],
    fromCookies: ["c"],
    forwardPayloadHeader: "X-Payload",
    claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }],
    forward: true,
    payloadInMetadata: "payload",
    normalizePayloadInMetadata: { spaceDelimitedClaims: ["permission", "scope", "roles"] },
  });
});

test("jwtFilters inlines the keys that the control plane has, and no key while it has none", () => {
  const yaml = object("a", "https://a.example", "", "default", ", jwksUri: 'https://a.example/keys'");
  const keysOf = (result: ReturnType<typeof inbound>): unknown => {
    const source = result.jwt?.providers["origins-0"]?.jwksSourceSpecifier;
    return source?.case === "localJwks" ? source.value.specifier.value : undefined;
  };
  const missing = inbound(yaml);
  expect(keysOf(missing)).toBe('{"keys":[]}');
  expect(missing.warnings).toEqual([
    expect.stringContaining("keys have not come from https://a.example/keys"),
  ]);
  const here = inbound(yaml, WEB, () => '{"keys":[1]}');
  expect(keysOf(here)).toBe('{"keys":[1]}');
  expect(here.dependencies).toContain("keys:https://a.example/keys");
});
