import { z } from "zod";
import { subnet } from "../schema/addresses.js";
import { hostPattern } from "../schema/hosts.js";
import { labels } from "../schema/labels.js";
import { namespaceName } from "../schema/namespaces.js";
import { port } from "../schema/numbers.js";
import { nonEmpty } from "../schema/strings.js";
import { struct } from "../schema/struct.js";
import { hasDestinations, routeDestination, weightsSum } from "./destination.js";

const l4Match = {
  destinationSubnets: z.array(subnet).exactOptional(),
  port: port.exactOptional(),
  sourceSubnet: subnet.exactOptional(),
  sourceLabels: labels.exactOptional(),
  gateways: z.array(nonEmpty).exactOptional(),
  sourceNamespace: namespaceName.exactOptional(),
};

const some = <T>(item: z.ZodType<T>) =>
  z.array(item).refine((list) => list.length > 0, { error: "must have at least one item" });

export const tlsRoute = struct(
  { match: some(struct({ ...l4Match, sniHosts: some(hostPattern) })), route: z.array(routeDestination) },
  hasDestinations,
  weightsSum,
);

export const tcpRoute = struct(
  { match: z.array(struct(l4Match)).exactOptional(), route: z.array(routeDestination) },
  hasDestinations,
  weightsSum,
);
