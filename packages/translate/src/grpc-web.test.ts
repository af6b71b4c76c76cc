import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { FilterChain } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  HttpConnectionManagerSchema,
  type HttpConnectionManager,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { expect, test } from "vitest";
import { apiManager, CLIENT, instance, listener, mesh } from "../testdata/mesh.js";
import type { ClientView } from "./contract.js";

const WEB = "envoy.filters.http.grpc_web";
const port = (service: string, protocol: "grpc" | "grpc-web" = "grpc-web") =>
  instance({ service, servicePort: 80, protocol });

function managers(chains: readonly FilterChain[]): readonly HttpConnectionManager[] {
  return chains.flatMap(({ filters }) => {
    const config = filters[0]?.configType;
    return (config?.case === "typedConfig" && anyUnpack(config.value, HttpConnectionManagerSchema)) || [];
  });
}

const first = ({ httpFilters: [filter] }: HttpConnectionManager): readonly unknown[] => [
  filter?.name,
  filter?.disabled,
];

test("callers' own sidecars translate for a port that is declared as grpc-web", () => {
  expect(first(apiManager(mesh([port("library")]), CLIENT, "library:80"))).toEqual([WEB, false]);
  const names = apiManager(mesh([port("library", "grpc")]), CLIENT, "library:80").httpFilters.map(
    ({ name }) => name,
  );
  expect(names).not.toContain(WEB);
});

test("at the service's own sidecar the port has it, and in plaintext its hosts alone", () => {
  const inbound = ["library", "books"].map((service, index) => ({
    service,
    namespace: "default",
    servicePort: 80,
    appPort: 8000 + index,
  }));
  const client: ClientView = { ...CLIENT, inbound };
  const { filterChains } = listener(mesh([port("library"), port("books", "grpc")]), client, "virtualInbound");
  const [web, other, plaintext] = managers(filterChains);
  expect(first(web!)).toEqual([WEB, false]);
  expect(first(other!)[0]).not.toBe(WEB);
  expect(first(plaintext!)).toEqual([WEB, true]);
  const table = plaintext?.routeSpecifier;
  const hosts = table?.case === "routeConfig" ? table.value.virtualHosts : [];
  const taking = hosts.map(({ domains, typedPerFilterConfig }) => [domains[0], WEB in typedPerFilterConfig]);
  expect(taking).toEqual([
    [expect.stringMatching(/^library/), true],
    [expect.stringMatching(/^books/), false],
    ["*", true],
  ]);
});

const gatewayOf = (protocol: string): string => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, protocol: ${protocol}, name: web}, hosts: ["*"]}]
`;

test.each([
  ["GRPC-WEB", true],
  ["grpc-web", true],
  ["GRPC", false],
])("a gateway's port of protocol %s has it: %s", (protocol, has) => {
  const client = { ...CLIENT, labels: { istio: "ingressgateway" }, gateway: { trustedProxies: 0 } };
  const [manager] = managers(listener(mesh([], gatewayOf(protocol)), client, "virtualInbound").filterChains);
  expect(manager?.httpFilters[0]?.name === WEB).toBe(has);
});
