import type { CidrRange } from "@tulle/xds/gen/envoy/config/core/v3/address_pb.js";
import type { StringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import type { Facts } from "../contract.js";
import { compileStringTest, wantedString } from "../route/string-test.js";
import { at, invalid } from "../snapshot/invalid.js";
import { Leaf, type Condition } from "./condition.js";
import { addressBytes, IpRange } from "./ip-range.js";
import { wordsOf } from "./words.js";

/** An address of a connection or request, without port. */
export type AddressOf = (facts: Facts) => string | undefined;

/** Compiles a block of addresses. What is no address is in doubt. */
export function compileAddress(
  field: string,
  range: CidrRange,
  subject: string,
  perConnection: boolean,
  addressOf: AddressOf,
  inDoubt: boolean,
): Condition {
  const { addressPrefix, prefixLen } = range;
  const block = IpRange.parse(addressPrefix, prefixLen ?? 0);
  if (block === undefined)
    throw invalid(field, `${addressPrefix}/${prefixLen ?? 0} is no block of addresses`);
  return new Leaf({
    subject,
    wanted: `in ${addressPrefix}/${prefixLen ?? 0}`,
    perConnection,
    actual: addressOf,
    test: (facts) => {
      const address = addressOf(facts);
      const bytes = address === undefined ? undefined : addressBytes(address);
      return bytes === undefined ? inDoubt : block.has(bytes);
    },
  });
}

/** Compiles a condition on who the peer is: the SPIFFE id of its certificate. */
export function compileAuthenticated(field: string, name: StringMatcher | undefined): Condition {
  const test = name === undefined ? undefined : compileStringTest(at(field, "principal_name"), name);
  return new Leaf({
    subject: "the peer",
    wanted: name === undefined ? "somebody with a certificate" : wordsOf(wantedString(name)),
    perConnection: true,
    actual: ({ principal }) => principal,
    test: ({ principal }) => principal !== undefined && (test === undefined || test(principal)),
  });
}

/** Compiles ports from `start` up to `end`, which is not included. */
export function compilePort(start: number, end: number, inDoubt: boolean): Condition {
  return new Leaf({
    subject: "the port",
    wanted: end === start + 1 ? String(start) : `from ${start} to below ${end}`,
    perConnection: true,
    actual: ({ connection }) => connection?.destinationPort?.toString(),
    test: ({ connection }) => {
      const port = connection?.destinationPort;
      return port === undefined ? inDoubt : port >= start && port < end;
    },
  });
}

/** Compiles a condition on the server name that the client asked for; "" in plaintext, as in Envoy. */
export function compileServerName(field: string, matcher: StringMatcher): Condition {
  const test = compileStringTest(field, matcher);
  return new Leaf({
    subject: "the server name",
    wanted: wordsOf(wantedString(matcher)),
    perConnection: true,
    actual: ({ connection }) => connection?.serverName,
    test: ({ connection }) => test(connection?.serverName ?? ""),
  });
}
