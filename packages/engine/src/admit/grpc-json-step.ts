import { GrpcStatus, isGrpcContentType } from "@tulle/http";
import type { Transcoder } from "@tulle/xds/transcoding";
import type {
  AdmissionReply,
  AdmissionStep,
  DecisionView,
  EngineRequest,
  Facts,
  JsonTranslation,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import { headerValue } from "../route/header-value.js";

/** What a transcoder does with requests, besides translating them. */
export interface GrpcJsonSettings extends Pick<
  JsonTranslation,
  "maxRequestBytes" | "maxResponseBytes" | "describesErrors"
> {
  readonly transcoder: Transcoder;
  /** The route is chosen anew by the path of the gRPC method. */
  readonly reroutes: boolean;
  /** What is no call of its services is answered with 404, else it goes by. */
  readonly refusesUnknownMethods: boolean;
  /** A query with a parameter that is no field is answered with 400, else the request goes by. */
  readonly refusesUnknownParameters: boolean;
}

/** Makes gRPC of calls by HTTP with JSON; gRPC itself goes by. */
export class GrpcJsonStep implements AdmissionStep {
  readonly #settings: GrpcJsonSettings;

  constructor(settings: GrpcJsonSettings) {
    this.#settings = settings;
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan, { request }: Facts): StepAdmission | undefined {
    const contentType = headerValue(request.headers, "content-type") ?? "";
    if (isGrpcContentType(contentType) || asksForTunnel(request)) return undefined;
    const { transcoder, refusesUnknownMethods, refusesUnknownParameters } = this.#settings;
    const found = transcoder.find(request.method, request.path);
    switch (found.kind) {
      case "call":
        tell(view, plan, true, `the request becomes a gRPC call of ${found.call.path}`);
        return this.#translate(request, found.call, contentType);
      case "unknown-method":
        if (!refusesUnknownMethods) return undefined;
        tell(view, plan, true, "no method has this path: it is refused with 404");
        return refuse(404, GrpcStatus.NOT_FOUND, "no method of the service has this path");
      case "unknown-parameter": {
        const why = `the method's request has no field ${JSON.stringify(found.name)} that a query can have`;
        tell(view, plan, refusesUnknownParameters, why);
        return refusesUnknownParameters ? refuse(400, GrpcStatus.INVALID_ARGUMENT, why) : undefined;
      }
      case "invalid":
        tell(view, plan, true, `it is refused with 400: ${found.message}`);
        return refuse(400, GrpcStatus.INVALID_ARGUMENT, found.message);
    }
  }

  #translate(
    { method, path }: EngineRequest,
    call: JsonTranslation["call"],
    contentType: string,
  ): StepAdmission {
    const { maxRequestBytes, maxResponseBytes, describesErrors, reroutes } = this.#settings;
    return {
      kind: "mutate",
      method: "POST",
      path: call.path,
      request: [
        { op: "set", name: "content-type", value: "application/grpc" },
        { op: "set", name: "te", value: "trailers" },
        { op: "set", name: "x-envoy-original-method", value: method },
        { op: "set", name: "x-envoy-original-path", value: path },
      ],
      translation: { kind: "json", call, contentType, maxRequestBytes, maxResponseBytes, describesErrors },
      reroute: reroutes,
    };
  }
}

/** A WebSocket's handshake is no call, whatever its path; so that of HTTP/2, which has no `upgrade`. */
function asksForTunnel({ headers }: EngineRequest): boolean {
  return (
    headerValue(headers, "upgrade") !== undefined ||
    headerValue(headers, "sec-websocket-version") !== undefined
  );
}

function tell(
  { trace }: DecisionView,
  { provenance }: Plan | ReplyPlan,
  chosen: boolean,
  reason: string,
): void {
  const verdict = chosen ? "chosen" : "passed-over";
  trace?.add({ step: "filter", subject: "gRPC-JSON transcoder", verdict, reason, owner: provenance });
}

function refuse(status: number, grpcStatus: number, message: string): AdmissionReply {
  return {
    kind: "reply",
    status,
    body: JSON.stringify({ code: grpcStatus, message }),
    headers: ["content-type", "application/json"],
    flag: "",
    details: status === 404 ? "grpc_json_transcode_failure_unknown_method" : "grpc_json_transcode_failure",
  };
}
