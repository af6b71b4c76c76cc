import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import { isAny, packAny, packBytes, typeUrlOf, unpackAny } from "./any.js";
import { ClusterSchema } from "./gen/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "./gen/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { loadJsonRegistry } from "./json-registry.js";
import { CLUSTER_TYPE } from "./types.js";

const cluster = create(ClusterSchema, { name: "outbound|80||a.default.svc.cluster.local" });

test("packAny names the message as xDS does and unpackAny gives it back", () => {
  const any = packAny(ClusterSchema, cluster);
  expect(any.typeUrl).toBe(CLUSTER_TYPE);
  expect(typeUrlOf(ClusterSchema)).toBe(CLUSTER_TYPE);
  expect(unpackAny(any, ClusterSchema)?.name).toBe(cluster.name);
});

test("packBytes wraps encoded bytes without a copy", () => {
  const bytes = toBinary(ClusterSchema, cluster);
  expect(packBytes(CLUSTER_TYPE, bytes).value).toBe(bytes);
});

test("unpackAny returns undefined for an absent Any and for another message", () => {
  expect(unpackAny(undefined, ClusterSchema)).toBeUndefined();
  expect(unpackAny(packAny(ClusterSchema, cluster), ListenerSchema)).toBeUndefined();
});

test("unpackAny refuses bytes that are not the message", () => {
  const any = packBytes(CLUSTER_TYPE, Uint8Array.of(0x0a, 0x05, 0x61));
  expect(() => unpackAny(any, ClusterSchema)).toThrow(
    expect.objectContaining({ kind: "invalid", code: "XDS_ANY_MALFORMED" }),
  );
});

test("isAny looks at the message's name only", () => {
  expect(
    isAny({ typeUrl: `other.host/x/${ClusterSchema.typeName}`, value: new Uint8Array() }, ClusterSchema),
  ).toBe(true);
});

test("loadJsonRegistry lets nested messages print as JSON", async () => {
  const registry = await loadJsonRegistry();
  const hcm = packAny(
    HttpConnectionManagerSchema,
    create(HttpConnectionManagerSchema, { statPrefix: "outbound" }),
  );
  const listener = create(ListenerSchema, { name: "a:80", apiListener: { apiListener: hcm } });
  const json = toJson(AnySchema, packAny(ListenerSchema, listener), { registry });
  expect(json).toMatchObject({
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    name: "a:80",
    apiListener: { apiListener: { "@type": typeUrlOf(HttpConnectionManagerSchema), statPrefix: "outbound" } },
  });
});
