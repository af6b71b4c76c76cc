import type { Instance } from "@tulle/api";
import { CLIENT, instance, type InstanceInit } from "./mesh.js";

/** `reviews` with two versions that are services too, in namespace `shop`. */
export function shop(): Instance[] {
  const of = (service: string, init: Partial<InstanceInit> = {}) =>
    instance({ service, namespace: "shop", servicePort: 9080, ...init });
  return [of("reviews"), of("reviews", { servicePort: 9090 }), of("reviews-v1"), of("reviews-v2")];
}

/** Clients of the service's own namespace, and of another one. */
export const SHOP_CLIENT = { ...CLIENT, namespace: "shop" };
export const OTHER_CLIENT = { ...CLIENT, namespace: "other" };

/** What callers of {@link shop} name. */
export const REVIEWS = "reviews.shop:9080";

/** A route of some kind in namespace `shop`, bound to `reviews`; `fields` are those of its rules. */
export function routeYaml(rules: string, options: RouteOptions = {}): string {
  const {
    kind = "HTTPRoute",
    name = "reviews",
    namespace = "shop",
    createdAt,
    annotations,
    spec = "",
  } = options;
  const { parent = "{kind: Service, group: '', name: reviews, namespace: shop}" } = options;
  const created = createdAt === undefined ? "" : `, creationTimestamp: "${createdAt}"`;
  const annotated = annotations === undefined ? "" : `, annotations: ${JSON.stringify(annotations)}`;
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}${created}${annotated}}
spec: {parentRefs: [${parent}], ${spec === "" ? "" : `${spec}, `}rules: ${rules}}
`;
}

export interface RouteOptions {
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  /** RFC 3339. */
  readonly createdAt?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly parent?: string;
  /** More fields of the spec, as flow YAML. */
  readonly spec?: string;
}

/** A backend of namespace `shop` as a route of that namespace writes it. */
export function to(name: string, more = ""): string {
  return `{name: ${name}, port: 9080${more === "" ? "" : `, ${more}`}}`;
}
