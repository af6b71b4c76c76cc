import { eventually } from "@tulle/testkit";

import { call, callJson, type CallOptions } from "./http.js";
import type { TulleProcess } from "./tulle-process.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What `tulle run` and `tulle sidecar` announce. */
export interface WorkloadReady {
  readonly instanceId: string;
  readonly appPid?: number;
  readonly appPort?: number;
  readonly addresses: {
    readonly outbound: Address;
    readonly inbound: Address;
    readonly admin: Address;
    readonly metrics: Address;
    readonly readiness: Address;
    readonly upstreams: readonly (Address & { readonly name: string })[];
  };
}

/** A running `tulle run` or `tulle sidecar`. */
export class Workload {
  readonly name: string;
  readonly process: TulleProcess;
  readonly ready: WorkloadReady;

  constructor(name: string, process: TulleProcess, ready: WorkloadReady) {
    this.name = name;
    this.process = process;
    this.ready = ready;
  }

  /** Base URL of the loopback listener of an upstream. */
  upstream(name: string): string {
    const found = this.ready.addresses.upstreams.find((upstream) => upstream.name === name);
    if (found === undefined) throw new Error(`${this.name} has no upstream ${name}`);
    return urlOf(found);
  }

  async admin(path: string, options: CallOptions = {}): Promise<unknown> {
    return callJson(`${urlOf(this.ready.addresses.admin)}${path}`, options);
  }

  async metrics(): Promise<string> {
    return (await call(`${urlOf(this.ready.addresses.metrics)}/stats/prometheus`)).body;
  }

  /** Addresses of the healthy endpoints of a cluster that the sidecar knows, sorted. */
  async endpoints(cluster: string, options: CallOptions = {}): Promise<readonly string[]> {
    const { cluster_statuses } = (await this.admin("/clusters?format=json", options)) as ClusterDump;
    const hosts = cluster_statuses.find(({ name }) => name === cluster)?.host_statuses ?? [];
    return hosts
      .filter((host) => host.health_status.eds_health_status === "HEALTHY")
      .map(({ address: { socket_address: at } }) => `${at.address}:${at.port_value}`)
      .sort();
  }

  /** Waits until the sidecar knows that many healthy endpoints of a cluster. */
  async knows(cluster: string, endpoints: number): Promise<void> {
    await eventually(async () => (await this.endpoints(cluster)).length === endpoints);
  }

  /** Serial number of the certificate in use, hexadecimal. */
  async certificateSerial(): Promise<string> {
    const { certificates } = (await this.admin("/certs")) as CertificateDump;
    return certificates[0]?.cert_chain[0]?.serial_number ?? "";
  }
}

interface ClusterDump {
  readonly cluster_statuses: readonly {
    readonly name: string;
    readonly host_statuses: readonly {
      readonly address: {
        readonly socket_address: { readonly address: string; readonly port_value: number };
      };
      readonly health_status: { readonly eds_health_status: string };
    }[];
  }[];
}

interface CertificateDump {
  readonly certificates: readonly { readonly cert_chain: readonly { readonly serial_number: string }[] }[];
}

/** `http://host:port` of an address. */
export function urlOf({ host, port }: Address): string {
  return `http://${host}:${port}`;
}

/** The cluster of a service in the namespace `default` at port 8080, as sidecars name it. */
export function clusterOf(service: string, subset = ""): string {
  return `outbound|8080|${subset}|${service}.default.svc.cluster.local`;
}
