import type { ClientView } from "@tulle/translate";

/** One text per distinct view: equal views, whatever the order of labels or ports, have equal keys. */
export function viewKey(view: ClientView): string {
  return JSON.stringify([
    view.dialect,
    view.namespace,
    view.mtls,
    view.intercepts === true,
    view.gateway?.trustedProxies,
    view.serviceAccount,
    Object.entries(view.labels).sort(([a], [b]) => (a < b ? -1 : 1)),
    view.inbound
      .map((port) =>
        JSON.stringify([
          port.namespace,
          port.service,
          port.servicePort,
          port.appPort,
          port.protocol,
          port.proxyProtocol,
        ]),
      )
      .sort(),
  ]);
}
