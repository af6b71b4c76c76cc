/** What a condition's values are about. */
export type ConditionKind =
  | "header"
  | "source-ip"
  | "remote-ip"
  | "source-namespace"
  | "source-principal"
  | "source-service-account"
  | "source-trust-domain"
  | "request-principal"
  | "request-audiences"
  | "request-presenter"
  | "request-claim"
  | "destination-ip"
  | "destination-port"
  | "sni";

/** A condition's key, read. */
export interface ConditionKey {
  readonly kind: ConditionKind;
  /** The header's name, or the claim's path: `request.auth.claims[a][b]` has two parts. Empty for other kinds. */
  readonly path: readonly string[];
  /** TCP connections have nothing of it. */
  readonly httpOnly: boolean;
}

const PLAIN: Readonly<Record<string, ConditionKind>> = {
  "source.ip": "source-ip",
  "remote.ip": "remote-ip",
  "source.namespace": "source-namespace",
  "source.principal": "source-principal",
  "source.serviceAccount": "source-service-account",
  "source.trustDomain": "source-trust-domain",
  "request.auth.principal": "request-principal",
  "request.auth.audiences": "request-audiences",
  "request.auth.presenter": "request-presenter",
  "destination.ip": "destination-ip",
  "destination.port": "destination-port",
  "connection.sni": "sni",
};

/** Every key, for messages. */
export const CONDITION_KEYS: readonly string[] = [
  "request.headers[NAME]",
  "request.auth.claims[NAME]",
  ...Object.keys(PLAIN),
];

const MAX_PARTS = 8;
const BRACKETS = /^(request\.headers|request\.auth\.claims)((?:\[[^[\]]{1,256}\])+)$/;

/** Reads a key; undefined when there is no such key. */
export function conditionKey(key: string): ConditionKey | undefined {
  if (Object.hasOwn(PLAIN, key)) {
    const kind = PLAIN[key]!;
    return { kind, path: [], httpOnly: kind.startsWith("request-") };
  }
  const match = key.length > 4096 ? null : BRACKETS.exec(key);
  if (match === null) return undefined;
  const path = match[2]!.slice(1, -1).split("][");
  if (match[1] === "request.auth.claims") {
    return path.length > MAX_PARTS ? undefined : { kind: "request-claim", path, httpOnly: true };
  }
  return path.length === 1 ? { kind: "header", path: [path[0]!.toLowerCase()], httpOnly: true } : undefined;
}
