import {
  isCidr,
  isIpAddress,
  type AuthorizationOperation,
  type AuthorizationPolicySpec,
  type AuthorizationSource,
} from "@tulle/api";
import { MeshError } from "@tulle/base";
import { authorizationPolicy, type WrittenPolicy } from "./policy-object.js";

/** Who may, or may not, use a service. */
export interface AccessList {
  readonly action: "ALLOW" | "DENY";
  readonly service: string;
  readonly namespace: string;
  /** `frontend`, `frontend.shop`, `namespace:admin`, `principal:cluster.local/ns/a/sa/b`, an address or a block. */
  readonly from: readonly string[];
  readonly methods: readonly string[];
  readonly paths: readonly string[];
  readonly ports: readonly string[];
  readonly dryRun: boolean;
}

/** The policy of an access list. Throws MeshError `invalid` for a source that cannot be read. */
export function accessPolicy(list: AccessList): WrittenPolicy<AuthorizationPolicySpec> {
  const { action, service, namespace, from, methods, paths, ports, dryRun } = list;
  const operation: AuthorizationOperation = {
    ...(methods.length === 0 ? {} : { methods }),
    ...(paths.length === 0 ? {} : { paths }),
    ...(ports.length === 0 ? {} : { ports }),
  };
  const sources = from.map((text) => sourceOf(text, namespace));
  const spec: AuthorizationPolicySpec = {
    targetRefs: [{ kind: "Service", name: service }],
    action,
    rules: [
      {
        ...(sources.length === 0 ? {} : { from: sources.map((source) => ({ source })) }),
        ...(Object.keys(operation).length === 0 ? {} : { to: [{ operation }] }),
      },
    ],
  };
  return authorizationPolicy(namespace, `${service}-${action.toLowerCase()}`, spec, dryRun);
}

const SERVICE = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?)(?:\.([a-z0-9]([-a-z0-9]*[a-z0-9])?))?$/;

function sourceOf(text: string, namespace: string): AuthorizationSource {
  if (isIpAddress(text) || isCidr(text)) return { ipBlocks: [text] };
  if (text.startsWith("namespace:")) return { namespaces: [text.slice("namespace:".length)] };
  if (text.startsWith("principal:")) return { principals: [text.slice("principal:".length)] };
  const match = SERVICE.exec(text);
  if (match === null)
    throw new MeshError(
      "invalid",
      "CLI_BAD_SOURCE",
      `${JSON.stringify(text)} is no source: write SERVICE, SERVICE.NAMESPACE, namespace:NAME, principal:ID, an address or a block`,
    );
  return { serviceAccounts: [`${match[3] ?? namespace}/${match[1]}`] };
}
