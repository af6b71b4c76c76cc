import type { WorkloadLabels } from "@tulle/engine";

/** Header in which a sidecar tells the next one which workload it serves (Istio's name). */
export const PEER_METADATA_HEADER = "x-envoy-peer-metadata";

const MAX_LENGTH = 1024;

/** Value of {@link PEER_METADATA_HEADER}: `workload;namespace;canonical name;revision`, base64. */
export function encodePeerMetadata(labels: WorkloadLabels): string {
  const text = [labels.workload, labels.namespace, labels.canonicalName, labels.canonicalRevision]
    .map((part) => part.replaceAll(";", "_"))
    .join(";");
  return Buffer.from(text, "utf8").toString("base64");
}

/**
 * The workload that `value` names, or undefined when it is malformed or speaks of another namespace than the peer's
 * certificate: metadata labels metrics, but nobody may count under a foreign namespace.
 */
export function decodePeerMetadata(value: string, peerSpiffeId: string): WorkloadLabels | undefined {
  if (value.length > MAX_LENGTH || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return undefined;
  const parts = Buffer.from(value, "base64").toString("utf8").split(";");
  if (parts.length !== 4) return undefined;
  const [workload, namespace, canonicalName, canonicalRevision] = parts as [string, string, string, string];
  if (!peerSpiffeId.includes(`/ns/${namespace}/sa/`)) return undefined;
  return { workload, namespace, canonicalName, canonicalRevision };
}

/** Peers keep saying the same: decodes each distinct header once, so that metrics can hang series on the object. */
export class PeerMetadataCache {
  readonly #known = new Map<string, WorkloadLabels | undefined>();
  readonly #maxEntries: number;

  constructor(maxEntries = 1024) {
    this.#maxEntries = maxEntries;
  }

  decode(value: string, peerSpiffeId: string): WorkloadLabels | undefined {
    const key = `${peerSpiffeId} ${value}`;
    const known = this.#known.get(key);
    if (known !== undefined || this.#known.has(key)) return known;
    const labels = decodePeerMetadata(value, peerSpiffeId);
    if (this.#known.size >= this.#maxEntries) this.#known.clear();
    this.#known.set(key, labels);
    return labels;
  }
}
