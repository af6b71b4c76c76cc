/** By which Gateways of Istio and of Gateway API choose the gateway of a name, where it has no labels of its own choice. */
const NAMES = ["istio", "gateway.networking.k8s.io/gateway-name"];

/** The labels of `tulle gateway <name>`. */
export function gatewayLabels(name: string): readonly (readonly [key: string, value: string])[] {
  return NAMES.map((key) => [key, name] as const);
}
