import { z } from "zod";
import { headerName } from "../schema/headers.js";
import { duration, positiveDuration } from "../schema/durations.js";
import { mapOf } from "../schema/labels.js";
import { decimal, integer, percent, uint32 } from "../schema/numbers.js";
import { label, nonEmpty, stringThat, text } from "../schema/strings.js";
import { atMostOne, exactlyOne, excludes, isFields, struct, structsOf, type Rule } from "../schema/struct.js";

/** Envoy's limits. */
const MAX_RING = 8_388_608;
const MAX_TABLE = 5_000_011;

/** A Maglev table's size is a prime number, or the algorithm does not spread. */
function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

export const tableSize = integer(0, MAX_TABLE).refine((value) => value === 0 || isPrime(value), {
  error: "expected a prime number, such as 65537",
});

export const cookieName = stringThat(
  (value) => /^[^\s;,=]{1,256}$/.test(value),
  'the name of a cookie such as "session"',
);

const httpCookie = struct({
  name: cookieName,
  path: text.exactOptional(),
  ttl: duration.exactOptional(),
  attributes: z.array(struct({ name: nonEmpty, value: text.exactOptional() })).exactOptional(),
});

const consistentHash = struct(
  {
    httpHeaderName: headerName.exactOptional(),
    httpCookie: httpCookie.exactOptional(),
    useSourceIp: z.boolean().exactOptional(),
    httpQueryParameterName: nonEmpty.exactOptional(),
    ringHash: struct({ minimumRingSize: integer(0, MAX_RING).exactOptional() }).exactOptional(),
    maglev: struct({ tableSize: tableSize.exactOptional() }).exactOptional(),
  },
  exactlyOne("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
  atMostOne("ringHash", "maglev"),
);

const isLocality = (value: string) =>
  value.length <= 256 && /^(?:\*|[^/*]+(?:\/[^/*]+){0,2}(?:\/\*)?)$/.test(value);
const locality = stringThat(isLocality, 'a locality such as "region/zone/*"');
const share = integer(0, 100, "a percentage");
const failover = z.array(struct({ from: nonEmpty, to: nonEmpty })).exactOptional();
const failoverPriority = z.array(label).exactOptional();

/** The shares of one `distribute` rule are percentages of the whole. */
const fullShares: Rule = (fields, report) => {
  for (const [index, item] of structsOf(fields["distribute"])) {
    if (!isFields(item["to"])) continue;
    const shares = Object.values(item["to"]).filter((value) => typeof value === "number");
    const sum = shares.reduce((total, value) => total + value, 0);
    if (sum !== 100) report(["distribute", index, "to"], `must have shares whose sum is 100; it is ${sum}`);
  }
};

/** To fail over to where one is would be no failover. */
const elsewhere: Rule = (fields, report) => {
  for (const [index, item] of structsOf(fields["failover"])) {
    if (item["from"] !== undefined && item["from"] === item["to"]) {
      report(["failover", index, "to"], "must be another region than from");
    }
  }
};

const localityLbSetting = struct(
  {
    distribute: z
      .array(struct({ from: locality, to: mapOf(share, isLocality, 'a locality such as "region/zone/*"') }))
      .exactOptional(),
    failover,
    failoverPriority,
    enabled: z.boolean().exactOptional(),
  },
  excludes("distribute", "failover", "failoverPriority"),
  fullShares,
  elsewhere,
);

const zoneAwareLbSetting = struct(
  {
    enabled: z.boolean().exactOptional(),
    failover,
    failoverPriority,
    minClusterSize: uint32.exactOptional(),
  },
  elsewhere,
);

const warmup = struct({
  duration: positiveDuration,
  minimumPercent: percent.exactOptional(),
  aggression: decimal(1, Number.POSITIVE_INFINITY).exactOptional(),
});

/** Istio's LoadBalancerSettings. */
export const loadBalancer = struct(
  {
    simple: z.enum(["UNSPECIFIED", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"]).exactOptional(),
    consistentHash: consistentHash.exactOptional(),
    localityLbSetting: localityLbSetting.exactOptional(),
    zoneAwareLbSetting: zoneAwareLbSetting.exactOptional(),
    warmup: warmup.exactOptional(),
  },
  atMostOne("simple", "consistentHash"),
  atMostOne("localityLbSetting", "zoneAwareLbSetting"),
);
