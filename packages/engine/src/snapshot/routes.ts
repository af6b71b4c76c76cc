import { ROUTE_TYPE } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { compileRouteTable } from "../route/route-table.js";
import type { RouteTable } from "../route/route-table.js";
import { notingRuntimeKeys } from "../route/runtime-values.js";
import { decode } from "./any.js";
import { DEFAULT_IDLE_TIMEOUT_MS } from "./http-settings.js";
import { invalid } from "./invalid.js";
import { ResourceParts } from "./resource-parts.js";

/** A RouteConfiguration: one table per idle timeout that its listeners set, nearly always one. */
class RoutePart {
  readonly #name: string;
  readonly #bytes: Uint8Array;
  readonly #tables = new Map<number, RouteTable>();
  /** Whether a route names a runtime key. */
  usesRuntime = false;

  /** Compiles at once, for this idle timeout: what cannot be compiled must be refused when it arrives. */
  constructor(name: string, bytes: Uint8Array, idleTimeoutMs: number) {
    this.#name = name;
    this.#bytes = bytes;
    this.table(idleTimeoutMs);
  }

  table(idleTimeoutMs: number): RouteTable {
    let table = this.#tables.get(idleTimeoutMs);
    if (table === undefined) {
      const message = decode("route_configuration", RouteConfigurationSchema, this.#bytes);
      if (message.name !== this.#name) {
        throw invalid(
          "name",
          `is ${JSON.stringify(message.name)} in the resource ${JSON.stringify(this.#name)}`,
        );
      }
      const made = notingRuntimeKeys(() => compileRouteTable("", message, idleTimeoutMs));
      table = made.part;
      this.usesRuntime = made.usesRuntime;
      this.#tables.set(idleTimeoutMs, table);
    }
    return table;
  }
}

/** Route tables by name. */
export class Routes {
  readonly parts = new ResourceParts<RoutePart>(ROUTE_TYPE);
  /** The idle timeout that a listener asked for last: the one that the next table will most likely be used with. */
  #usualIdleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS;

  apply(name: string, version: string, bytes: Uint8Array): void {
    const part = this.parts.unchanged(name, bytes) ?? new RoutePart(name, bytes, this.#usualIdleTimeoutMs);
    this.parts.set(name, version, bytes, part);
  }

  /** The table, with this idle timeout for routes that set none. */
  table(name: string, idleTimeoutMs: number): RouteTable | undefined {
    this.#usualIdleTimeoutMs = idleTimeoutMs;
    return this.parts.get(name)?.table(idleTimeoutMs);
  }
}
