import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, type Any } from "@bufbuild/protobuf/wkt";
import {
  FractionalPercent_DenominatorType,
  FractionalPercentSchema,
  type FractionalPercent,
} from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import { AddressSchema, type Address } from "@tulle/xds/gen/envoy/config/core/v3/address_pb.js";
import {
  ApiVersion,
  ConfigSourceSchema,
  type ConfigSource,
} from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";

/** A message inside an Any. */
export function packed<Desc extends DescMessage>(schema: Desc, init?: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

/** "From the same ADS stream." */
export function fromAds(): ConfigSource {
  return create(ConfigSourceSchema, {
    configSourceSpecifier: { case: "ads", value: {} },
    resourceApiVersion: ApiVersion.V3,
  });
}

/** A TCP address, or a Unix socket when `host` is an absolute path, or an abstract name with `@`. */
export function addressOf(host: string, port: number): Address {
  return create(AddressSchema, {
    address: /^[/@]/.test(host)
      ? { case: "pipe", value: { path: host } }
      : {
          case: "socketAddress",
          value: { address: host, portSpecifier: { case: "portValue", value: port } },
        },
  });
}

/** A percentage of 0 to 100 in millionths; undefined = always. */
export function fraction(percent: number | undefined): FractionalPercent {
  return create(FractionalPercentSchema, {
    numerator: Math.round(Math.min(Math.max(percent ?? 100, 0), 100) * 10_000),
    denominator: FractionalPercent_DenominatorType.MILLION,
  });
}
