import type { ListenerFilter } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ProxyProtocolConfig_Version as Version } from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolSchema } from "@tulle/xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import type { ProxyProtocolFilter } from "./contract.js";
import { holds, unpack } from "./any.js";
import { at, invalid } from "./invalid.js";
import { compileTlvChoice } from "./proxy-tlvs.js";

const NAME = "envoy.filters.listener.proxy_protocol";

/** What listener filters say of PROXY headers; undefined when none does. Rules only make metadata, which nothing reads. */
export function compileProxyProtocolFilter(
  filters: readonly ListenerFilter[],
): ProxyProtocolFilter | undefined {
  let found: ProxyProtocolFilter | undefined;
  filters.forEach((filter, index) => {
    const config = filter.configType.case === "typedConfig" ? filter.configType.value : undefined;
    if (config === undefined ? filter.name !== NAME : !holds(config, ProxyProtocolSchema)) return;
    const field = `listener_filters[${index}]`;
    if (filter.filterDisabled !== undefined) throw invalid(at(field, "filter_disabled"), "is not supported");
    const here = at(field, "typed_config");
    const settings = config && unpack(here, config, ProxyProtocolSchema);
    const disallowed = settings?.disallowedVersions ?? [];
    found = {
      required: settings?.allowRequestsWithoutProxyProtocol !== true,
      versions: [
        ...(disallowed.includes(Version.V1) ? [] : [1 as const]),
        ...(disallowed.includes(Version.V2) ? [] : [2 as const]),
      ],
      passedTlvs:
        settings?.passThroughTlvs &&
        compileTlvChoice(at(here, "pass_through_tlvs"), settings.passThroughTlvs),
    };
  });
  return found;
}
