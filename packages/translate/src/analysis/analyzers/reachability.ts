import type { HttpMatchRequest, MeshObject, TlsRoute, VirtualServiceSpec } from "@tulle/api";
import { rulesOf, type VirtualServiceRule } from "../../routes/delegates.js";
import { routeMatch } from "../../routes/match.js";
import { isUntranslatable } from "../../string-match.js";
import { Translation } from "../../translation.js";
import { nameOf } from "../../provenance.js";
import type { Analysis } from "../analysis.js";
import { coversConnection, coversRequest } from "../implication.js";

type VirtualService = MeshObject<VirtualServiceSpec>;

/** Matches that are compared in one object; longer lists are not looked through. */
const MAX_MATCHES = 500;

/** IST0130, IST0131: rules and matches that nothing reaches, because earlier ones take all that they would. */
export function analyzeReachability(analysis: Analysis, object: VirtualService): void {
  // A delegate's rules stand where another object has them.
  if ((object.spec.hosts ?? []).length === 0) return;
  const { namespace } = object.metadata;
  const rules = rulesOf(new Translation(analysis.reader, analysis.view(namespace)), object);
  const { gateways } = object.spec;
  compare(
    analysis,
    object,
    rules.map((owned) => ({ place: placeOf(owned), matches: matchesOf(owned.rule.match) })),
    (earlier, later) => coversRequest(earlier, later, gateways),
    // What cannot be translated is left out: it takes nothing away.
    (match) => match === undefined || !isUntranslatable(routeMatch(match, true)),
  );
  for (const protocol of ["tls", "tcp"] as const) {
    const list: readonly Partial<Pick<TlsRoute, "match">>[] = (object.spec[protocol] ??
      []) as readonly TlsRoute[];
    compare(
      analysis,
      object,
      list.map(({ match }, index) => ({
        place: { object, path: `spec.${protocol}[${index}]`, isWritten: true },
        matches: matchesOf(match),
      })),
      (earlier, later) =>
        coversConnection(earlier, later, gateways) && coversNames(earlier?.sniHosts, later?.sniHosts),
    );
  }
}

interface PlacedRule<Match> {
  readonly place: Place;
  readonly matches: readonly (Match | undefined)[];
}

function compare<Match>(
  analysis: Analysis,
  root: VirtualService,
  rules: readonly PlacedRule<Match>[],
  covers: (earlier: Match | undefined, later: Match | undefined) => boolean,
  isTaken: (match: Match | undefined) => boolean = () => true,
): void {
  const before: { readonly match: Match | undefined; readonly place: Place }[] = [];
  for (const { place, matches } of rules) {
    const takers = matches.map((match) => before.find((earlier) => covers(earlier.match, match)));
    if (takers.every((taker) => taker !== undefined)) {
      const message = `is never reached: ${placeText(root, takers[0]?.place)} takes all that it would match`;
      analysis.report("IST0130", place.object, place.path, message);
    } else if (place.isWritten) {
      takers.forEach((taker, index) => {
        if (taker === undefined) return;
        const message = `never matches: ${placeText(root, taker.place)} takes all that it would`;
        analysis.report("IST0131", place.object, `${place.path}.match[${index}]`, message);
      });
    }
    for (const match of matches) {
      if (before.length < MAX_MATCHES && isTaken(match)) before.push({ match, place });
    }
  }
}

interface Place {
  readonly object: VirtualService;
  readonly path: string;
  /** Whether its matches are those that stand in the object: a delegate's are merged with others. */
  readonly isWritten: boolean;
}

function placeText(root: VirtualService, place: Place | undefined): string {
  if (place === undefined) return "an earlier rule";
  return place.object === root ? place.path : `${nameOf(place.object)} ${place.path}`;
}

/** A rule without matches has one that always holds. */
function matchesOf<Match>(list: readonly Match[] | undefined): readonly (Match | undefined)[] {
  return list === undefined || list.length === 0 ? [undefined] : list;
}

function placeOf({ rule, object, index }: VirtualServiceRule): Place {
  const written: readonly HttpMatchRequest[] | undefined = object.spec.http?.[index]?.match;
  return { object, path: `spec.http[${index}]`, isWritten: rule.match === written };
}

/** Of two `tls` rules with a server name the first has it, whatever else they name. */
function coversNames(earlier: readonly string[] | undefined, later: readonly string[] | undefined): boolean {
  if (earlier === undefined) return true;
  const names = new Set(earlier.map((name) => name.toLowerCase()));
  return later !== undefined && later.every((name) => names.has(name.toLowerCase()));
}
