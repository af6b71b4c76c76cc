import {
  ADMISSION_GROUP,
  objectKey,
  selectsLabels,
  toWire,
  type Kind,
  type MeshObject,
  type ValidatingAdmissionPolicyBindingSpec,
  type Violation,
} from "@tulle/api";

import type { CompiledPolicy } from "./compiled-policy.js";
import type { Failure } from "./evaluate-policy.js";
import { matchedVersion } from "./match.js";
import type { Compiled, PolicyEngine } from "./policy-engine.js";
import { subjectOf, type AdmissionWrite, type StoredObjects } from "./write.js";

const POLICY = "ValidatingAdmissionPolicy";
const BINDING = "ValidatingAdmissionPolicyBinding";
/** Objects that one binding gives as params at most. */
const MAX_PARAMS = 256;

type Binding = MeshObject<ValidatingAdmissionPolicyBindingSpec>;

/** Something that users' rules say of a write. */
export interface PolicyFinding extends Failure {
  readonly policy: string;
  readonly binding: string;
}

/** What becomes of a write by users' rules. */
export interface Review {
  /** With any of these it must not be stored. */
  readonly denied: readonly PolicyFinding[];
  readonly warned: readonly PolicyFinding[];
  /** For the audit log. */
  readonly audited: readonly PolicyFinding[];
}

const NOTHING: Review = { denied: [], warned: [], audited: [] };

/** Looks at writes by the policies that are stored. CEL is loaded with the first binding that there is. */
export class PolicyReviewer {
  readonly #stored: StoredObjects;
  #loading: Promise<PolicyEngine> | undefined;
  readonly #compiled = new WeakMap<MeshObject, Compiled>();

  constructor(stored: StoredObjects) {
    this.#stored = stored;
  }

  /** Everything that is wrong with a policy that is about to be written; nothing for objects of other kinds. */
  async violationsOf(object: MeshObject): Promise<readonly Violation[]> {
    const { group, kind } = objectKey(object);
    if (group !== ADMISSION_GROUP || kind !== POLICY) return [];
    const compiled = (await this.#load()).compile(object);
    return "violations" in compiled ? compiled.violations : [];
  }

  /** Rules about rules there are none: nobody can lock themselves out. */
  async review(write: AdmissionWrite): Promise<Review> {
    if (write.kind.group === ADMISSION_GROUP) return NOTHING;
    const bindings = this.#stored.objects(ADMISSION_GROUP, BINDING) as readonly Binding[];
    if (bindings.length === 0) return NOTHING;
    const engine = await this.#load();
    const policies = new Map(
      this.#stored.objects(ADMISSION_GROUP, POLICY).map((policy) => [policy.metadata.name, policy]),
    );
    const review = {
      denied: [] as PolicyFinding[],
      warned: [] as PolicyFinding[],
      audited: [] as PolicyFinding[],
    };
    engine.startWrite();
    for (const binding of bindings) {
      const policy = policies.get(binding.spec.policyName);
      if (policy === undefined) continue;
      const actions = binding.spec.validationActions;
      for (const failure of this.#judge(policy, binding, write, engine)) {
        const finding = { policy: policy.metadata.name, binding: binding.metadata.name, ...failure };
        if (actions.includes("Deny")) review.denied.push(finding);
        if (actions.includes("Warn")) review.warned.push(finding);
        if (actions.includes("Audit")) review.audited.push(finding);
      }
    }
    return review;
  }

  #judge(
    policy: MeshObject,
    binding: Binding,
    write: AdmissionWrite,
    engine: PolicyEngine,
  ): readonly Failure[] {
    const compiled = this.#compile(policy, engine);
    if ("violations" in compiled) {
      const [first] = compiled.violations;
      return [{ message: `the policy cannot be used: ${first?.path}: ${first?.message}`, reason: "Invalid" }];
    }
    const namespace = this.#namespaceOf(write);
    const labels = namespace === undefined ? undefined : (namespace.metadata.labels ?? {});
    const version = matchedVersion(compiled.spec.matchConstraints, write, labels);
    if (version === undefined) return [];
    const { matchResources, paramRef } = binding.spec;
    if (matchResources !== undefined && matchedVersion(matchResources, write, labels) === undefined)
      return [];
    const params = this.#paramsOf(compiled, paramRef, write);
    if (typeof params === "string") {
      const ignored = compiled.spec.failurePolicy === "Ignore";
      return ignored ? [] : [{ message: params, reason: "Invalid" }];
    }
    const wire = (object: MeshObject | undefined, at = version): unknown =>
      object === undefined ? null : toWire(write.kind, object, at);
    const seen = {
      object: wire(write.object),
      oldObject: wire(write.oldObject),
      request: requestOf(write, version),
      namespaceObject: namespaceWire(namespace),
    };
    return params.flatMap((one) => engine.evaluate(compiled, { ...seen, params: one }));
  }

  #compile(policy: MeshObject, engine: PolicyEngine): Compiled {
    let compiled = this.#compiled.get(policy);
    if (compiled === undefined) {
      compiled = engine.compile(policy);
      this.#compiled.set(policy, compiled);
    }
    return compiled;
  }

  /** The namespace that a write is about: of a Namespace itself. */
  #namespaceOf(write: AdmissionWrite): MeshObject | undefined {
    if (write.kind.group === "" && write.kind.kind === "Namespace") return write.object ?? write.oldObject;
    const { namespace } = subjectOf(write);
    return this.#stored.objects("", "Namespace").find(({ metadata }) => metadata.name === namespace);
  }

  /** What the expressions see as `params`, each by itself; a text says why there is nothing that they could see. */
  #paramsOf(
    { paramKind }: CompiledPolicy,
    paramRef: ValidatingAdmissionPolicyBindingSpec["paramRef"],
    write: AdmissionWrite,
  ): readonly unknown[] | string {
    if (paramRef === undefined) return [null];
    if (paramKind === undefined) return "the binding has a paramRef, but the policy has no paramKind";
    const found = this.#referred(paramKind, paramRef, subjectOf(write).namespace);
    if (typeof found === "string") return found;
    if (found.length > MAX_PARAMS) return `over ${MAX_PARAMS} objects are selected as params`;
    if (found.length > 0) return found.map((object) => toWire(paramKind, object, paramKind.storageVersion));
    return paramRef.parameterNotFoundAction === "Allow" ? [] : "there is no object that the paramRef names";
  }

  #referred(
    kind: Kind,
    { name, namespace, selector }: NonNullable<ValidatingAdmissionPolicyBindingSpec["paramRef"]>,
    own: string,
  ): readonly MeshObject[] | string {
    const where = kind.scope === "Cluster" ? "" : (namespace ?? own);
    if (kind.scope === "Cluster" && namespace !== undefined)
      return `objects of ${kind.kind} are of no namespace`;
    if (kind.scope === "Namespaced" && where === "")
      return "an object of no namespace needs the paramRef's namespace";
    return this.#stored
      .objects(kind.group, kind.kind)
      .filter(
        ({ metadata }) =>
          metadata.namespace === where &&
          (name === undefined
            ? selectsLabels(selector ?? {}, metadata.labels ?? {})
            : metadata.name === name),
      );
  }

  #load(): Promise<PolicyEngine> {
    this.#loading ??= import("./policy-engine.js").then((loaded) => new loaded.PolicyEngine());
    return this.#loading;
  }
}

/** `request`, with Kubernetes' fields. */
function requestOf(write: AdmissionWrite, version: string): unknown {
  const { kind, operation, user, dryRun } = write;
  const { name, namespace } = subjectOf(write);
  const kindAt = (at: string) => ({ group: kind.group, version: at, kind: kind.kind });
  const resourceAt = (at: string) => ({ group: kind.group, version: at, resource: kind.plural });
  return {
    kind: kindAt(version),
    resource: resourceAt(version),
    subResource: "",
    requestKind: kindAt(write.version),
    requestResource: resourceAt(write.version),
    requestSubResource: "",
    name,
    namespace,
    operation,
    userInfo: user,
    dryRun,
  };
}

/** `namespaceObject`: null for objects of no namespace. */
function namespaceWire(namespace: MeshObject | undefined): unknown {
  if (namespace === undefined) return null;
  return { apiVersion: "v1", kind: "Namespace", metadata: namespace.metadata };
}

/** What a writer is told, in Kubernetes' words. */
export function denialText({ policy, binding, message }: PolicyFinding): string {
  return `${POLICY} '${policy}' with binding '${binding}' denied request: ${message}`;
}

export function warningText({ policy, binding, message }: PolicyFinding): string {
  return `Validation failed for ${POLICY} '${policy}' with binding '${binding}': ${message}`;
}
