import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  ListenerFilterSchema,
  type ListenerFilter,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { HttpInspectorSchema } from "@tulle/xds/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { TlsInspectorSchema } from "@tulle/xds/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { durationOf, durationOfText } from "./duration.js";
import { fromMeshConfig } from "./mesh-config.js";
import { packed } from "./messages.js";
import type { Translation } from "./translation.js";

/** What Envoy's HTTP inspector finds in plaintext: Istio's match for its HTTP chains. */
export const PLAINTEXT_HTTP: readonly string[] = ["http/1.1", "h2c"];

/**
 * How long a client may say nothing before the server gets a chance to speak. A client that speaks first does so at
 * once or, when it only connects ahead, much later; what waits is the first connection to a server that speaks first.
 */
const SILENCE_MS = 50;

/** The same as a MeshConfig says it; 0s (and Envoy's): as long as it takes. Undefined: nobody says. */
export function givenSilence(t: Translation): Duration | undefined {
  const text = fromMeshConfig(t, (spec) => spec.protocolDetectionTimeout);
  return text === undefined ? undefined : durationOfText(text);
}

/** Makes a listener look at the first bytes of its connections: for TLS, and where asked for HTTP. */
export function detect(t: Translation, listener: Listener, { http }: { readonly http: boolean }): void {
  listener.listenerFilters.push(filter("tls_inspector", packed(TlsInspectorSchema)));
  if (http) listener.listenerFilters.push(filter("http_inspector", packed(HttpInspectorSchema)));
  listener.listenerFiltersTimeout = givenSilence(t) ?? durationOf(SILENCE_MS);
  listener.continueOnListenerFiltersTimeout = true;
}

function filter(name: string, value: ReturnType<typeof packed>): ListenerFilter {
  return create(ListenerFilterSchema, {
    name: `envoy.filters.listener.${name}`,
    configType: { case: "typedConfig", value },
  });
}
