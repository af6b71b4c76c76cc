import {
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  create,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, type Duration, DurationSchema, anyPack } from "@bufbuild/protobuf/wkt";
import type { ResourceChange } from "@tulle/engine";

let version = 0;

export function resource<Desc extends DescMessage>(
  typeUrl: string,
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): ResourceChange {
  return { typeUrl, name, version: String(++version), bytes: toBinary(schema, message) };
}

export function pack<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

export function ms(value: number): Duration {
  return create(DurationSchema, { seconds: BigInt(Math.floor(value / 1000)), nanos: (value % 1000) * 1e6 });
}

export const ADS = { configSourceSpecifier: { case: "ads" as const, value: {} } };

export function socketAddress(port: number, address = "127.0.0.1") {
  return {
    address: {
      case: "socketAddress" as const,
      value: { address, portSpecifier: { case: "portValue" as const, value: port } },
    },
  };
}
