import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import type { Svid } from "@tulle/agent";
import { systemClock } from "@tulle/base";
import { createTestAuthority, eventually } from "@tulle/testkit";
import {
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  grpcServiceDefinition,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SECRET_TYPE,
} from "@tulle/xds";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";
import { afterAll, beforeAll, expect, test } from "vitest";

import { requestSvid } from "../packages/agent/src/certificate-client.js";
import { Mesh } from "./support/mesh.js";
import { controlPlaneOf, TRUST_DOMAIN } from "./support/svid.js";

// A proxy asks for more than its identity may see: what is another namespace's alone, Secrets that nobody names for it or
// that are for other accounts, what a Sidecar hides; and it claims to be another.

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vault, namespace: bank}
spec:
  hosts: [vault.bank.example]
  exportTo: ["."]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.66.66.66}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: open, namespace: bank}
spec:
  hosts: [open.bank.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.77.77.77}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: private, namespace: bank}
spec:
  hosts: [open.bank.example]
  exportTo: ["."]
  http: [{match: [{uri: {prefix: /canary-route}}], route: [{destination: {host: open.bank.example}}]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow, namespace: shop}
spec: {egress: [{hosts: ["./*"]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: open, namespace: default}
spec:
  host: open.bank.example
  trafficPolicy: {tls: {mode: MUTUAL, credentialName: narrow}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: wide, namespace: default}
spec:
  host: wide.example
  trafficPolicy: {tls: {mode: MUTUAL, credentialName: wide}}
`;

const CLUSTER = { open: "outbound|80||open.bank.example", vault: "outbound|80||vault.bank.example" };

let mesh: Mesh;
/** By `<namespace>/<account>`. */
const svids = new Map<string, Svid>();
const ended: (() => void)[] = [];

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(OBJECTS);
  const credential = await (await createTestAuthority()).issue();
  const secret = (name: string, namespace: string, annotations = ""): string => `
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${namespace}${annotations}}
type: kubernetes.io/tls
stringData:
  tls.crt: ${JSON.stringify(credential.certificateChainPem)}
  tls.key: ${JSON.stringify(credential.privateKeyPem)}
`;
  await mesh.apply(
    [
      secret("wide", "default"),
      secret("narrow", "default", ', annotations: {tulle.dev/service-accounts: "alice, carol"}'),
      secret("unnamed", "default"),
      secret("vaulted", "bank"),
    ].join("---"),
  );
  for (const who of ["default/alice", "default/bob", "shop/web", "bank/teller"])
    svids.set(who, await svidOf(who));
}, 60_000);

afterAll(async () => {
  for (const end of ended) end();
  await mesh?.end();
});

async function svidOf(who: string): Promise<Svid> {
  const [namespace = "", serviceAccount = ""] = who.split("/");
  const { token } = await mesh.client.joinToken({ namespace, serviceAccount });
  return requestSvid({
    controlPlane: await controlPlaneOf(mesh),
    id: { trustDomain: TRUST_DOMAIN, namespace, serviceAccount },
    proof: { joinToken: token },
    timeoutMs: 5000,
    clock: systemClock,
  });
}

interface NodeClaims {
  readonly namespace?: string;
  readonly account?: string;
  readonly id?: string;
  readonly more?: Record<string, unknown>;
}

interface Told {
  readonly given: readonly string[];
  readonly absent: readonly string[];
  /** Everything that came, as bytes. */
  readonly bytes: string;
}

/** Asks with the certificate of `who` as a node that claims what it likes; rejects with the status of a refusal. */
async function ask(
  who: string | undefined,
  typeUrl: string,
  names: readonly string[],
  claims: NodeClaims = {},
): Promise<Told> {
  const [ownNamespace = "", ownAccount = ""] = (who ?? "default/alice").split("/");
  const { namespace = ownNamespace, account = ownAccount, more = {} } = claims;
  const id = claims.id ?? `sidecar~127.0.0.1~${account}-1.${namespace}~${namespace}.svc.cluster.local`;
  const svid = who === undefined ? undefined : svids.get(who);
  const root = Buffer.from((await mesh.client.info()).rootCertificatePem);
  const client = new grpc.Client(
    mesh.addresses.xds,
    svid === undefined
      ? grpc.credentials.createSsl(root)
      : grpc.credentials.createSsl(
          root,
          Buffer.from(svid.privateKeyPem),
          Buffer.from(svid.certificateChainPem),
        ),
  );
  const { deltaAggregatedResources: method } = grpcServiceDefinition(AggregatedDiscoveryService);
  const call = client.makeBidiStreamRequest(
    method!.path,
    method!.requestSerialize as (value: DeltaDiscoveryRequest) => Buffer,
    method!.responseDeserialize as (bytes: Buffer) => DeltaDiscoveryResponse,
  );
  ended.push(() => {
    call.cancel();
    client.close();
  });
  const received: DeltaDiscoveryResponse[] = [];
  let over: grpc.StatusObject | undefined;
  call.on("data", (response: DeltaDiscoveryResponse) => received.push(response));
  call.on("status", (status: grpc.StatusObject) => (over = status));
  call.on("error", () => undefined);
  const metadata = { NAMESPACE: namespace, SERVICE_ACCOUNT: account, ...more };
  call.write(
    create(DeltaDiscoveryRequestSchema, {
      node: { id, userAgentName: "tulle", metadata: metadata as never },
      typeUrl,
      resourceNamesSubscribe: [...names],
    }),
  );
  const answer = await eventually(() => over ?? received[0]);
  if ("code" in answer) throw new Error(`${grpc.status[answer.code]}: ${answer.details}`);
  return {
    given: answer.resources.map(({ name }) => name).sort(),
    absent: [...answer.removedResources].sort(),
    bytes: answer.resources
      .map(({ resource }) => Buffer.from(resource?.value ?? []).toString("latin1"))
      .join(""),
  };
}

test("what another namespace keeps to itself looks as if it were not there, whoever asks by name", async () => {
  for (const [typeUrl, form] of [
    [CLUSTER_TYPE, "outbound|80||HOST"],
    [ENDPOINT_TYPE, "outbound|80||HOST"],
    [ROUTE_TYPE, "HOST:80"],
    [LISTENER_TYPE, "HOST:80"],
  ] as const) {
    const [vault, ghost] = ["vault", "ghost"].map((name) => form.replace("HOST", `${name}.bank.example`)) as [
      string,
      string,
    ];
    const asked = await ask("default/alice", typeUrl, [vault]);
    const unknown = await ask("default/alice", typeUrl, [ghost]);
    expect([typeUrl, asked.bytes.replaceAll("vault", "ghost")]).toEqual([typeUrl, unknown.bytes]);
    expect(asked.absent.map((name) => name.replace("vault", "ghost"))).toEqual(unknown.absent);
    // Its own namespace sees more.
    const own = await ask("bank/teller", typeUrl, [vault]);
    expect([typeUrl, own.given, own.bytes === asked.bytes]).toEqual([typeUrl, [vault], false]);
  }
  expect((await ask("bank/teller", ENDPOINT_TYPE, [CLUSTER.vault])).bytes).toContain("10.66.66.66");
});

test("rules that another namespace keeps to itself are not in what others are given", async () => {
  const name = "open.bank.example:80";
  expect((await ask("default/alice", ROUTE_TYPE, [name])).bytes).not.toContain("canary-route");
  expect((await ask("bank/teller", ROUTE_TYPE, [name])).bytes).toContain("canary-route");
});

test.each([CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE])(
  "asking for everything of %s gives nothing of others, and no Secret",
  async (typeUrl) => {
    // Beside a name that is there, so that there is an answer to wait for.
    const known =
      typeUrl === SECRET_TYPE
        ? "kubernetes://wide"
        : typeUrl === CLUSTER_TYPE || typeUrl === ENDPOINT_TYPE
          ? CLUSTER.open
          : "open.bank.example:80";
    const told = await ask("default/bob", typeUrl, ["*", known]);
    expect(told.given.filter((name) => name !== known)).toEqual([]);
    expect(told.bytes).not.toMatch(/10\.66\.66\.66|canary-route/);
  },
);

test("a Sidecar hides what it does not let in, whoever asks by name", async () => {
  const name = "open.bank.example:80";
  for (const typeUrl of [LISTENER_TYPE, ROUTE_TYPE]) {
    const hidden = await ask("shop/web", typeUrl, [name]);
    const unknown = await ask("shop/web", typeUrl, ["gone.bank.example:80"]);
    expect(hidden.bytes.replaceAll("open", "gone")).toBe(unknown.bytes);
    expect((await ask("default/alice", typeUrl, [name])).bytes).not.toBe(hidden.bytes);
  }
});

test("Secrets go to proxies of their own namespace that something names them for, and of the accounts they are for", async () => {
  const all = ["narrow", "unnamed", "wide", "nothing", "vaulted", "../bank/vaulted", "bank/vaulted"].map(
    (name) => `kubernetes://${name}`,
  );
  expect((await ask("default/alice", SECRET_TYPE, all)).given).toEqual([
    "kubernetes://narrow",
    "kubernetes://wide",
  ]);
  // The account is the certificate's, whatever labels say.
  const labels = { LABELS: { app: "alice", "tulle.dev/service-account": "alice" } };
  expect((await ask("default/bob", SECRET_TYPE, all, { more: labels })).given).toEqual(["kubernetes://wide"]);
  expect((await ask("bank/teller", SECRET_TYPE, all)).given).toEqual([]);
  expect((await ask("shop/web", SECRET_TYPE, all)).given).toEqual([]);
  expect((await ask("default/alice", SECRET_TYPE, all)).bytes).toContain("PRIVATE KEY");
});

test.each([
  ["another namespace", { namespace: "bank", account: "teller" }],
  ["another account", { account: "bob" }],
  ["another namespace's id", { id: "sidecar~127.0.0.1~teller-1.bank~bank.svc.cluster.local" }],
  [
    "to serve another namespace's service",
    { more: { INBOUND: [{ service: "vault", namespace: "bank", servicePort: 80, appPort: 80 }] } },
  ],
])("a node that claims %s is refused", async (_what, claims: NodeClaims) => {
  await expect(ask("default/alice", CLUSTER_TYPE, [CLUSTER.vault], claims)).rejects.toThrow(
    /PERMISSION_DENIED|INVALID_ARGUMENT/,
  );
});

test("without a certificate there is nothing", async () => {
  await expect(ask(undefined, CLUSTER_TYPE, [CLUSTER.open])).rejects.toThrow(/UNAUTHENTICATED/);
  await expect(ask(undefined, SECRET_TYPE, ["kubernetes://wide"])).rejects.toThrow(/UNAUTHENTICATED/);
});
