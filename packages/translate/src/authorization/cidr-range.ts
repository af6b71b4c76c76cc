import { create } from "@bufbuild/protobuf";
import { CidrRangeSchema, type CidrRange } from "@tulle/xds/gen/envoy/config/core/v3/address_pb.js";

/** An address or a block. */
export function cidrRange(value: string): CidrRange {
  const [addressPrefix = "", length] = value.split("/");
  const whole = addressPrefix.includes(":") ? 128 : 32;
  return create(CidrRangeSchema, { addressPrefix, prefixLen: length === undefined ? whole : Number(length) });
}
