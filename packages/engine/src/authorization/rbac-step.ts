import type { JsonObject } from "@bufbuild/protobuf";
import { GrpcStatus } from "@tulle/http";
import { textReply } from "../admit/text-reply.js";
import type {
  AdmissionMutation,
  AdmissionReply,
  AdmissionStep,
  DecisionView,
  Facts,
  Judgement,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import type { CompiledPolicy, Rbac } from "./rbac.js";
import { tellJudgement } from "./tell-judgement.js";

const NAMESPACE = "envoy.filters.http.rbac";
/** Istio's, of rules that say whether an authorization service is asked. */
const ASKING_PREFIX = "istio_ext_authz_";
const FORBIDDEN = 403;

/** What a filter is told to do. */
export interface RbacSettings {
  /** Undefined: it refuses nothing. */
  readonly rules: Rbac | undefined;
  /** Is only told about: a dry run, or what says whether somebody outside is asked. */
  readonly shadow: Rbac | undefined;
  /** Of the shadow's findings in the metadata: `istio_dry_run_allow_`. */
  readonly shadowPrefix: string;
}

/** Lets requests through by who makes them and what they ask for. Everything it can say is made beforehand. */
export class RbacStep implements AdmissionStep {
  readonly #settings: RbacSettings;
  readonly #refusals = new Map<CompiledPolicy | undefined, AdmissionReply>();
  readonly #findings = new Map<CompiledPolicy | undefined, AdmissionMutation>();
  readonly #notes = new Map<CompiledPolicy | undefined, AdmissionMutation>();

  constructor(settings: RbacSettings) {
    this.#settings = settings;
    const { rules, shadow } = settings;
    for (const policy of [undefined, ...(shadow?.policies ?? [])])
      this.#findings.set(policy, finding(settings, policy));
    for (const policy of [undefined, ...(rules?.policies ?? [])]) {
      this.#refusals.set(policy, refusal(policy));
      this.#notes.set(policy, note(policy));
    }
  }

  admit(view: DecisionView, _plan: Plan | ReplyPlan, facts: Facts): StepAdmission | undefined {
    const { rules, shadow } = this.#settings;
    const found = shadow === undefined ? undefined : this.#look(view, shadow, facts);
    if (rules === undefined) return found;
    const policy = rules.find(facts);
    if (view.trace !== undefined) tellJudgement(view.trace, rules, policy, facts, false);
    if (rules.action === "LOG") return policy === undefined ? found : this.#notes.get(policy);
    if (rules.allows(policy)) return found;
    const refused = this.#refusals.get(policy);
    return found === undefined || refused === undefined
      ? refused
      : { ...refused, judged: [...judgedOf(found), ...judgedOf(refused)] };
  }

  #look(view: DecisionView, shadow: Rbac, facts: Facts): AdmissionMutation | undefined {
    const policy = shadow.find(facts);
    if (view.trace !== undefined) tellJudgement(view.trace, shadow, policy, facts, true);
    return this.#findings.get(policy);
  }
}

function judgedOf({ judged }: { readonly judged?: readonly Judgement[] | undefined }): readonly Judgement[] {
  return judged ?? [];
}

function refusal(policy: CompiledPolicy | undefined): AdmissionReply {
  const name = policy?.name ?? "";
  return textReply({
    status: FORBIDDEN,
    body: "RBAC: access denied",
    flag: "",
    details: refusalDetails(policy),
    grpcStatus: GrpcStatus.PERMISSION_DENIED,
    judged: [{ kind: "enforced", allowed: false, policy: name }],
  });
}

/** Envoy's words for why it was refused, in a log's field: without spaces. */
export function refusalDetails(policy: CompiledPolicy | undefined): string {
  return `rbac_access_denied_matched_policy[${(policy?.name ?? "none").replaceAll(/\s/g, "_")}]`;
}

/** Whether a shadow's findings only say whether somebody is asked: it judges nobody. */
export function isAsking(shadowPrefix: string): boolean {
  return shadowPrefix.startsWith(ASKING_PREFIX);
}

/** What a shadow has found, as Envoy writes it into the metadata. */
export function shadowFinding(
  shadowPrefix: string,
  allowed: boolean,
  policy: CompiledPolicy | undefined,
): JsonObject {
  return {
    [`${shadowPrefix}shadow_engine_result`]: allowed ? "allowed" : "denied",
    ...(policy !== undefined && { [`${shadowPrefix}shadow_effective_policy_id`]: policy.name }),
  };
}

function finding(
  { shadow, shadowPrefix }: RbacSettings,
  policy: CompiledPolicy | undefined,
): AdmissionMutation {
  const allowed = shadow?.allows(policy) ?? true;
  const metadata = { namespace: NAMESPACE, value: shadowFinding(shadowPrefix, allowed, policy) };
  if (isAsking(shadowPrefix)) return { kind: "mutate", metadata };
  return {
    kind: "mutate",
    metadata,
    judged: [{ kind: "shadow", allowed, policy: policy?.name ?? "" }],
  };
}

function note(policy: CompiledPolicy | undefined): AdmissionMutation {
  return { kind: "mutate", judged: [{ kind: "audit", allowed: true, policy: policy?.name ?? "" }] };
}
