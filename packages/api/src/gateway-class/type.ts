/** A class of Gateways (`GatewayClass`): who runs them. */
export interface GatewayClassSpec {
  /** Tulle's is {@link GATEWAY_CONTROLLER}. */
  readonly controllerName: string;
  readonly description?: string;
}

/** The controller that Tulle is for Gateway API. */
export const GATEWAY_CONTROLLER = "tulle.dev/gateway-controller";

/** The class that is always there. */
export const GATEWAY_CLASS = "tulle";
