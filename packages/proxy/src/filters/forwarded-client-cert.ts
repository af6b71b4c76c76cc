import type { ClientCertForwarding } from "@tulle/engine";
import { joinHeader, type HeaderList } from "@tulle/http";

const NAME = "x-forwarded-client-cert";

/**
 * The value of `x-forwarded-client-cert` that goes upstream; "" = none. `own`: of the client's verified certificate, "" when
 * it showed none: then what it says of others is not believed, but for `always-forward`.
 */
export function forwardedClientCert(
  forwarding: ClientCertForwarding,
  own: string,
  received: HeaderList,
): string {
  switch (forwarding) {
    case "none":
      return "";
    case "own":
      return own;
    case "append": {
      if (own === "") return "";
      const before = joinHeader(received, NAME);
      return before === undefined || before === "" ? own : `${before},${own}`;
    }
    case "forward":
      return own === "" ? "" : (joinHeader(received, NAME) ?? "");
    case "always-forward":
      return joinHeader(received, NAME) ?? "";
  }
}
