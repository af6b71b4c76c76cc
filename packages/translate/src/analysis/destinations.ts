import type { Destination, MeshObject, VirtualServiceSpec } from "@tulle/api";

/** A destination that a VirtualService names, with where it stands. */
export interface NamedDestination {
  readonly destination: Destination;
  /** `spec.http[0].route[1].destination` */
  readonly path: string;
  readonly protocol: "http" | "tls" | "tcp";
}

/** Every destination of an object, mirrors included. */
export function destinationsOf({ spec }: MeshObject<VirtualServiceSpec>): readonly NamedDestination[] {
  const found: NamedDestination[] = [];
  for (const protocol of ["http", "tls", "tcp"] as const) {
    (spec[protocol] ?? []).forEach((rule, index) => {
      const at = `spec.${protocol}[${index}]`;
      (rule.route ?? []).forEach(({ destination }, routeIndex) => {
        found.push({ destination, path: `${at}.route[${routeIndex}].destination`, protocol });
      });
    });
  }
  (spec.http ?? []).forEach((rule, index) => {
    const at = `spec.http[${index}]`;
    if (rule.mirror !== undefined) {
      found.push({ destination: rule.mirror, path: `${at}.mirror`, protocol: "http" });
    }
    (rule.mirrors ?? []).forEach(({ destination }, mirrorIndex) => {
      found.push({ destination, path: `${at}.mirrors[${mirrorIndex}].destination`, protocol: "http" });
    });
  });
  return found;
}
