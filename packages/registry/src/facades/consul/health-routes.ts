import { nodeTopic, serviceTopic } from "../../catalog.js";
import type { Registry } from "../../registry.js";
import { serviceHealth, type CheckState, type NodeState, type ServiceState } from "../../state.js";
import { badRequest, flagOf, matcherOf } from "./query.js";
import { watchable } from "./respond.js";
import { readableNamespaceOf } from "./rights.js";
import type { RouteTable } from "./route-table.js";
import { aliveShape, checkShape, healthShape } from "./shapes.js";

const STATES: ReadonlySet<string> = new Set(["any", "passing", "warning", "critical"]);

/** `/v1/health/…`: services with their checks. */
export function healthRoutes(registry: Registry): RouteTable {
  const { catalog, datacenter } = registry;
  const isOwn = (node: NodeState): boolean => node === catalog.node(registry.nodeName);
  return {
    "/v1/health/service/:service{.+}": {
      GET: (context) => {
        const name = context.req.param("service") ?? "";
        const namespace = readableNamespaceOf(context);
        const matches = matcherOf(context);
        const onlyPassing = flagOf(context, "passing");
        return watchable(context, registry, serviceTopic(namespace, name), () =>
          catalog
            .registrations(namespace, name)
            .filter((service) => matches(service) && (!onlyPassing || serviceHealth(service) === "passing"))
            .map((service) => healthShape(service, datacenter, isOwn(service.node))),
        );
      },
    },
    "/v1/health/checks/:service{.+}": {
      GET: (context) => {
        const name = context.req.param("service") ?? "";
        const namespace = readableNamespaceOf(context);
        return watchable(context, registry, serviceTopic(namespace, name), () =>
          catalog.registrations(namespace, name).flatMap((service) => serviceChecks(service, "any")),
        );
      },
    },
    "/v1/health/state/:state": {
      GET: (context) => {
        const state = context.req.param("state") ?? "";
        if (!STATES.has(state)) throw badRequest("the state must be any, passing, warning or critical");
        const namespace = readableNamespaceOf(context);
        return watchable(context, registry, "checks", () =>
          [...catalog.nodes()].flatMap((node) => nodeChecks(node, state, namespace, isOwn(node))),
        );
      },
    },
    "/v1/health/node/:node{.+}": {
      GET: (context) => {
        const name = context.req.param("node") ?? "";
        const namespace = readableNamespaceOf(context);
        return watchable(context, registry, nodeTopic(name), () => {
          const node = catalog.node(name);
          return node === undefined ? [] : nodeChecks(node, "any", namespace, isOwn(node));
        });
      },
    },
  };
}

function nodeChecks(node: NodeState, state: string, namespace: string, own: boolean): object[] {
  const services = [...node.services.values()].filter(
    ({ definition }) => namespace === "*" || definition.namespace === namespace,
  );
  return [
    ...(own && isIn(state, "passing") ? [aliveShape(node)] : []),
    ...[...node.checks.values()]
      .filter(({ status }) => isIn(state, status))
      .map((check) => checkShape(check, node, undefined)),
    ...services.flatMap((service) => serviceChecks(service, state)),
  ];
}

function serviceChecks(service: ServiceState, state: string): object[] {
  return [...service.checks.values()]
    .filter(({ status }: CheckState) => isIn(state, status))
    .map((check) => checkShape(check, service.node, service));
}

function isIn(state: string, status: string): boolean {
  return state === "any" || state === status;
}
