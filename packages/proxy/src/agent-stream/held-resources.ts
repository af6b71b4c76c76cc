import type { SnapshotSource } from "@tulle/engine";
import { heldChecksum, heldVersion, RESOLVED_NAMES_TYPE, type HeldResource } from "@tulle/xds";

/** Resources in one answer. */
const MAX_LISTED = 1000;

/** What is held, by type URL. */
export interface HeldTypes {
  readonly types: Readonly<Record<string, string>>;
}

/** What is held of one type: names with their versions. */
export interface HeldList {
  readonly resources: readonly (readonly [name: string, version: string])[];
  /** Resources that found no room in the answer. */
  readonly omitted: number;
}

/** A checksum for each type of which something is held. */
export function heldTypes(configuration: SnapshotSource): HeldTypes {
  const byType = new Map<string, HeldResource[]>();
  for (const { typeUrl, name, version, bytes } of configuration.resources()) {
    // What this proxy found out itself nobody has sent.
    if (bytes === undefined || typeUrl === RESOLVED_NAMES_TYPE) continue;
    const ofType = byType.get(typeUrl);
    if (ofType === undefined) byType.set(typeUrl, [{ name, version, bytes }]);
    else ofType.push({ name, version, bytes });
  }
  return {
    types: Object.fromEntries([...byType].map(([typeUrl, resources]) => [typeUrl, heldChecksum(resources)])),
  };
}

/** The resources that are held of a type. */
export function heldList(configuration: SnapshotSource, typeUrl: string): HeldList {
  const resources: (readonly [string, string])[] = [];
  let omitted = 0;
  for (const { typeUrl: type, name, version, bytes } of configuration.resources()) {
    if (type !== typeUrl || bytes === undefined) continue;
    if (resources.length < MAX_LISTED) resources.push([name, heldVersion({ version, bytes })]);
    else omitted++;
  }
  return { resources, omitted };
}
