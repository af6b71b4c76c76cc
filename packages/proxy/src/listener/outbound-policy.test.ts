import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { expect, test } from "vitest";

import { OutboundPolicy } from "./outbound-policy.js";

function listener(target: string, timeoutMs?: number): Uint8Array {
  const proxy = create(TcpProxySchema, { clusterSpecifier: { case: "cluster", value: target } });
  const configType = { case: "typedConfig", value: anyPack(TcpProxySchema, proxy) } as const;
  const defaultFilterChain = { filters: [{ name: "tcp", configType }] };
  const listenerFiltersTimeout =
    timeoutMs === undefined ? {} : { listenerFiltersTimeout: { nanos: timeoutMs * 1_000_000 } };
  return toBinary(ListenerSchema, create(ListenerSchema, { defaultFilterChain, ...listenerFiltersTimeout }));
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

test("how long a client may say nothing is the listener's to say; zero is as long as it takes", () => {
  const policy = new OutboundPolicy();
  expect(policy.silenceMs).toBe(50);
  policy.replace(listener("PassthroughCluster", 250));
  expect(policy.silenceMs).toBe(250);
  policy.replace(listener("PassthroughCluster", 0));
  expect(policy.silenceMs).toBeGreaterThan(3_600_000);
  policy.clear();
  expect(policy.silenceMs).toBe(50);
});
