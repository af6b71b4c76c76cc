import type { AdmissionReply } from "../contract.js";

/** A filter's answer in plain text. */
export function textReply(reply: Omit<AdmissionReply, "kind" | "headers">): AdmissionReply {
  return { kind: "reply", headers: ["content-type", "text/plain"], ...reply };
}
