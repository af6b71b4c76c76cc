import type { DecisionView } from "@tulle/engine";

export { entropyOf as hashRequestId } from "@tulle/engine";

/** What decisions look at, filled anew for each one: a view that lives as long as its exchange or session. */
export type OwnView = { -readonly [Key in keyof DecisionView]: DecisionView[Key] };
