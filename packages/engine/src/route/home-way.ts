import { boundEndpoint, type SessionPolicy } from "../affinity/session.js";
import type { DecisionView, EngineRequest } from "../contract.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";
import type { Split } from "./split.js";
import type { Way } from "./way.js";

/** Of a split's ways the one whose cluster has the endpoint that the request's session is bound to. */
export function homeWay(
  { snapshot, trace }: DecisionView,
  session: SessionPolicy,
  { choices }: Split<Way>,
  request: EngineRequest,
): Way | undefined {
  const boundTo = boundEndpoint(session, request);
  if (boundTo === "") return undefined;
  const home = choices.find(({ settings }) => {
    const cluster = snapshot.cluster(settings.clusterName);
    return cluster instanceof LinkedCluster && cluster.indexOf(boundTo) >= 0;
  });
  if (home !== undefined && trace !== undefined) {
    const reason = `the request's session is bound to ${boundTo}, which is one of its endpoints`;
    trace.add({ step: "split", subject: home.settings.clusterName, verdict: "chosen", reason });
  }
  return home;
}
