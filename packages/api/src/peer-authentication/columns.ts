import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { PeerAuthenticationSpec } from "./type.js";

/** MODE AGE, as Istio's definition has them. */
export const peerAuthenticationColumns: readonly Column[] = [
  textColumn<PeerAuthenticationSpec>("Mode", "Which traffic is accepted.", ({ spec }) => spec.mtls?.mode),
  ageColumn,
];
