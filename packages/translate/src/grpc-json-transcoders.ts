import { create } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { AppProtocol, ConfigMapParts, GrpcJsonTranscoderSpec, MeshObject } from "@tulle/api";
import type { VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  GrpcJsonTranscoder_UrlUnescapeSpec as UrlUnescape,
  GrpcJsonTranscoderSchema,
  type GrpcJsonTranscoder,
} from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import {
  HttpFilterSchema,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { transcoderProblem } from "@tulle/xds/transcoding";
import { CONFIG_MAP, GRPC_JSON_TRANSCODER } from "./kinds.js";
import { packed } from "./messages.js";
import { holdsFor, type Guarded } from "./policy-scope.js";
import type { Translation } from "./translation.js";
import { byAge } from "./visibility.js";

type Transcoder = MeshObject<GrpcJsonTranscoderSpec>;

/** A port whose requests may be translated. `protocol`: what its application speaks; undefined = that differs. */
export interface TranscodedPort {
  readonly guarded: Guarded;
  readonly protocol: AppProtocol | undefined;
}

/** The filters that make gRPC of JSON for a port, the oldest object's first. */
export function transcoderFilters(t: Translation, port: TranscodedPort): HttpFilter[] {
  return transcodersOf(t, port).map(({ name, config }) => filterOf(name, config, false));
}

/**
 * The same in a chain that takes requests for several ports, told apart by virtual host: the filters do nothing but where a
 * host says so.
 */
export function transcoderFiltersByHost(
  t: Translation,
  hosts: readonly (TranscodedPort & { readonly host: VirtualHost })[],
): HttpFilter[] {
  const filters = new Map<string, HttpFilter>();
  for (const { host, ...port } of hosts)
    for (const { name, config } of transcodersOf(t, port)) {
      host.typedPerFilterConfig[name] = packed(GrpcJsonTranscoderSchema, config);
      filters.set(name, filterOf(name, create(GrpcJsonTranscoderSchema), true));
    }
  return [...filters.values()];
}

function filterOf(name: string, config: GrpcJsonTranscoder, disabled: boolean): HttpFilter {
  const value = packed(GrpcJsonTranscoderSchema, config);
  return create(HttpFilterSchema, { name, disabled, configType: { case: "typedConfig", value } });
}

function transcodersOf(
  t: Translation,
  { guarded, protocol }: TranscodedPort,
): readonly { readonly name: string; readonly config: GrpcJsonTranscoder }[] {
  return [...t.objects<GrpcJsonTranscoderSpec>(GRPC_JSON_TRANSCODER)]
    .filter((object) => holdsFor(t, object, guarded))
    .sort(byAge)
    .flatMap((object) => {
      t.own(object);
      const { namespace, name } = object.metadata;
      const where = `GrpcJsonTranscoder ${namespace}/${name}`;
      if (protocol === "http") {
        t.warn(
          `${where}: port ${guarded.port} is declared as http, which cannot carry gRPC: nothing is translated there; declare it as grpc`,
        );
        return [];
      }
      const descriptors = describedBy(object, t.objects(CONFIG_MAP));
      if ("problem" in descriptors) {
        t.warnOf("TUL0001", `${where}: ${descriptors.problem}; nothing is translated`);
        return [];
      }
      return [
        { name: `tulle.transcoder.${namespace}.${name}`, config: configOf(object.spec, descriptors.bytes) },
      ];
    });
}

/** The descriptor set of an object, or why it cannot be used. */
export type Described = { readonly bytes: Uint8Array } | { readonly problem: string };

interface Known {
  /** Where the descriptors come from: objects are replaced, never altered. */
  readonly source: object;
  readonly described: Described;
}

/** Reading descriptors costs; every client's translation asks for the same ones. */
const known = new WeakMap<GrpcJsonTranscoderSpec, Known>();

/** Reads and checks the descriptor set of an object. */
export function describedBy({ spec, metadata }: Transcoder, configMaps: readonly MeshObject[]): Described {
  const { inline, configMap } = spec.descriptors;
  const found = configMaps.find(
    (each) => each.metadata.namespace === metadata.namespace && each.metadata.name === configMap?.name,
  );
  const source = configMap === undefined ? spec : found;
  if (source === undefined)
    return { problem: `there is no ConfigMap ${metadata.namespace}/${configMap?.name}` };
  const before = known.get(spec);
  if (before?.source === source) return before.described;
  const binaryData = (found?.extra as ConfigMapParts | undefined)?.binaryData ?? {};
  const key = configMap?.key ?? "";
  const text =
    configMap === undefined ? inline : Object.hasOwn(binaryData, key) ? binaryData[key] : undefined;
  const described =
    text === undefined ? { problem: noKey(metadata.namespace, configMap) } : check(spec, text);
  known.set(spec, { source, described });
  return described;
}

function noKey(namespace: string, configMap: GrpcJsonTranscoderSpec["descriptors"]["configMap"]): string {
  return `ConfigMap ${namespace}/${configMap?.name} has no ${configMap?.key} in its binaryData`;
}

function check(spec: GrpcJsonTranscoderSpec, text: string): Described {
  const descriptorSet = base64Decode(text);
  const { services, autoMapping = false } = spec;
  const problem = transcoderProblem({ descriptorSet, services, autoMapping });
  return problem === undefined ? { bytes: descriptorSet } : { problem: `spec.descriptors: ${problem}` };
}

function configOf(spec: GrpcJsonTranscoderSpec, bytes: Uint8Array): GrpcJsonTranscoder {
  const { requestValidationOptions: validation } = spec;
  return create(GrpcJsonTranscoderSchema, {
    descriptorSet: { case: "protoDescriptorBin", value: bytes },
    services: [...spec.services],
    autoMapping: spec.autoMapping ?? false,
    ignoredQueryParameters: [...(spec.ignoredQueryParameters ?? [])],
    ignoreUnknownQueryParameters: spec.ignoreUnknownQueryParameters ?? false,
    queryParamUnescapePlus: spec.queryParamUnescapePlus ?? false,
    urlUnescapeSpec: UrlUnescape[spec.urlUnescapeSpec ?? "ALL_CHARACTERS_EXCEPT_RESERVED"],
    matchUnregisteredCustomVerb: spec.matchUnregisteredCustomVerb ?? false,
    ...(spec.printOptions !== undefined && { printOptions: { ...spec.printOptions } }),
    requestValidationOptions: {
      rejectUnknownMethod: validation?.rejectUnknownMethod ?? false,
      rejectUnknownQueryParameters: validation?.rejectUnknownQueryParameters ?? false,
      // What a path says is what routes and limits have seen.
      rejectBindingBodyFieldCollisions: validation?.rejectBindingBodyFieldCollisions ?? true,
    },
    convertGrpcStatus: true,
    // Routes are written by the paths that clients know.
    matchIncomingRequestRoute: true,
    ...(spec.maxRequestBodySize !== undefined && { maxRequestBodySize: spec.maxRequestBodySize }),
    ...(spec.maxResponseBodySize !== undefined && { maxResponseBodySize: spec.maxResponseBodySize }),
  });
}
