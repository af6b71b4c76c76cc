import type { KumaDestination } from "@tulle/api";
import type { KindRef, Translation } from "../translation.js";
import { merged } from "./merge.js";
import { holdingItems, type Called, type HoldingItem } from "./policies.js";

/** What a policy says of calls. */
export interface CallItem {
  readonly targetRef: KumaDestination;
  readonly default?: object;
}

/** What items say as one, the one that counts most first. */
export function confOf(items: readonly HoldingItem<CallItem>[]): object {
  return merged(items.map(({ item }) => item.default ?? {}));
}

/** What all policies of a kind say of calls, as one; the kind's check has accepted each. */
export function confFor<Conf extends object>(t: Translation, kind: KindRef, called: Called): Partial<Conf> {
  const items = holdingItems<CallItem>(t, kind, called);
  for (const { object } of items) t.own(object);
  return confOf(items);
}
