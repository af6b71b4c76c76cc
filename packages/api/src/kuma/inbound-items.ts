import type { KumaInboundPolicySpec } from "./type.js";

/** What a policy says of those that take requests, with where it stands. */
export function inboundItems<Conf>({ rules, from = [] }: KumaInboundPolicySpec<Conf>): readonly {
  readonly item: { readonly default?: Conf };
  readonly field: string;
}[] {
  const name = rules === undefined ? "from" : "rules";
  return (rules ?? from).map((item, index) => ({ item, field: `${name}[${index}]` }));
}
