import type { Kind } from "@tulle/api";

/** `virtualservice.networking.istio.io/reviews`, as kubectl names an object. */
export function resourceName(kind: Pick<Kind, "singular" | "group">, name: string): string {
  return `${kind.singular}${kind.group === "" ? "" : `.${kind.group}`}/${name}`;
}
