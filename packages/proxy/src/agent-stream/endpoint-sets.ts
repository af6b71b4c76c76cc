import type { Clock, Disposable } from "@tulle/base";
import type { LoadTable, Snapshot } from "@tulle/engine";
import { ENDPOINT_TYPE } from "@tulle/xds";

import type { Family, Gauge, MetricsRegistry } from "../telemetry/metrics.js";
import type { SidecarConfiguration } from "../xds/sidecar-configuration.js";
import { endpointLoad, type EndpointLoad } from "./load-report.js";

/** Endpoints in one answer: more would not fit into it. */
const MAX_ENDPOINTS = 1000;
const MAX_SETS = 500;

/** The endpoints of a cluster as requests are sent to them. Plain data. */
export interface EndpointSet {
  readonly cluster: string;
  readonly version: string;
  /** Milliseconds since the epoch; 0 = before this sidecar started. */
  readonly changedAt: number;
  readonly endpoints: readonly EndpointLoad[];
}

export interface EndpointSets {
  readonly sets: readonly EndpointSet[];
  /** Sets that found no room in the answer. */
  readonly omitted: number;
}

interface Known {
  readonly version: string;
  readonly changedAt: number;
}

export interface EndpointAgesOptions {
  readonly configuration: SidecarConfiguration;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
}

/** Since when endpoint sets are as they are, and when the control plane last agreed with what is held. */
export class EndpointAges implements Disposable {
  readonly #options: EndpointAgesOptions;
  readonly #known = new Map<string, Known>();
  readonly #changed: Family<Gauge>;
  readonly #confirmed: Family<Gauge>;
  /** Clusters whose gauge is not 0. */
  readonly #told = new Set<string>();
  readonly #subscription: Disposable;

  constructor(options: EndpointAgesOptions) {
    this.#options = options;
    const { configuration, metrics } = options;
    this.#changed = metrics.gauge(
      "tulle_endpoint_set_changed_timestamp_seconds",
      "When the endpoints of a cluster changed last, seconds since the epoch; 0 = the cluster is gone.",
    );
    this.#confirmed = metrics.gauge(
      "tulle_resources_confirmed_timestamp_seconds",
      "When the control plane last agreed with the resources that are held, seconds since the epoch.",
    );
    metrics.onCollect(() => this.#collect());
    this.#subscription = configuration.onChanged((change) => {
      if (change.kind === "apply") {
        for (const { typeUrl, name } of change.changes) if (typeUrl === ENDPOINT_TYPE) this.#look(name);
      } else if (change.typeUrl === ENDPOINT_TYPE) {
        for (const name of change.names) this.#look(name);
      }
    });
  }

  /** The control plane agrees with what is held of a type. */
  confirm(typeUrl: string): void {
    const type = typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
    this.#confirmed.with(["type", type]).set(this.#options.clock.now() / 1000);
  }

  changedAt(name: string): number {
    return this.#known.get(name)?.changedAt ?? 0;
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }

  #look(name: string): void {
    const { configuration, clock } = this.#options;
    const version = configuration.version(ENDPOINT_TYPE, name);
    if (version === "") this.#known.delete(name);
    else if (this.#known.get(name)?.version !== version)
      this.#known.set(name, { version, changedAt: clock.now() });
  }

  #collect(): void {
    for (const name of this.#told) {
      if (this.#known.has(name)) continue;
      this.#changed.with(["cluster_name", name]).set(0);
      this.#told.delete(name);
    }
    for (const [name, { changedAt }] of this.#known) {
      this.#changed.with(["cluster_name", name]).set(changedAt / 1000);
      this.#told.add(name);
    }
  }
}

/** The endpoint sets of the clusters for `host` ("" = of all) that the control plane has given. */
export function endpointSets(
  snapshot: Snapshot,
  load: LoadTable,
  versionOf: (name: string) => string,
  ages: Pick<EndpointAges, "changedAt">,
  host: string,
): EndpointSets {
  const sets: EndpointSet[] = [];
  let omitted = 0;
  let room = MAX_ENDPOINTS;
  for (const { name, endpoints } of snapshot.clusters()) {
    if (host !== "" && !name.endsWith(`|${host}`)) continue;
    const version = versionOf(name);
    // Those that are not EDS's were not given as such.
    if (version === "") continue;
    if (endpoints.length > room || sets.length >= MAX_SETS) {
      omitted++;
      continue;
    }
    room -= endpoints.length;
    sets.push({
      cluster: name,
      version,
      changedAt: ages.changedAt(name),
      endpoints: endpoints.map((endpoint) => endpointLoad(endpoint, load)),
    });
  }
  return { sets, omitted };
}
