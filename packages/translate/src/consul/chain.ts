import type {
  ConsulRoute,
  ConsulSplit,
  ConsulTarget,
  HeaderManipulation,
  HeaderOperations,
  MeshObject,
} from "@tulle/api";
import { isSameService, type ServiceId } from "../hosts.js";
import type { Translation } from "../translation.js";
import { entriesOf, resolverOf, splitterOf, type ResolverEntry, type RouterEntry } from "./entries.js";

/** Problems of one chain; more are not worth reading. */
const MAX_PROBLEMS = 100;
/** How many redirects, and how many splits one within the other, are followed. */
const MAX_STEPS = 16;
/** Parts from which on splits within splits are not followed. */
const MAX_PARTS = 256;

/** Instances that requests go to: a service, or a subset of it. */
export interface ChainTarget {
  readonly id: ServiceId;
  /** Empty: all of its instances. */
  readonly subset: string;
}

/** The end of a chain: a target, and who takes over for it. */
export interface Resolved extends ChainTarget {
  /** In their order; without it itself. */
  readonly failover: readonly ChainTarget[];
  /** What says so; undefined where nobody says anything. */
  readonly resolver: ResolverEntry | undefined;
}

/** A share of a service's requests. */
export interface ChainPart {
  /** As the innermost splitter has it; undefined where nothing splits. */
  readonly written: ConsulSplit | undefined;
  /** Percent. */
  readonly weight: number;
  readonly headers: HeaderManipulation | undefined;
  readonly target: Resolved;
}

/** Where some requests go. */
export interface ChainRoute {
  /** As the router has it; undefined for the rest of the requests. */
  readonly written: ConsulRoute | undefined;
  /** What to show as the reason, and its place there. */
  readonly owner: MeshObject;
  readonly field: string;
  /** What splits the requests; undefined where nothing does. */
  readonly splitter: ServiceId | undefined;
  /** At least one. */
  readonly parts: readonly ChainPart[];
}

/** Something that entries say which cannot be. */
export interface ChainProblem {
  /** `undeclared`: a subset that no resolver has, which the next entry may declare; `impossible`: never. */
  readonly kind: "undeclared" | "impossible";
  readonly object: MeshObject;
  readonly path: string;
  readonly message: string;
}

/** Where requests for a service go by Consul's entries: its discovery chain. */
export interface Chain {
  readonly id: ServiceId;
  /** In the order in which they are tried; the last one takes everything. Empty where no entry says anything. */
  readonly routes: readonly ChainRoute[];
  /** Every entry that had a say. */
  readonly entries: readonly MeshObject[];
  readonly problems: readonly ChainProblem[];
}

export interface ChainOptions {
  /** False: bytes are carried, which cannot be routed or split. */
  readonly http: boolean;
}

/** Compiles the discovery chain of a service: its router, then the splitters, then the resolvers that these lead to. */
export function chainOf(t: Translation, id: ServiceId, options: ChainOptions = { http: true }): Chain {
  return new Compiler(t).chain(id, options);
}

/** The end of the chain of a service's subset (empty: whichever it has by default), without routers and splitters. */
export function resolvedTarget(t: Translation, id: ServiceId, subset = ""): Resolved {
  return new Compiler(t).resolve(id, subset);
}

class Compiler {
  readonly #t: Translation;
  readonly #entries = new Set<MeshObject>();
  readonly #problems: ChainProblem[] = [];
  /** Parts that splits may still make; what is beyond is not split further. */
  #room = MAX_PARTS;

  constructor(t: Translation) {
    this.#t = t;
  }

  chain(id: ServiceId, { http }: ChainOptions): Chain {
    const { router, splitter, resolver } = entriesOf(this.#t, id);
    const first = (http ? (router ?? splitter) : undefined) ?? resolver;
    const routes = first === undefined ? [] : this.#routes(id, first, http ? router : undefined, http);
    return { id, routes, entries: [...this.#entries], problems: this.#problems };
  }

  resolve(id: ServiceId, subset: string, from?: Place): Resolved {
    const { resolver, ...target } = this.#redirected(id, subset, from);
    const { spec } = resolver ?? {};
    const key = target.subset in (spec?.failover ?? {}) ? target.subset : "*";
    const written = spec?.failover?.[key];
    const others = written === undefined ? [] : (written.targets ?? [written]);
    const failover = others.flatMap((other, index): ChainTarget[] => {
      const where = written?.targets === undefined ? "" : `.targets[${index}]`;
      const place = resolver && { object: resolver, path: `spec.failover["${key}"]${where}` };
      const { id: to, subset: of } = this.#redirected(
        named(other, target.id),
        other.serviceSubset ?? "",
        place,
      );
      return isSame({ id: to, subset: of }, target) ? [] : [{ id: to, subset: of }];
    });
    return { ...target, failover, resolver };
  }

  #routes(id: ServiceId, first: MeshObject, router: RouterEntry | undefined, http: boolean): ChainRoute[] {
    if (router !== undefined) this.#entries.add(router);
    const written = (router?.spec.routes ?? []).map((route, index): ChainRoute => {
      const owner = router ?? first;
      const field = `routes[${index}]`;
      const { destination = {} } = route;
      const to = named(destination, id);
      const place = { object: owner, path: `spec.${field}.destination` };
      const subset = destination.serviceSubset ?? "";
      // A subset is asked for by name: nothing splits it.
      const lead = subset === "" ? this.#lead(to, true) : this.#straight(to, subset, place);
      return { written: route, owner, field, ...lead };
    });
    const lead = this.#lead(id, http);
    const splitter = splitterOf(this.#t, id);
    const split = lead.splitter === undefined ? undefined : splitter;
    const owner = split ?? router ?? first;
    const field = split !== undefined ? "splits" : router === undefined ? "" : "routes";
    return [...written, { written: undefined, owner, field, ...lead }];
  }

  #straight(id: ServiceId, subset: string, place?: Place): Pick<ChainRoute, "splitter" | "parts"> {
    const target = this.resolve(id, subset, place);
    return { splitter: undefined, parts: [{ written: undefined, weight: 100, headers: undefined, target }] };
  }

  /** Where the requests for a service go that has no say in its own router. */
  #lead(id: ServiceId, split: boolean): Pick<ChainRoute, "splitter" | "parts"> {
    const splitter = splitterOf(this.#t, id);
    if (!split || splitter === undefined) return this.#straight(id, "");
    this.#room = MAX_PARTS;
    return { splitter: id, parts: this.#parts(id, 100, undefined, []) };
  }

  #parts(
    id: ServiceId,
    share: number,
    headers: HeaderManipulation | undefined,
    path: readonly ServiceId[],
    written?: ConsulSplit,
  ): ChainPart[] {
    const splitter = splitterOf(this.#t, id);
    const whole = (): ChainPart[] => {
      this.#room--;
      return [{ written, weight: share, headers, target: this.resolve(id, "") }];
    };
    if (splitter === undefined) return whole();
    if (this.#room <= 0) {
      this.#say(splitter, "spec.splits", `splits within splits make more than ${MAX_PARTS} parts`);
      return whole();
    }
    if (path.some((other) => isSameService(other, id)) || path.length >= MAX_STEPS) {
      this.#say(splitter, "spec.splits", "its splits lead back to itself");
      return whole();
    }
    this.#entries.add(splitter);
    return splitter.spec.splits.flatMap((split, index): ChainPart[] => {
      const to = named(split, id);
      const subset = split.serviceSubset ?? "";
      const weight = (share * split.weight) / 100;
      const own = joined(headers, headersOf(split));
      if (subset === "" && !isSameService(to, id)) return this.#parts(to, weight, own, [...path, id], split);
      const place = { object: splitter, path: `spec.splits[${index}]` };
      this.#room--;
      return [{ written: split, weight, headers: own, target: this.resolve(to, subset, place) }];
    });
  }

  /** Follows redirects and takes default subsets. `from`: what names the target. */
  #redirected(
    start: ServiceId,
    asked: string,
    from?: Place,
  ): ChainTarget & { readonly resolver: ResolverEntry | undefined } {
    let id = start;
    let subset = asked;
    let place = from;
    for (let step = 0; ; step++) {
      const resolver = resolverOf(this.#t, id);
      if (resolver === undefined) {
        if (subset !== "" && place !== undefined) this.#undeclared(place, id, subset);
        return { id, subset, resolver };
      }
      this.#entries.add(resolver);
      const { redirect, subsets = {}, defaultSubset } = resolver.spec;
      if (redirect === undefined) {
        if (subset !== "" && !Object.hasOwn(subsets, subset) && place !== undefined)
          this.#undeclared(place, id, subset);
        return { id, subset: subset === "" ? (defaultSubset ?? "") : subset, resolver };
      }
      const next = named(redirect, id);
      if (isSameService(next, start) || isSameService(next, id) || step >= MAX_STEPS) {
        this.#say(resolver, "spec.redirect", "its redirects lead back to where they began");
        return { id, subset, resolver: undefined };
      }
      place = { object: resolver, path: "spec.redirect" };
      id = next;
      subset = redirect.serviceSubset ?? "";
    }
  }

  #undeclared({ object, path }: Place, id: ServiceId, subset: string): void {
    const message = `service ${JSON.stringify(id.name)} does not have a subset named ${JSON.stringify(subset)}`;
    this.#say(object, path, message, "undeclared");
  }

  #say(object: MeshObject, path: string, message: string, kind: ChainProblem["kind"] = "impossible"): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push({ kind, object, path, message });
  }
}

/** Where an entry names a target. */
interface Place {
  readonly object: MeshObject;
  readonly path: string;
}

/** The service that a target names; what it leaves open is as with `own`. */
function named({ service, namespace }: ConsulTarget, own: ServiceId): ServiceId {
  return { name: service?.toLowerCase() ?? own.name, namespace: namespace ?? own.namespace };
}

function isSame(a: ChainTarget, b: ChainTarget): boolean {
  return a.subset === b.subset && isSameService(a.id, b.id);
}

/** What an entry does to headers. */
export function headersOf({
  requestHeaders,
  responseHeaders,
}: Pick<ConsulSplit, "requestHeaders" | "responseHeaders">): HeaderManipulation | undefined {
  if (requestHeaders === undefined && responseHeaders === undefined) return undefined;
  return {
    ...(requestHeaders !== undefined && { request: requestHeaders }),
    ...(responseHeaders !== undefined && { response: responseHeaders }),
  };
}

/** Of a split within a split both hold; the inner one's word is the last. */
function joined(
  outer: HeaderManipulation | undefined,
  inner: HeaderManipulation | undefined,
): HeaderManipulation | undefined {
  if (outer === undefined || inner === undefined) return inner ?? outer;
  const operations = (a: HeaderOperations = {}, b: HeaderOperations = {}): HeaderOperations => ({
    set: { ...a.set, ...b.set },
    add: { ...a.add, ...b.add },
    remove: [...(a.remove ?? []), ...(b.remove ?? [])],
  });
  return {
    request: operations(outer.request, inner.request),
    response: operations(outer.response, inner.response),
  };
}
