import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { detect } from "./detection.js";
import { mtlsChains, plaintextChains } from "./inbound-chains.js";
import { inboundPorts } from "./inbound-ports.js";
import { addressOf } from "./messages.js";
import { INBOUND_LISTENER } from "./names.js";
import { redirectedChains, takeFrom } from "./redirected-inbound.js";
import type { Translation } from "./translation.js";

/** Where Istio's inbound listener binds; a sidecar binds where it was told to. */
const INBOUND_PORT = 15_006;

/**
 * The workload's inbound listener: a chain of mutual TLS for each port, chosen by server name, and one of plaintext that
 * chooses by Host, for the ports that take it. Undefined for clients without inbound ports, or with none that they could
 * serve as they must.
 */
export function inboundListener(t: Translation): Listener | undefined {
  if (t.view.inbound.length === 0) return undefined;
  const ports = inboundPorts(t);
  const chains = t.view.mtls
    ? ports.filter(({ accepted, serverNames }) => accepted !== "DISABLE" && serverNames.length > 0)
    : [];
  const mtls = chains.flatMap((port) => mtlsChains(t, port));
  const filterChains = [...mtls, ...plaintextChains(t, ports)];
  if (t.view.intercepts === true) {
    for (const chain of filterChains) takeFrom(chain, INBOUND_PORT);
    filterChains.push(...redirectedChains(t, ports));
  }
  if (filterChains.length === 0) return undefined;
  const listener = create(ListenerSchema, {
    name: INBOUND_LISTENER,
    trafficDirection: TrafficDirection.INBOUND,
    address: addressOf("0.0.0.0", INBOUND_PORT),
    filterChains,
  });
  if (ports.some(({ carriage }) => carriage !== "http")) {
    detect(t, listener, { http: ports.some(({ carriage }) => carriage === "detected") });
  }
  return listener;
}
