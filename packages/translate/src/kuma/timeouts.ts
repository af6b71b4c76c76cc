import { parseDuration } from "@tulle/base";
import { create } from "@bufbuild/protobuf";
import type { MeshTimeout } from "@tulle/api";
import {
  RouteAction_MaxStreamDurationSchema,
  type Route,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { EffectivePolicy } from "../destination-rules.js";
import { durationOf } from "../duration.js";
import type { Translation } from "../translation.js";
import { confFor } from "./call-conf.js";
import { MESH_TIMEOUT } from "./kinds.js";
import type { Called } from "./policies.js";

/** Times of connections by MeshTimeouts. */
export function connectionTimes({
  connectionTimeout,
  idleTimeout,
  http,
}: MeshTimeout): Pick<EffectivePolicy, "connectionPool"> {
  const lifetime = http?.maxConnectionDuration;
  const tcp = {
    ...(connectionTimeout !== undefined && { connectTimeout: connectionTimeout }),
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(lifetime !== undefined && isSome(lifetime) && { maxConnectionDuration: lifetime }),
  };
  if (Object.keys(tcp).length === 0) return {};
  return { connectionPool: { tcp, ...(idleTimeout !== undefined && { http: { idleTimeout } }) } };
}

/** Gives routes the times of MeshTimeouts for calls to a port, where the routes do not say any. */
export function applyRequestTimes(t: Translation, routes: readonly Route[], called: Called): void {
  const { requestTimeout, streamIdleTimeout, maxStreamDuration } =
    confFor<MeshTimeout>(t, MESH_TIMEOUT, called).http ?? {};
  for (const { action } of routes) {
    if (action.case !== "route") continue;
    const { value } = action;
    if (requestTimeout !== undefined && !isTimed(value.timeout))
      value.timeout = durationOf(msOf(requestTimeout));
    if (streamIdleTimeout !== undefined) value.idleTimeout ??= durationOf(msOf(streamIdleTimeout));
    if (maxStreamDuration !== undefined && isSome(maxStreamDuration))
      value.maxStreamDuration ??= create(RouteAction_MaxStreamDurationSchema, {
        maxStreamDuration: durationOf(msOf(maxStreamDuration)),
      });
  }
}

function isTimed(timeout: { readonly seconds: bigint; readonly nanos: number } | undefined): boolean {
  return timeout !== undefined && (timeout.seconds > 0n || timeout.nanos > 0);
}

function isSome(duration: string): boolean {
  return msOf(duration) > 0;
}

function msOf(duration: string): number {
  return parseDuration(duration) ?? 0;
}
