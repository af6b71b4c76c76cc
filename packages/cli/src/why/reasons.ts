/** Things that were passed over which are worth a line each: more are only counted. */
const MAX_PASSED_OVER = 4;
const STEPS: ReadonlySet<string> = new Set([
  "virtual-host",
  "route",
  "split",
  "filter",
  "locality",
  "endpoint",
]);

/** Lines that say why a request went as it did, from an engine's explanation. It comes from a proxy: nothing is taken for granted. */
export function reasonsOf(explanation: object | undefined): readonly string[] {
  const { steps } = fields(explanation);
  if (!Array.isArray(steps)) return [];
  return steps.flatMap((step: unknown) => {
    const { step: name, events } = fields(step);
    if (typeof name !== "string" || !STEPS.has(name) || !Array.isArray(events)) return [];
    return stepLines(name, events.map(fields));
  });
}

function stepLines(step: string, events: readonly Fields[]): readonly string[] {
  const passed = events.filter(({ verdict }) => verdict === "passed-over");
  // That the only one there is was taken says nothing.
  const isTelling = (event: Fields): boolean => event["owner"] !== undefined || passed.length > 0;
  const chosen = events.filter((event) => event["verdict"] === "chosen" && isTelling(event));
  const lines = chosen.map((event) => `${step} ${line(event)}`);
  // Of endpoints that were not picked there may be hundreds, and chance decides among them.
  if (step === "endpoint" && chosen.length > 0) return lines;
  const shown = passed.slice(0, MAX_PASSED_OVER).map((event) => `not ${step} ${line(event)}`);
  const more = passed.length - shown.length;
  return [...lines, ...shown, ...(more > 0 ? [`and ${more} more of step ${step} were passed over`] : [])];
}

/** What the route allows: `timeout 200 ms; up to 2 more tries, on connect-failure, 5xx`. "" when nothing is known. */
export function limitsOf(explanation: object | undefined): string {
  const { route } = fields(explanation);
  if (route === undefined) return "";
  const { timeoutMs, retry } = fields(route);
  const limits = typeof timeoutMs === "number" && timeoutMs > 0 ? [`timeout ${timeoutMs} ms`] : [];
  const { attempts, on } = fields(retry);
  if (typeof attempts !== "number") limits.push("no retries");
  else {
    const when = Array.isArray(on) ? on.map(text).join(", ") : "";
    limits.push(
      `up to ${attempts} more ${attempts === 1 ? "try" : "tries"}${when === "" ? "" : `, on ${when}`}`,
    );
  }
  return limits.join("; ");
}

/** Name of the cluster that the decision leads to when it is made again; "" when it leads to none. */
export function clusterOf(explanation: object | undefined): string {
  return text(fields(fields(explanation)["cluster"])["name"]);
}

type Fields = Readonly<Record<string, unknown>>;

function line({ subject, reason, owner }: Fields): string {
  const { kind, namespace, name, rule } = fields(owner);
  const from =
    typeof name === "string"
      ? ` [${[`${text(kind)} ${text(namespace)}/${name}`, text(rule)].join(" ").trim()}]`
      : "";
  return `${text(subject)}: ${text(reason)}${from}`;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
