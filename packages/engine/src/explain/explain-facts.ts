import type { EngineRequest, Facts } from "../contract.js";
import { withoutPort } from "../route/virtual-hosts.js";
import type { Question } from "./contract.js";

/** What filters are told of a request that is asked about: as much as the question says. */
export function factsFor(request: EngineRequest, question: Question): Facts {
  const { direction, principal, remoteAddress, localAddress, serverName = "" } = question;
  const isGateway = question.port !== undefined;
  if (direction === "outbound" && !isGateway) return { request, principal };
  const port = question.port ?? Number(localAddress?.slice(localAddress.lastIndexOf(":") + 1));
  return {
    request,
    principal,
    remoteAddress,
    connection: {
      sourceAddress: hostOf(remoteAddress),
      destinationAddress: hostOf(localAddress),
      destinationPort: Number.isInteger(port) ? port : undefined,
      serverName,
    },
  };
}

function hostOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const host = withoutPort(address);
  return host.startsWith("[") ? host.slice(1, -1) : host;
}
