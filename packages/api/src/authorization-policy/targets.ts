import { isDnsSubdomain } from "../schema/namespaces.js";
import { stringThat, text } from "../schema/strings.js";
import { atMostOne, struct, type Rule } from "../schema/struct.js";

const KINDS: Readonly<Record<string, string>> = {
  Service: "",
  ServiceEntry: "networking.istio.io",
  Gateway: "gateway.networking.k8s.io",
  GatewayClass: "gateway.networking.k8s.io",
};

const knownKind: Rule = (fields, report) => {
  const { group = "", kind } = fields;
  if (typeof kind !== "string" || typeof group !== "string") return;
  const wanted = Object.hasOwn(KINDS, kind) ? KINDS[kind]! : undefined;
  if (wanted === undefined) {
    report(["kind"], `must be one of ${Object.keys(KINDS).join(", ")}`);
  } else if (group !== wanted && !(wanted === "" && group === "core")) {
    report(["group"], `must be ${JSON.stringify(wanted)} for kind ${kind}`);
  }
};

const ownNamespace: Rule = (fields, report) => {
  if (typeof fields["namespace"] === "string" && fields["namespace"] !== "")
    report(["namespace"], "must not be set: what a policy is attached to is in the policy's own namespace");
};

/** Istio's `targetRef` of policies. */
export const targetReference = struct(
  {
    group: text.exactOptional(),
    kind: text,
    name: stringThat(isDnsSubdomain, "an object's name"),
    namespace: text.exactOptional(),
  },
  knownKind,
  ownNamespace,
);

/** A policy holds for selected workloads or for what it is attached to, not both. */
export const targetRule: Rule = atMostOne("selector", "targetRef", "targetRefs");
