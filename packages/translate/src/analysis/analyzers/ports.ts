import type { MeshObject, VirtualServiceSpec } from "@tulle/api";
import { portNamed } from "../../mesh-service.js";
import type { Analysis } from "../analysis.js";
import { destinationsOf } from "../destinations.js";

/**
 * IST0112: a destination without a port, of a service that has several. Where the caller's own port is one of the
 * destination's, that one is meant, so nothing is ambiguous.
 */
export function analyzePortSelectors(analysis: Analysis, object: MeshObject<VirtualServiceSpec>): void {
  const { namespace } = object.metadata;
  const callers = (object.spec.hosts ?? []).flatMap(
    (host) => analysis.resolve(host, namespace).service ?? [],
  );
  for (const { destination, path } of destinationsOf(object)) {
    if (destination.port !== undefined) continue;
    const { service } = analysis.resolve(destination.host, namespace);
    if (service === undefined || service.ports.length < 2) continue;
    const answersAll =
      callers.length > 0 &&
      callers.every((caller) => caller.ports.every(({ number }) => portNamed(service, number) !== undefined));
    if (answersAll) continue;
    const ports = service.ports.map(({ number }) => number).join(", ");
    const message = `${service.host} has the ports ${ports}: say which one is meant`;
    analysis.report("IST0112", object, path, message);
  }
}
