/** Envoy's response flags in words, each as the rest of a sentence about the proxy that set it. */
const WORDS: Readonly<Record<string, string>> = {
  UH: "the service has no healthy instance",
  UF: "it could not connect to the instance",
  UO: "a limit was reached (circuit breaker, or requests that wait)",
  NR: "no route takes this request",
  URX: "all retries were used up",
  NC: "the configuration of the service was not there",
  UT: "no answer came within the timeout",
  UC: "the instance closed the connection before it had answered",
  UR: "the instance reset the request",
  LR: "the request was reset on this side",
  DC: "the client went away before it was answered",
  LH: "the instance failed its health check",
  DI: "the request was delayed on purpose (fault injection)",
  FI: "the request was made to fail on purpose (fault injection)",
  RL: "the rate limit was reached",
  RLSE: "the rate limit service did not answer",
  UAEX: "authorization denied it",
  IH: "a header field has a value that is not allowed",
  SI: "nothing moved for longer than the idle timeout",
  DPE: "the client broke the protocol",
  UPE: "the instance broke the protocol",
  UMSDR: "the call took longer than a stream may last",
  DT: "the connection lasted longer than it may",
  OM: "the proxy was short of memory",
  NFCF: "a filter has no configuration",
  DF: "the name of the instance could not be resolved",
};

/** `UF: it could not connect to the instance` for each flag of a record. */
export function flagsInWords(flags: string): readonly string[] {
  return flags
    .split(",")
    .filter((flag) => flag !== "" && flag !== "-")
    .map(
      (flag) =>
        `${flag}: ${Object.hasOwn(WORDS, flag) ? WORDS[flag]! : "see Envoy's list of response flags"}`,
    );
}
