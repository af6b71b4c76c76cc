import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { expect, test } from "vitest";

import { OutboundPolicy } from "./outbound-policy.js";

function listener(target: string): Uint8Array {
  const proxy = create(TcpProxySchema, { clusterSpecifier: { case: "cluster", value: target } });
  const configType = { case: "typedConfig", value: anyPack(TcpProxySchema, proxy) } as const;
  const defaultFilterChain = { filters: [{ name: "tcp", configType }] };
  return toBinary(ListenerSchema, create(ListenerSchema, { defaultFilterChain }));
}

const stateOf = ({ passthrough, failsOpen }: OutboundPolicy) => ({ passthrough, failsOpen });

test("nothing passes before the control plane has said so", () => {
  const policy = new OutboundPolicy();
  expect(stateOf(policy)).toEqual({ passthrough: false, failsOpen: false });
  policy.replace(listener("PassthroughCluster"));
  expect(stateOf(policy)).toEqual({ passthrough: true, failsOpen: false });
  policy.clear();
  expect(stateOf(policy)).toEqual({ passthrough: false, failsOpen: false });
});

test("a policy that fails open lets pass until the first answer, and never again", () => {
  const open = (): OutboundPolicy => {
    const policy = new OutboundPolicy(true);
    expect(stateOf(policy)).toEqual({ passthrough: true, failsOpen: true });
    return policy;
  };
  const answered = open();
  answered.replace(listener("BlackHoleCluster"));
  expect(stateOf(answered)).toEqual({ passthrough: false, failsOpen: false });
  answered.replace(listener("PassthroughCluster"));
  answered.clear();
  expect(stateOf(answered)).toEqual({ passthrough: false, failsOpen: false });
  const gone = open();
  gone.clear();
  expect(stateOf(gone)).toEqual({ passthrough: false, failsOpen: false });
  const damaged = open();
  expect(() => damaged.replace(new Uint8Array([255]))).toThrow(
    expect.objectContaining({ code: "PROXY_VIRTUAL_OUTBOUND" }),
  );
  expect(stateOf(damaged)).toEqual({ passthrough: false, failsOpen: false });
});
