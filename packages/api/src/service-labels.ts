import type { CatalogService } from "./catalog.js";

/** Labels by which instances speak for their whole service. */
const SERVICE_LABELS: readonly string[] = [
  "istio.io/persistent-session",
  "istio.io/persistent-session-header",
  "tulle.dev/persistent-session-strict",
];

/** What a service's instances say of all of it; where they differ, the first one counts. Part of the service's shape. */
export function serviceLabels(service: CatalogService): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const key of SERVICE_LABELS) {
    const speaker = service.instances.find(({ labels }) => Object.hasOwn(labels, key));
    if (speaker !== undefined) found[key] = speaker.labels[key]!;
  }
  return found;
}
