import { MeshError } from "@tulle/base";

/**
 * A resource that cannot be compiled: `field` is where (`virtual_hosts[0].routes[2].match.safe_regex`), `why` what
 * is wrong and what would be right. Goes into the NACK.
 */
export function invalid(field: string, why: string): MeshError {
  return new MeshError("invalid", "ENGINE_INVALID_RESOURCE", `${field}: ${why}`);
}

/** `parent.field`, or `field` at the top. */
export function at(parent: string, field: string): string {
  return parent === "" ? field : `${parent}.${field}`;
}
