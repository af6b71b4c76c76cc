/** How the endpoints of one priority are. */
export interface PriorityHealth {
  readonly endpoints: number;
  readonly healthy: number;
  readonly degraded: number;
}

/** What one priority gets of the requests: parts of 100. */
export interface PriorityShare {
  readonly healthy: number;
  readonly degraded: number;
  /** So few of its endpoints are usable that its part goes to all of them. */
  readonly panic: boolean;
}

/**
 * How requests are spread over priorities, as Envoy does it. A priority can take as much as its usable endpoints with
 * over-provisioning (1.4: up to 28 % of them may fail before anything goes elsewhere); what it cannot take spills over
 * to the next. Healthy endpoints of all priorities come before degraded ones. Priorities are in order.
 * https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority
 */
export function priorityShares(
  levels: readonly PriorityHealth[],
  overprovisioning: number,
  panicPercent: number,
): PriorityShare[] {
  const healthy = levels.map((level) => capacity(level.healthy, level.endpoints, overprovisioning));
  const degraded = levels.map((level) => capacity(level.degraded, level.endpoints, overprovisioning));
  const available = Math.min(100, sum(healthy) + sum(degraded));
  const panic = levels.map((level) => available < 100 && panics(level, panicPercent));
  if (levels.every(({ endpoints }, index) => panic[index] === true || endpoints === 0))
    return byCount(levels);
  let left = 100;
  const take = (room: number): number => {
    const taken = available === 0 ? 0 : Math.min(left, (room * 100) / available);
    left -= taken;
    return taken;
  };
  const toHealthy = healthy.map(take);
  const toDegraded = degraded.map(take);
  return levels.map((_, index) => ({
    healthy: toHealthy[index]!,
    degraded: toDegraded[index]!,
    panic: panic[index]!,
  }));
}

/** Share of all requests that so many usable endpoints can take, percent. */
function capacity(usable: number, endpoints: number, overprovisioning: number): number {
  return endpoints === 0 ? 0 : Math.min(100, (usable * overprovisioning * 100) / endpoints);
}

function panics({ endpoints, healthy, degraded }: PriorityHealth, panicPercent: number): boolean {
  return endpoints > 0 && ((healthy + degraded) * 100) / endpoints < panicPercent;
}

/** Every priority panics: each gets by the number of its endpoints. */
function byCount(levels: readonly PriorityHealth[]): PriorityShare[] {
  const total = sum(levels.map(({ endpoints }) => endpoints));
  return levels.map(({ endpoints }) => ({
    healthy: total === 0 ? 0 : (endpoints * 100) / total,
    degraded: 0,
    panic: endpoints > 0,
  }));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
