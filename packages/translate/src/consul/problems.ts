import type { ServiceRouterSpec, ServiceSplitterSpec } from "@tulle/api";
import type { MeshReader } from "../contract.js";
import type { ServiceId } from "../hosts.js";
import { isHttp } from "../mesh-service.js";
import { Translation } from "../translation.js";
import { chainOf, type ChainProblem } from "./chain.js";
import { defaultProtocol, SERVICE_RESOLVER, SERVICE_ROUTER, SERVICE_SPLITTER } from "./entries.js";

/**
 * Everything that Consul's entries say together and that cannot be: subsets that nobody declares, ways that lead back to
 * where they began, routers and splitters of services that do not speak HTTP. Each once.
 */
export function chainProblems(reader: MeshReader): readonly ChainProblem[] {
  const view = { dialect: "tulle" as const, namespace: "default", mtls: true, labels: {}, inbound: [] };
  const t = new Translation(reader, view);
  const found = new Map<string, ChainProblem>();
  const add = (problem: ChainProblem): void => {
    const { kind, metadata } = problem.object;
    found.set(`${kind}/${metadata.namespace}/${metadata.name} ${problem.path} ${problem.message}`, problem);
  };
  const seen = new Set<string>();
  for (const kind of [SERVICE_ROUTER, SERVICE_SPLITTER, SERVICE_RESOLVER]) {
    for (const object of t.objects<ServiceRouterSpec | ServiceSplitterSpec>(kind)) {
      const { namespace, name } = object.metadata;
      const id: ServiceId = { namespace, name };
      const protocol = kind === SERVICE_RESOLVER ? undefined : bytesOf(t, id);
      if (protocol !== undefined) {
        const message = `service ${JSON.stringify(name)} speaks ${protocol}, which can be neither routed nor split: set its protocol to http, http2 or grpc`;
        add({ kind: "impossible", object, path: "spec", message });
      }
      if (seen.has(`${namespace}/${name}`)) continue;
      seen.add(`${namespace}/${name}`);
      for (const problem of chainOf(t, id).problems) add(problem);
    }
  }
  return [...found.values()];
}

/** The protocol of a service none of whose ports carries HTTP; undefined where one does, or may. */
function bytesOf(t: Translation, id: ServiceId): string | undefined {
  const byDefault = defaultProtocol(t, id) ?? "auto";
  const declared = t.service(id)?.ports.map(({ protocol }) => (protocol === "auto" ? byDefault : protocol));
  const protocols = declared ?? [byDefault];
  const may = protocols.some((protocol) => protocol === "auto" || isHttp(protocol));
  return may ? undefined : protocols[0];
}
