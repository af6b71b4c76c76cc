import { create } from "@bufbuild/protobuf";
import type { ObjectMeta } from "@tulle/api";
import {
  InternalRedirectPolicySchema,
  type InternalRedirectPolicy,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { Translation } from "../translation.js";

/** Annotation of an object with HTTP rules: sidecars follow so many redirects of a request's service themselves. */
export const INTERNAL_REDIRECTS = "tulle.dev/internal-redirects";

const MAX_REDIRECTS = 20;
const STATUSES = [301, 302, 303, 307, 308];

/** What an object's annotation says of redirects; undefined for nothing, or nothing that can be used, with a warning. */
export function annotatedRedirects(
  t: Translation,
  where: string,
  { annotations }: Pick<ObjectMeta, "annotations">,
): InternalRedirectPolicy | undefined {
  const text = annotations?.[INTERNAL_REDIRECTS];
  if (text === undefined) return undefined;
  const max = Number(text);
  if (/^\d+$/.test(text) && max >= 1 && max <= MAX_REDIRECTS) {
    return create(InternalRedirectPolicySchema, {
      maxInternalRedirects: max,
      redirectResponseCodes: STATUSES,
    });
  }
  t.warn(
    `${where}: annotation ${INTERNAL_REDIRECTS} must be a number from 1 to ${MAX_REDIRECTS}; redirects are the client's`,
  );
  return undefined;
}
