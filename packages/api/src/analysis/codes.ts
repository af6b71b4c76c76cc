/** How much a finding matters: `Error` = something does not work as written. */
export type FindingLevel = "Info" | "Warning" | "Error";

/** In order of weight. */
export const FINDING_LEVELS: readonly FindingLevel[] = ["Info", "Warning", "Error"];

/** One thing that analysis can find. Codes, names and levels `IST…` are Istio's, with Istio's meaning. */
export interface AnalysisCode {
  readonly name: string;
  readonly level: FindingLevel;
  /** What to do about it, in one sentence. */
  readonly remedy: string;
}

const TABLE = {
  IST0002: {
    name: "Deprecated",
    level: "Warning",
    remedy: "Write the successor that the message names.",
  },
  IST0101: {
    name: "ReferencedResourceNotFound",
    level: "Error",
    remedy: "Create what is referred to, or correct the reference.",
  },
  IST0106: {
    name: "SchemaValidationError",
    level: "Error",
    remedy: "Correct the field: the control plane refuses the object as it is.",
  },
  IST0107: {
    name: "MisplacedAnnotation",
    level: "Warning",
    remedy: "Move the annotation to an object of the kind that it is for.",
  },
  IST0108: {
    name: "UnknownAnnotation",
    level: "Warning",
    remedy: "Correct its spelling, or take it away: nothing reads it.",
  },
  IST0109: {
    name: "ConflictingMeshGatewayVirtualServiceHosts",
    level: "Error",
    remedy: "Merge the objects into one, delegate from one to the others, or narrow their exportTo.",
  },
  IST0110: {
    name: "ConflictingSidecarWorkloadSelectors",
    level: "Error",
    remedy: "Give the objects selectors that no workload matches together, or merge them.",
  },
  IST0111: {
    name: "MultipleSidecarsWithoutWorkloadSelectors",
    level: "Error",
    remedy: "Keep one object without a workloadSelector in the namespace.",
  },
  IST0112: {
    name: "VirtualServiceDestinationPortSelectorRequired",
    level: "Error",
    remedy: "Name the port: destination.port.number.",
  },
  IST0118: {
    name: "PortNameIsNotUnderNamingConvention",
    level: "Info",
    remedy: 'Set the port\'s protocol, or begin its name with one: "http-web".',
  },
  IST0122: {
    name: "InvalidRegexp",
    level: "Warning",
    remedy: "Write the expression in RE2's syntax: no look-around, no back-references.",
  },
  IST0127: {
    name: "NoMatchingWorkloadsFound",
    level: "Warning",
    remedy: "Correct the selector's labels, or the labels that the workloads are registered with.",
  },
  IST0128: {
    name: "NoServerCertificateVerificationDestinationLevel",
    level: "Warning",
    remedy: "Set tls.caCertificates or tls.credentialName, so that the server's certificate is verified.",
  },
  IST0129: {
    name: "NoServerCertificateVerificationPortLevel",
    level: "Warning",
    remedy: "Set tls.caCertificates or tls.credentialName, so that the server's certificate is verified.",
  },
  IST0130: {
    name: "VirtualServiceUnreachableRule",
    level: "Warning",
    remedy: "Move the rule before the one that takes its requests, or remove it.",
  },
  IST0131: {
    name: "VirtualServiceIneffectiveMatch",
    level: "Info",
    remedy: "Remove the match, or move its rule before the one that takes its requests.",
  },
  IST0132: {
    name: "VirtualServiceHostNotFoundInGateway",
    level: "Warning",
    remedy: "Add the host to a server of the Gateway, or take it out of the VirtualService.",
  },
  IST0133: {
    name: "SchemaWarning",
    level: "Warning",
    remedy: "Write what is meant in full.",
  },
  IST0134: {
    name: "ServiceEntryAddressesRequired",
    level: "Warning",
    remedy: "Set addresses, or a resolution with which the hosts get virtual IPs (STATIC or DNS).",
  },
  IST0145: {
    name: "ConflictingGateways",
    level: "Error",
    remedy: "Give the host to one of the Gateways, or select other gateways with one of them.",
  },
  IST0173: {
    name: "DestinationRuleSubsetNotSelectPods",
    level: "Error",
    remedy: "Correct the subset's labels, or start instances that have them.",
  },
  IST0174: {
    name: "UnknownDestinationRuleHost",
    level: "Warning",
    remedy: "Register the service, write a ServiceEntry for it, or correct the host.",
  },
  IST0177: {
    name: "ServiceEntryProtocolConflict",
    level: "Warning",
    remedy: "Give the port the same protocol in both objects.",
  },
  TUL0001: {
    name: "NotCarriedOut",
    level: "Warning",
    remedy: "Do not rely on it: Tulle accepts the setting and does without it.",
  },
  TUL0002: {
    name: "SubsetByVersionLabel",
    level: "Info",
    remedy: "Declare the subset in a DestinationRule: other meshes need it.",
  },
  TUL0003: {
    name: "ShadowedDestinationRuleSettings",
    level: "Warning",
    remedy: "Merge the objects: of two for one host the older one's settings hold.",
  },
  TUL0004: {
    name: "ShadowedServiceEntryHost",
    level: "Warning",
    remedy: "Remove the host from one of the two: only one of them is ever used.",
  },
  TUL0005: {
    name: "UnusableDelegate",
    level: "Error",
    remedy:
      "A delegate has no hosts, no gateways and no delegate of its own: change it, or route to it directly.",
  },
  TUL0006: {
    name: "ConflictingPolicyScopes",
    level: "Error",
    remedy: "Keep one object for the scope: of two the older one holds.",
  },
  TUL0007: {
    name: "UnknownKind",
    level: "Info",
    remedy: "Nothing, where another program reads the object; Tulle leaves it out.",
  },
  TUL0008: {
    name: "DeniedByPolicy",
    level: "Error",
    remedy: "Change the object: a ValidatingAdmissionPolicy of yours refuses it.",
  },
  TUL0009: {
    name: "WarnedOfByPolicy",
    level: "Warning",
    remedy: "Change the object, or the ValidatingAdmissionPolicy of yours that warns of it.",
  },
  TUL0010: {
    name: "BrokenDiscoveryChain",
    level: "Error",
    remedy:
      "Correct the entry that is named, so that every subset is declared and no redirect or split leads back.",
  },
} as const satisfies Record<string, AnalysisCode>;

/** The code of a finding. */
export type FindingCode = keyof typeof TABLE;

/** Every code with its name, level and remedy. */
export const ANALYSIS_CODES: Readonly<Record<FindingCode, AnalysisCode>> = TABLE;
