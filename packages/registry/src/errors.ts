import { MeshError } from "@tulle/base";

/** The registry's errors in one place; their codes are documented on `Registry`. */
export function unknownService(id: string): MeshError {
  return new MeshError(
    "not-found",
    "REGISTRY_UNKNOWN_SERVICE",
    `Unknown service ID "${id}": give the service's ID, not its name`,
  );
}

/** Clients of many languages look for the second half of this text to know that they must register again. */
export function unknownCheck(id: string): MeshError {
  return new MeshError(
    "not-found",
    "REGISTRY_UNKNOWN_CHECK",
    `Unknown check ID "${id}": CheckID "${id}" does not have associated TTL; give the check's ID, not its name`,
  );
}

export function checkIdTaken(id: string): MeshError {
  return new MeshError(
    "invalid",
    "REGISTRY_CHECK_ID_TAKEN",
    `check ID "${id}" belongs to another service: choose another`,
  );
}

export function storeFailed(thrown: unknown): never {
  throw new MeshError("unavailable", "REGISTRY_STORE", "the registry's store does not answer: retry later", {
    cause: thrown,
  });
}

export function registryFull(limit: number): MeshError {
  return new MeshError(
    "exhausted",
    "REGISTRY_FULL",
    `${limit} services are registered already: deregister some first`,
  );
}

export function recordTooLarge(maxBytes: number): MeshError {
  return new MeshError(
    "invalid",
    "REGISTRY_INVALID",
    `the registration with its checks is larger than ${maxBytes} bytes`,
  );
}
