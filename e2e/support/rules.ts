/** Rule by which requests to a service are sent once: one that is cut is one that failed. */
export function withoutRetries(service: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${service}}
spec:
  hosts: [${service}]
  http:
  - route: [{destination: {host: ${service}}}]
    retries: {attempts: 0}
`;
}
