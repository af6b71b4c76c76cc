import { GATEWAY_CONTROLLER, type MeshObject, type ObjectKey } from "@tulle/api";
import type { Clock } from "@tulle/base";
import {
  gatewayStatus,
  routeParents,
  type GatewayCondition,
  type GatewayStatus,
  type MeshReader,
  type RouteCondition,
  type RouteParent,
} from "@tulle/translate";

import type { ConfigIndex } from "../config/index.js";

/** Who wrote the status of a route that is bound to a service. At a Gateway it is the Gateway's controller. */
export const CONTROLLER_NAME = "tulle.dev/mesh-controller";

/** Parents of which the Gateway's controller writes. */
const GATEWAY_KINDS: ReadonlySet<string> = new Set(["Gateway", "ListenerSet"]);

/** The status of a Gateway, of a ListenerSet, or of a GatewayClass, as Gateway API has it. */
export interface TimedGatewayStatus {
  readonly conditions: readonly TimedCondition[];
  readonly attachedListenerSets?: number;
  readonly listeners?: readonly (Omit<NonNullable<GatewayStatus["listeners"]>[number], "conditions"> & {
    readonly conditions: readonly TimedCondition[];
  })[];
}

/** The status of a route as Gateway API has it. */
export interface RouteStatus {
  readonly parents: readonly (Omit<RouteParent, "conditions"> & {
    readonly controllerName: string;
    readonly conditions: readonly TimedCondition[];
  })[];
}

/** A condition as Kubernetes' `metav1.Condition`. */
export interface TimedCondition extends Omit<RouteCondition, "type"> {
  readonly type: RouteCondition["type"] | GatewayCondition["type"];
  readonly observedGeneration: number;
  /** RFC 3339; since when `status` is what it is. */
  readonly lastTransitionTime: string;
}

export interface RouteStatusesOptions {
  readonly reader: MeshReader;
  readonly index: Pick<ConfigIndex, "get" | "onChange">;
  readonly clock: Clock;
}

interface Since {
  readonly status: string;
  readonly time: string;
}

/**
 * Says of routes what became of them, whenever it is asked: nothing is stored but since when each condition is what it
 * is, which holds from the first time that somebody saw it.
 */
export class RouteStatuses {
  readonly #options: RouteStatusesOptions;
  /** By uid, then by parent and type. Forgotten with the object. */
  readonly #since = new Map<string, Map<string, Since>>();
  readonly #uids = new Map<string, string>();

  constructor(options: RouteStatusesOptions) {
    this.#options = options;
    options.index.onChange(({ keys }) => {
      for (const key of keys) if (options.index.get(key) === undefined) this.#forget(key);
    });
  }

  /** Undefined for what is none of these kinds, or of another controller, or is not there (any more). */
  statusOf(key: ObjectKey): RouteStatus | TimedGatewayStatus | undefined {
    const object = this.#options.index.get(key);
    if (object === undefined) return undefined;
    return this.#routeStatus(key, object) ?? this.#gatewayStatus(key, object);
  }

  #routeStatus(key: ObjectKey, object: MeshObject): RouteStatus | undefined {
    const parents = routeParents(this.#options.reader, object);
    if (parents === undefined) return undefined;
    return {
      parents: parents.map(({ parentRef, conditions }) => ({
        parentRef,
        controllerName: GATEWAY_KINDS.has(parentRef.kind ?? "Gateway") ? GATEWAY_CONTROLLER : CONTROLLER_NAME,
        conditions: this.#timed(key, object, parentRef, conditions),
      })),
    };
  }

  #gatewayStatus(key: ObjectKey, object: MeshObject): TimedGatewayStatus | undefined {
    const status = gatewayStatus(this.#options.reader, object);
    if (status === undefined) return undefined;
    const { conditions, listeners, attachedListenerSets } = status;
    return {
      ...(attachedListenerSets !== undefined && { attachedListenerSets }),
      conditions: this.#timed(key, object, "", conditions),
      ...(listeners !== undefined && {
        listeners: listeners.map((listener) => ({
          ...listener,
          conditions: this.#timed(key, object, listener.name, listener.conditions),
        })),
      }),
    };
  }

  #timed(
    key: ObjectKey,
    object: MeshObject,
    part: unknown,
    conditions: readonly (RouteCondition | GatewayCondition)[],
  ): readonly TimedCondition[] {
    const since = this.#sinceOf(key, object);
    return conditions.map((condition) => ({
      ...condition,
      observedGeneration: object.metadata.generation,
      lastTransitionTime: this.#timeOf(since, JSON.stringify([part, condition.type]), condition.status),
    }));
  }

  #timeOf(since: Map<string, Since>, key: string, status: string): string {
    const known = since.get(key);
    if (known?.status === status) return known.time;
    const time = `${new Date(this.#options.clock.now()).toISOString().slice(0, 19)}Z`;
    since.set(key, { status, time });
    return time;
  }

  /** Parents that a route once had stay in it until the object goes; they are few. */
  #sinceOf(key: ObjectKey, { metadata }: MeshObject): Map<string, Since> {
    const name = nameOf(key);
    if (this.#uids.get(name) !== metadata.uid) this.#forget(key);
    this.#uids.set(name, metadata.uid);
    let since = this.#since.get(metadata.uid);
    if (since === undefined || since.size > MAX_CONDITIONS) {
      since = new Map();
      this.#since.set(metadata.uid, since);
    }
    return since;
  }

  #forget(key: ObjectKey): void {
    const name = nameOf(key);
    this.#since.delete(this.#uids.get(name) ?? "");
    this.#uids.delete(name);
  }
}

/** Conditions of one object whose times are kept: more than 32 parents have at once. */
const MAX_CONDITIONS = 512;

function nameOf({ group, kind, namespace, name }: ObjectKey): string {
  return `${group}/${kind}/${namespace}/${name}`;
}
