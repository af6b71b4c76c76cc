import {
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType as MatchType,
  type ProxyProtocolConfig,
  type ProxyProtocolPassThroughTLVs,
} from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import type { TlvChoice, UpstreamTlvs } from "./contract.js";
import { at, invalid } from "./invalid.js";

/** A type is one byte. */
const MAX_TYPE = 255;
/** A checksum is of one header, and padding says nothing: neither is passed on or added. */
const CRC32C = 0x03;
const NOOP = 0x04;
/** All that is added to a header, with a type and a length each; a receiver need not read more than a few KiB. */
const MAX_ADDED_BYTES = 4096;
const TLV_HEADER_BYTES = 3;

/** Which TLVs are passed on. */
export function compileTlvChoice(field: string, passed: ProxyProtocolPassThroughTLVs): TlvChoice {
  if (passed.matchType === MatchType.INCLUDE_ALL) return "all";
  if (passed.matchType !== MatchType.INCLUDE) throw invalid(at(field, "match_type"), "is unknown");
  passed.tlvType.forEach((type, index) => checkType(at(field, `tlv_type[${index}]`), type));
  return new Set(passed.tlvType);
}

/** What headers to endpoints say besides addresses; undefined = nothing. */
export function compileUpstreamTlvs(field: string, config: ProxyProtocolConfig): UpstreamTlvs | undefined {
  const { passThroughTlvs, addedTlvs } = config;
  if (passThroughTlvs === undefined && addedTlvs.length === 0) return undefined;
  const passed = passThroughTlvs && compileTlvChoice(at(field, "pass_through_tlvs"), passThroughTlvs);
  let bytes = 0;
  const added = addedTlvs.map(({ type, value }, index) => {
    const here = at(field, `added_tlvs[${index}]`);
    checkType(at(here, "type"), type);
    if (type === CRC32C || type === NOOP) throw invalid(at(here, "type"), `${type} cannot be added`);
    if (value.length === 0) throw invalid(at(here, "value"), "must have one byte at least");
    bytes += TLV_HEADER_BYTES + value.length;
    return { type, value };
  });
  if (bytes > MAX_ADDED_BYTES)
    throw invalid(at(field, "added_tlvs"), `must have ${MAX_ADDED_BYTES} bytes at most`);
  const choice = passed === undefined ? "" : passed === "all" ? passed : [...passed].join(",");
  const texts = added.map(({ type, value }) => `${type}:${value.join(".")}`);
  return { key: [choice, ...texts].join("|"), passed, added };
}

function checkType(field: string, type: number): void {
  if (type > MAX_TYPE) throw invalid(field, `must be ${MAX_TYPE} at most`);
}
