import type { Provenance } from "../snapshot/contract.js";
import type { Owner } from "./contract.js";

/** Kinds that their path does not tell how to write. */
const SPELLINGS: readonly (readonly [RegExp, string])[] = [
  [/^(mesh-)?(http|grpc|tcp|tls|udp)-?route$/, "Route"],
  [/^(mesh-)?(http|grpc|tcp|tls|udp)-?filter$/, "Filter"],
];

/** The owner that a provenance names; undefined for what the mesh adds itself. */
export function ownerOf(
  provenance: Provenance | undefined,
  locate?: (owner: Owner) => string | undefined,
): Owner | undefined {
  const match = /^\/apis\/(.+)\/namespaces\/([^/]*)\/([^/]+)\/([^/]+)$/.exec(provenance?.config ?? "");
  if (match === null || provenance === undefined) return undefined;
  const [, apiVersion = "", namespace = "", kind = "", name = ""] = match;
  const owner = { apiVersion, kind: kindOf(kind), namespace, name, rule: provenance.rule };
  const source = locate?.(owner);
  return source === undefined ? owner : { ...owner, source };
}

/** `virtual-service` → `VirtualService` */
export function kindOf(written: string): string {
  for (const [form, suffix] of SPELLINGS) {
    const [, mesh, protocol] = form.exec(written) ?? [];
    if (protocol !== undefined) return (mesh === undefined ? "" : "Mesh") + protocol.toUpperCase() + suffix;
  }
  return written.replace(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
