import {
  createLoadTable,
  createSnapshotSource,
  route,
  type EngineRequest,
  type HttpChain,
  type Routed,
} from "@tulle/engine";
import { LISTENER_TYPE, ROUTE_TYPE, type EncodedResource } from "@tulle/xds";
import type { ClientView } from "../src/contract.js";
import { translate } from "../src/translate.js";
import { listener, targetsOf, type TestMesh } from "./mesh.js";

/** A client of one authority, as far as the engine decides for it. */
export interface Client {
  decide(request?: Partial<EngineRequest>, entropy?: number): Decision;
}

/** What becomes of a request. */
export interface Decision {
  /** `<host>:<port>` that it goes to; undefined when it is answered at once. */
  readonly backend?: string;
  /** Of the backend; undefined: the whole service. */
  readonly subset?: string;
  /** Of an answer; 404 where no route matches. */
  readonly status?: number;
  readonly location?: string;
  /** As they are sent on. */
  readonly path?: string;
  readonly authority?: string;
  /** `set a=b`, `append a=b`, `remove a` */
  readonly requestHeaders?: readonly string[];
  readonly responseHeaders?: readonly string[];
  readonly route?: string;
}

/** A client of `authority`, its listener and routes given to the engine. Clusters are known by name only. */
export function clientOf(at: TestMesh, view: ClientView, authority: string): Client {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const rejections = source.apply(resourcesOf(at, view, authority));
  if (rejections.length > 0) throw new Error(JSON.stringify(rejections));
  const chain = source.current.outbound(authority) as HttpChain;
  return {
    decide(init = {}, entropy = 0) {
      const request: EngineRequest = {
        method: "GET",
        path: "/",
        authority,
        scheme: "http",
        headers: [],
        ...init,
      };
      const view = { snapshot: source.current, load, now: 0, entropy };
      return decisionOf(route(view, chain, request), request);
    },
  };
}

function resourcesOf(at: TestMesh, view: ClientView, authority: string): EncodedResource[] {
  const resources: EncodedResource[] = [];
  const ask = (typeUrl: string, name: string): void => {
    const { resource } = translate(at.reader, view, typeUrl, name);
    if (resource !== undefined) resources.push(resource);
  };
  ask(LISTENER_TYPE, authority);
  for (const name of targetsOf(listener(at, view, authority)).routes) ask(ROUTE_TYPE, name);
  return resources;
}

function decisionOf(routed: Routed, request: EngineRequest): Decision {
  switch (routed.kind) {
    case "no-route":
      return { status: 404 };
    case "reply": {
      const { status, routeName } = routed;
      const location = routed.headers(request)[1];
      return { status, route: routeName, ...(location !== undefined && { location }) };
    }
    case "forward": {
      const [, port, subset = "", host] = routed.cluster.name.split("|");
      const path = routed.rewritePath?.(request.path);
      return {
        backend: `${host?.replace(".svc.cluster.local", "")}:${port}`,
        ...(subset !== "" && { subset }),
        route: routed.routeName,
        ...(path !== undefined && { path }),
        ...(routed.rewriteAuthority !== undefined && { authority: routed.rewriteAuthority }),
        requestHeaders: routed.requestHeaders.map(textOf),
        responseHeaders: routed.responseHeaders.map(textOf),
      };
    }
    default:
      throw new Error(`the engine decided ${JSON.stringify(routed)}`);
  }
}

function textOf(mutation: { readonly op: string; readonly name: string; readonly value?: string }): string {
  return `${mutation.op} ${mutation.name}${mutation.value === undefined ? "" : `=${mutation.value}`}`;
}
