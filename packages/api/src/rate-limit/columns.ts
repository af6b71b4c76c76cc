import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { RateLimitRule, RateLimitSpec } from "./type.js";

/** HOST DIRECTION LIMITS AGE. */
export const rateLimitColumns: readonly Column[] = [
  textColumn<RateLimitSpec>("Host", "The service that is called.", ({ spec }) => spec.host ?? "*"),
  textColumn<RateLimitSpec>("Direction", "Who counts.", ({ spec }) => spec.direction ?? "INBOUND"),
  textColumn<RateLimitSpec>("Limits", "How many requests in which time.", ({ spec }) =>
    spec.global === undefined
      ? (spec.limits ?? []).map(written).join(",")
      : `${spec.global.service}:${spec.global.domain}`,
  ),
  ageColumn,
];

function written({ requests, interval }: RateLimitRule): string {
  return `${requests}/${interval}`;
}
