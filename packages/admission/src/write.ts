import type { Kind, MeshObject } from "@tulle/api";

/** A write that users' rules are asked about. */
export interface AdmissionWrite {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly kind: Kind;
  /** The API version that it was asked for at. */
  readonly version: string;
  /** As it shall be; undefined when it is deleted. */
  readonly object: MeshObject | undefined;
  /** As it is; undefined when it is created. */
  readonly oldObject: MeshObject | undefined;
  readonly user: AdmissionUser;
  readonly dryRun: boolean;
}

/** Who writes, as `request.userInfo` says it. */
export interface AdmissionUser {
  readonly username: string;
  readonly groups: readonly string[];
}

/** What is stored: rules, their parameters, namespaces. */
export interface StoredObjects {
  objects(group: string, kind: string): readonly MeshObject[];
}

/** Name and namespace of the object that is written. */
export function subjectOf({ object, oldObject }: AdmissionWrite): MeshObject["metadata"] {
  const { metadata } = (object ?? oldObject)!;
  return metadata;
}
