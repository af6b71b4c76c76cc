import type { Any } from "@bufbuild/protobuf/wkt";
import { ConnectionResetSchema } from "@tulle/xds/gen/tulle/fault/v1/connection_reset_pb.js";
import type { AdmissionStep, DecisionView, Plan, ReplyPlan, StepAdmission } from "../contract.js";
import { saltOf } from "../entropy.js";
import { compileShare, isIn, percentOf, type Share } from "../route/fraction.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { FilterKind } from "./filter-kind.js";

/** `tulle.connection_reset`: what Envoy's fault filter has no words for. */
export const connectionResetKind: FilterKind = {
  type: ConnectionResetSchema.typeName,
  routeType: ConnectionResetSchema.typeName,
  compile: compileReset,
  compileRoute: compileReset,
};

const NAME = "connection reset";
const FLAG = "FI";
const DETAILS = "fault_filter_reset";

function compileReset(field: string, any: Any, place: string): AdmissionStep | undefined {
  const { percentage, afterResponseBytes } = unpack(field, any, ConnectionResetSchema);
  if (percentage === undefined || percentage.numerator === 0) return undefined;
  if (afterResponseBytes !== undefined && afterResponseBytes > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalid(at(field, "after_response_bytes"), "is too large");
  const share = compileShare(at(field, "percentage"), percentage, saltOf(`${place}/reset`));
  return new ResetStep(share, afterResponseBytes === undefined ? -1 : Number(afterResponseBytes));
}

class ResetStep implements AdmissionStep {
  readonly #share: Share;
  /** -1 = before the request is sent on. */
  readonly #afterBytes: number;

  constructor(share: Share, afterBytes: number) {
    this.#share = share;
    this.#afterBytes = afterBytes;
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan): StepAdmission | undefined {
    const drawn = isIn(this.#share, view.entropy, view.snapshot.runtime);
    view.trace?.add({
      step: "filter",
      subject: NAME,
      verdict: drawn ? "chosen" : "passed-over",
      reason: drawn
        ? `the connection is reset ${this.#afterBytes < 0 ? "at once" : `after ${this.#afterBytes} bytes of the response`}`
        : `the request is not among the ${percentOf(this.#share, view.snapshot.runtime)} that meet it`,
      owner: plan.provenance,
    });
    if (!drawn) return undefined;
    if (this.#afterBytes < 0) return { kind: "reset", flag: FLAG, details: DETAILS };
    return { kind: "mutate", resetAfterBytes: this.#afterBytes };
  }
}
