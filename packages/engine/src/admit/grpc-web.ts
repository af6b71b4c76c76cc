import { grpcWebContentType, readGrpcWebContentType } from "@tulle/http";
import { GrpcWebSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import type {
  AdmissionStep,
  DecisionView,
  EngineRequest,
  Facts,
  GrpcWebTranslation,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import { headerValue } from "../route/header-value.js";
import { Chain } from "../snapshot/chain.js";
import type { HttpChain } from "../snapshot/contract.js";
import type { FilterKind } from "./filter-kind.js";

/** `envoy.filters.http.grpc_web`: what browsers send becomes gRPC. It has no settings. */
export const grpcWebKind: FilterKind = {
  type: GrpcWebSchema.typeName,
  routeType: GrpcWebSchema.typeName,
  compile: () => STEP,
  compileRoute: () => STEP,
};

/** How a request is translated by the chain's own filter; for who has no route to ask. Undefined = it is not. */
export function grpcWebTranslation(chain: HttpChain, request: EngineRequest): GrpcWebTranslation | undefined {
  if (!(chain instanceof Chain)) return undefined;
  const has = chain.filters.some(({ own, disabled }) => own === STEP && !disabled);
  return has ? translationOf(request)?.translation : undefined;
}

/** Makes gRPC of gRPC-Web's calls, and lets everything else pass, preflights of browsers too. */
class GrpcWebStep implements AdmissionStep {
  admit(view: DecisionView, plan: Plan | ReplyPlan, { request }: Facts): StepAdmission | undefined {
    const found = translationOf(request);
    if (found === undefined) return undefined;
    view.trace?.add({
      step: "filter",
      subject: "gRPC-Web",
      verdict: "chosen",
      reason: `the call goes on as gRPC, its answer comes back as ${found.translation.responseType}`,
      owner: plan.provenance,
    });
    return {
      kind: "mutate",
      request: [
        { op: "set", name: "content-type", value: `application/grpc${found.format}` },
        { op: "set", name: "te", value: "trailers" },
      ],
      translation: found.translation,
    };
  }
}

const STEP = new GrpcWebStep();

function translationOf({
  method,
  headers,
}: EngineRequest): { readonly translation: GrpcWebTranslation; readonly format: string } | undefined {
  if (method !== "POST") return undefined;
  const sent = readGrpcWebContentType(headerValue(headers, "content-type") ?? "");
  if (sent === undefined) return undefined;
  const wanted = readGrpcWebContentType(headerValue(headers, "accept") ?? "");
  const responseText = (wanted ?? sent).text;
  const { format } = sent;
  const responseType = grpcWebContentType({ text: responseText, format });
  return {
    translation: { kind: "grpc-web", requestText: sent.text, responseText, responseType },
    format,
  };
}
