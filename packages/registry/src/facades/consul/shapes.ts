import { formatDuration } from "@tulle/base";
import { isAsking, type ServiceDefinition } from "../../definition.js";
import type { CheckState, NodeState, ServiceState } from "../../state.js";

/** JSON as Consul's clients read it: every list is a list and every map a map, never null. */

export function agentServiceShape({ definition }: ServiceState, datacenter: string): object {
  return {
    ID: definition.id,
    Service: definition.name,
    Tags: definition.tags,
    Meta: definition.meta,
    Port: definition.port,
    Address: definition.address,
    TaggedAddresses: taggedAddressesShape(definition),
    Weights: weightsShape(definition),
    EnableTagOverride: definition.enableTagOverride,
    Datacenter: datacenter,
    Namespace: definition.namespace,
    ...localityShape(definition),
  };
}

export function nodeShape({ definition, createIndex, modifyIndex }: NodeState, datacenter: string): object {
  return {
    ID: definition.id,
    Node: definition.name,
    Address: definition.address,
    Datacenter: datacenter,
    TaggedAddresses: { lan: definition.address, wan: definition.address, ...definition.taggedAddresses },
    Meta: definition.meta,
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  };
}

/** The `Service` part of a health answer, and the entries of `catalog/node/…`. */
export function nodeServiceShape({ definition, createIndex, modifyIndex }: ServiceState): object {
  return {
    ID: definition.id,
    Service: definition.name,
    Tags: definition.tags,
    Address: definition.address,
    TaggedAddresses: taggedAddressesShape(definition),
    Meta: definition.meta,
    Port: definition.port,
    Weights: weightsShape(definition),
    EnableTagOverride: definition.enableTagOverride,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    Namespace: definition.namespace,
    ...localityShape(definition),
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  };
}

/** An entry of `catalog/service/…`: node and service in one flat object. */
export function catalogServiceShape(service: ServiceState, datacenter: string): object {
  const { definition, node, createIndex, modifyIndex } = service;
  return {
    ...nodeShape(node, datacenter),
    Meta: undefined,
    NodeMeta: node.definition.meta,
    ServiceKind: "",
    ServiceID: definition.id,
    ServiceName: definition.name,
    ServiceTags: definition.tags,
    ServiceAddress: definition.address,
    ServiceTaggedAddresses: taggedAddressesShape(definition),
    ServiceWeights: weightsShape(definition),
    ServiceMeta: definition.meta,
    ServicePort: definition.port,
    ServiceSocketPath: "",
    ServiceEnableTagOverride: definition.enableTagOverride,
    ServiceProxy: { MeshGateway: {}, Expose: {} },
    ServiceConnect: {},
    Namespace: definition.namespace,
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  };
}

/** `service` undefined = a check of the node. */
export function checkShape(check: CheckState, node: NodeState, service: ServiceState | undefined): object {
  const { definition, status, output, createIndex, modifyIndex } = check;
  const { probe } = definition;
  const periodic = isAsking(probe);
  return {
    Node: node.definition.name,
    CheckID: definition.id,
    Name: definition.name,
    Status: status,
    Notes: definition.notes,
    Output: output,
    ServiceID: definition.serviceId,
    ServiceName: service?.definition.name ?? "",
    ServiceTags: service?.definition.tags ?? [],
    Type: probe.kind === "none" ? "" : probe.kind,
    Interval: periodic ? formatDuration(definition.intervalMs) : "",
    Timeout: periodic ? formatDuration(definition.timeoutMs) : "",
    ExposedPort: 0,
    Definition: {},
    Namespace: definition.namespace,
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  };
}

/** The check that says that a node's agent lives. Consul has one on each; here the process that answers is the agent. */
export function aliveShape(node: NodeState): object {
  return {
    Node: node.definition.name,
    CheckID: "serfHealth",
    Name: "Serf Health Status",
    Status: "passing",
    Notes: "",
    Output: "the control plane answers",
    ServiceID: "",
    ServiceName: "",
    ServiceTags: [],
    Type: "",
    Interval: "",
    Timeout: "",
    ExposedPort: 0,
    Definition: {},
    CreateIndex: node.createIndex,
    ModifyIndex: node.createIndex,
  };
}

/** One entry of `health/service/…`. */
export function healthShape(service: ServiceState, datacenter: string, own: boolean): object {
  const { node } = service;
  return {
    Node: nodeShape(node, datacenter),
    Service: nodeServiceShape(service),
    Checks: [
      ...(own ? [aliveShape(node)] : []),
      ...[...node.checks.values()].map((check) => checkShape(check, node, undefined)),
      ...[...service.checks.values()].map((check) => checkShape(check, node, service)),
    ],
  };
}

function weightsShape({ weights }: ServiceDefinition): object {
  return { Passing: weights.passing, Warning: weights.warning };
}

function taggedAddressesShape({ taggedAddresses }: ServiceDefinition): object {
  const out: Record<string, object> = Object.create(null);
  for (const [key, { address, port }] of Object.entries(taggedAddresses))
    out[key] = { Address: address, Port: port };
  return out;
}

function localityShape({ locality }: ServiceDefinition): object {
  return locality === undefined ? {} : { Locality: { Region: locality.region, Zone: locality.zone } };
}
