import { create } from "@bufbuild/protobuf";
import { parseDuration } from "@tulle/base";
import type { MeshObject, VirtualServiceSpec } from "@tulle/api";
import {
  NameTable_DnsFault_Failure as Failure,
  NameTable_DnsFaultSchema,
  type NameTable_DnsFault,
} from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";
import { hostMatch } from "./hosts.js";
import { VIRTUAL_SERVICE } from "./kinds.js";
import type { Translation } from "./translation.js";
import { virtualServiceFor } from "./virtual-services.js";

const FAILURE = "tulle.dev/fault-dns";
const DELAY = "tulle.dev/fault-dns-delay";
const PERCENT = "tulle.dev/fault-dns-percentage";

/** Annotations of a VirtualService by which sidecars' DNS fails for its hosts. */
export const DNS_FAULT_ANNOTATIONS: readonly string[] = [FAILURE, DELAY, PERCENT];

const FAILURES: Readonly<Record<string, Failure>> = {
  nxdomain: Failure.NXDOMAIN,
  servfail: Failure.SERVFAIL,
};
const MAX_DELAY_MS = 30_000;

type VirtualService = MeshObject<VirtualServiceSpec>;

/** How lookups of hosts (in full) fail for this client. Costs nothing where no VirtualService says so. */
export function dnsFaults(t: Translation): (host: string) => NameTable_DnsFault | undefined {
  const faulty = t.objects<VirtualServiceSpec>(VIRTUAL_SERVICE).filter(saysSo);
  if (faulty.length === 0) return () => undefined;
  const concerns = ({ spec, metadata }: VirtualService, host: string): boolean =>
    (spec.hosts ?? []).some(
      (pattern) => hostMatch(pattern, metadata.namespace, host, t.settings.domainSuffix) > 0,
    );
  return (host) => {
    if (!faulty.some((object) => concerns(object, host))) return undefined;
    const holding = virtualServiceFor(t, host);
    return holding !== undefined && saysSo(holding) ? faultOf(t, holding) : undefined;
  };
}

function saysSo({ metadata: { annotations = {} } }: VirtualService): boolean {
  return Object.hasOwn(annotations, FAILURE) || Object.hasOwn(annotations, DELAY);
}

function faultOf(t: Translation, { metadata }: VirtualService): NameTable_DnsFault | undefined {
  const where = `VirtualService ${metadata.namespace}/${metadata.name}: annotation`;
  const { annotations = {} } = metadata;
  const said = (key: string): string => (Object.hasOwn(annotations, key) ? annotations[key]!.trim() : "");
  const failure = Object.hasOwn(FAILURES, said(FAILURE)) ? FAILURES[said(FAILURE)]! : Failure.NONE;
  if (said(FAILURE) !== "" && failure === Failure.NONE)
    t.warn(`${where} ${FAILURE} must be nxdomain or servfail; it has no effect`);
  const delayMs = said(DELAY) === "" ? 0 : (parseDuration(said(DELAY)) ?? Number.NaN);
  const isDelay = delayMs >= 0 && delayMs <= MAX_DELAY_MS;
  if (!isDelay) t.warn(`${where} ${DELAY} must be a duration up to 30s, such as 2s; it has no effect`);
  const percentage = said(PERCENT) === "" ? 100 : Number(said(PERCENT));
  if (!/^(?:\d+(?:\.\d+)?)?$/.test(said(PERCENT)) || percentage > 100) {
    t.warn(`${where} ${PERCENT} must be a number from 0 to 100; nothing fails`);
    return undefined;
  }
  return create(NameTable_DnsFaultSchema, { percentage, failure, delayMs: isDelay ? delayMs : 0 });
}
