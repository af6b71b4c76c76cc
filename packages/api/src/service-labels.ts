import type { CatalogService } from "./catalog.js";

/** Labels by which instances speak for their whole service. */
const SERVICE_LABELS: readonly string[] = [
  "istio.io/persistent-session",
  "istio.io/persistent-session-header",
  "tulle.dev/persistent-session-strict",
];
/** So do all whose names begin so. */
const SERVICE_DOMAINS = [
  "balancer.linkerd.io/",
  "balancer.alpha.linkerd.io/",
  "retry.linkerd.io/",
  "timeout.linkerd.io/",
] as const;

/** What a service's instances say of all of it; where they differ, the first one counts. Part of the service's shape. */
export function serviceLabels(service: CatalogService): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { labels } of service.instances) {
    for (const [key, value] of Object.entries(labels))
      if (isOfService(key) && !Object.hasOwn(found, key)) found[key] = value;
  }
  return found;
}

function isOfService(key: string): boolean {
  return SERVICE_LABELS.includes(key) || SERVICE_DOMAINS.some((domain) => key.startsWith(domain));
}
