import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  FilterChainSchema,
  FilterSchema,
  type Filter,
  type FilterChain,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  TcpProxySchema,
  type TcpProxy,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { accessLog } from "./access-log.js";
import { packed } from "./messages.js";
import type { Translation } from "./translation.js";

/**
 * A filter chain that carries bytes as they are, to where `proxy` says. `chain`: everything but its filters; `guards`: those
 * that decide whether they may.
 */
export function tcpChain(
  t: Translation,
  proxy: TcpProxy,
  chain: MessageInitShape<typeof FilterChainSchema>,
  guards: readonly Filter[] = [],
): FilterChain {
  if (t.settings.accessLog !== false) proxy.accessLog.push(accessLog());
  const made = create(FilterChainSchema, chain);
  made.filters.push(
    ...guards,
    create(FilterSchema, {
      name: "envoy.filters.network.tcp_proxy",
      configType: { case: "typedConfig", value: packed(TcpProxySchema, proxy) },
    }),
  );
  return made;
}
