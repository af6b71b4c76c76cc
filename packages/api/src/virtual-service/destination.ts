import { host } from "../schema/hosts.js";
import { port, weight } from "../schema/numbers.js";
import { nonEmpty } from "../schema/strings.js";
import { structsOf, struct, isFields, type Rule } from "../schema/struct.js";

export const destination = struct({
  host,
  subset: nonEmpty.exactOptional(),
  port: struct({ number: port }).exactOptional(),
});

export const routeDestination = struct({ destination, weight: weight.exactOptional() });

/** Weights are relative to their sum: with several destinations it cannot be 0. */
export const weightsSum: Rule = (fields, report) => {
  const destinations = structsOf(fields["route"]);
  if (destinations.length < 2) return;
  const weights = destinations.map(([, item]) => item["weight"] ?? 0);
  if (weights.every((value) => value === 0))
    report(["route"], "must have weights whose sum is greater than 0");
};

/** Whether a route has a list of at least one destination. */
export const hasDestinations: Rule = (fields, report) => {
  const route = fields["route"];
  if (Array.isArray(route) && route.length === 0) report(["route"], "must have at least one destination");
};

/** A destination that names its own rule's weights but not one: it would get nothing. For warnings. */
export function lacksWeight(route: readonly { readonly weight?: number }[] | undefined): readonly number[] {
  if (route === undefined || route.length < 2) return [];
  return route.flatMap((item, index) => (isFields(item) && item.weight === undefined ? [index] : []));
}
