import type {
  Destination,
  HttpMatchRequest,
  HttpRoute,
  L4MatchAttributes,
  StringMatch,
  TlsMatchAttributes,
} from "@tulle/api";

/** The conditions of a match in words; "" when it has none. */
export function matchText(match: HttpMatchRequest): string {
  const parts: string[] = [];
  const add = (what: string, value: StringMatch | undefined): void => {
    if (value !== undefined) parts.push(`${what} ${valueText(value)}`);
  };
  add(match.ignoreUriCase === true ? "path (in any case)" : "path", match.uri);
  add("method", match.method);
  add("scheme", match.scheme);
  add("host", match.authority);
  for (const [name, value] of Object.entries(match.headers ?? {})) add(`header ${name}`, value);
  for (const [name, value] of Object.entries(match.withoutHeaders ?? {})) add(`not: header ${name}`, value);
  for (const [name, value] of Object.entries(match.queryParams ?? {})) add(`query parameter ${name}`, value);
  return [...parts, ...sourceText(match)].join(" and ");
}

/** The same for connections. */
export function connectionMatchText(match: L4MatchAttributes & Partial<TlsMatchAttributes>): string {
  const parts = [
    ...(match.sniHosts === undefined ? [] : [`server name ${match.sniHosts.join(" or ")}`]),
    ...(match.destinationSubnets === undefined
      ? []
      : [`destination in ${match.destinationSubnets.join(" or ")}`]),
  ];
  return [...parts, ...sourceText(match)].join(" and ");
}

function sourceText(
  match: Pick<L4MatchAttributes, "port" | "sourceLabels" | "sourceNamespace" | "gateways">,
): string[] {
  const labels = Object.entries(match.sourceLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  return [
    ...(match.port === undefined ? [] : [`port ${match.port}`]),
    ...(labels.length === 0 ? [] : [`from workloads labelled ${labels.join(", ")}`]),
    ...(match.sourceNamespace === undefined ? [] : [`from the namespace ${match.sourceNamespace}`]),
    ...(match.gateways === undefined ? [] : [`through ${match.gateways.join(" or ")}`]),
  ];
}

function valueText(match: StringMatch): string {
  if (match.exact !== undefined) return `is ${JSON.stringify(match.exact)}`;
  if (match.prefix !== undefined) return `begins with ${JSON.stringify(match.prefix)}`;
  return match.regex === undefined ? "is present" : `matches ${JSON.stringify(match.regex)}`;
}

/** What a rule does, each thing in a phrase. */
export function actionTexts(rule: HttpRoute): readonly string[] {
  const texts: string[] = [];
  const { redirect, directResponse, rewrite, timeout, retries, fault, corsPolicy, headers } = rule;
  if (redirect !== undefined)
    texts.push(`redirect (${redirect.redirectCode ?? 301}) to ${redirectText(redirect)}`);
  if (directResponse !== undefined) texts.push(`answer with ${directResponse.status}`);
  texts.push(...destinationTexts(rule.route));
  if (rewrite?.uri !== undefined) texts.push(`rewrite the path to ${rewrite.uri}`);
  if (rewrite?.uriRegexRewrite !== undefined)
    texts.push(`rewrite the path by ${rewrite.uriRegexRewrite.match}`);
  if (rewrite?.authority !== undefined) texts.push(`rewrite the host to ${rewrite.authority}`);
  if (timeout !== undefined) texts.push(timeout === "0s" ? "no timeout" : `timeout ${timeout}`);
  if (retries !== undefined) {
    const { attempts = 2, perTryTimeout, retryOn } = retries;
    const per = perTryTimeout === undefined ? "" : `, ${perTryTimeout} each`;
    texts.push(
      attempts === 0
        ? "no retries"
        : `up to ${attempts} retries${per}${retryOn === undefined ? "" : ` on ${retryOn}`}`,
    );
  }
  if (fault?.delay !== undefined)
    texts.push(`delay ${share(fault.delay.percentage)} by ${fault.delay.fixedDelay}`);
  if (fault?.abort !== undefined) {
    const { httpStatus, grpcStatus, percentage } = fault.abort;
    texts.push(`fail ${share(percentage)} with ${httpStatus ?? grpcStatus ?? ""}`);
  }
  const mirrors = [
    ...(rule.mirror === undefined ? [] : [{ destination: rule.mirror, percentage: rule.mirrorPercentage }]),
    ...(rule.mirrors ?? []),
  ];
  for (const { destination, percentage } of mirrors) {
    texts.push(`mirror ${share(percentage)} to ${destinationText(destination)}`);
  }
  if (corsPolicy !== undefined) texts.push("answer CORS preflights");
  if (headers !== undefined) texts.push("change headers");
  return texts;
}

/** Where a rule sends what it matches. */
export function destinationTexts(
  route: readonly { readonly destination: Destination; readonly weight?: number }[] | undefined,
): readonly string[] {
  if (route === undefined) return [];
  const [only] = route;
  if (route.length === 1 && only !== undefined) return [`to ${destinationText(only.destination)}`];
  const sum = route.reduce((total, { weight = 0 }) => total + weight, 0);
  return route.map(({ destination, weight = 0 }) => {
    const percent = sum === 0 ? 0 : Math.round((weight / sum) * 10_000) / 100;
    return `${percent}% to ${destinationText(destination)}`;
  });
}

function destinationText({ host, subset, port }: Destination): string {
  return `${host}${port === undefined ? "" : `:${port.number}`}${subset === undefined ? "" : ` subset ${subset}`}`;
}

function redirectText(redirect: NonNullable<HttpRoute["redirect"]>): string {
  const { scheme, authority, port, uri, prefixRewrite } = redirect;
  const origin = `${scheme === undefined ? "" : `${scheme}://`}${authority ?? ""}${port === undefined ? "" : `:${port}`}`;
  return `${origin}${uri ?? prefixRewrite ?? ""}` || "the same place";
}

function share(percentage: { readonly value?: number } | undefined): string {
  return percentage?.value === undefined || percentage.value === 100 ? "everything" : `${percentage.value}%`;
}
