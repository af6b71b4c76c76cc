import { outboundClusterName } from "./names.js";
import { resolveHost } from "./services.js";
import type { Translation } from "./translation.js";

/**
 * The cluster of a service (`[namespace/]host`) that sidecars ask before they let requests through. One that does not exist
 * cannot be asked: what then becomes of the requests is for the asker to say. `what`: who asks, for warnings.
 */
export function askedService(
  t: Translation,
  { service: written, port }: { readonly service: string; readonly port: number },
  defaultNamespace: string,
  what: string,
): { readonly cluster: string; readonly authority: string } {
  const slash = written.indexOf("/");
  const namespace = slash < 0 ? defaultNamespace : written.slice(0, slash);
  const { host, service } = resolveHost(t, written.slice(slash + 1).toLowerCase(), namespace);
  if (service === undefined) t.warn(`${what}: its service ${host} does not exist: it cannot be asked`);
  else if (!service.ports.some(({ number }) => number === port))
    t.warn(`${what}: its service ${host} has no port ${port}: it cannot be asked`);
  const found = service?.host ?? host;
  return { cluster: outboundClusterName(found, port), authority: `${found}:${port}` };
}
