import type { Catalog } from "@tulle/api";
import type { KeySource, MeshReader, MeshSettings } from "@tulle/translate";

import type { ConfigIndex } from "./config-index.js";

export interface MeshReaderSources {
  readonly settings: MeshSettings;
  readonly catalog: Catalog;
  readonly index: Pick<ConfigIndex, "objects">;
  /** The virtual IP of a host in full. */
  readonly virtualIp?: (host: string) => string | undefined;
  /** The public keys of an issuer of tokens. */
  readonly tokenKeys?: (source: KeySource) => string | undefined;
}

/** What translation reads: settings, catalog and configuration as they are at the time of each read. */
export function createMeshReader(sources: MeshReaderSources): MeshReader {
  const { settings, catalog, index, virtualIp, tokenKeys } = sources;
  return {
    settings,
    catalog,
    objects: (group, kind) => index.objects(group, kind),
    ...(virtualIp === undefined ? {} : { virtualIp }),
    ...(tokenKeys === undefined ? {} : { tokenKeys }),
  };
}
