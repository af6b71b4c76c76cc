import { connect, type AddressInfo, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { serveGrpc, type GrpcAnswer } from "@tulle/testkit/grpc";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import { GrpcServiceSchema } from "@tulle/xds/gen/envoy/config/core/v3/grpc_service_pb.js";
import { RBAC_Action } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import { ExtAuthzSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { RBACSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { Authorization, CheckResponseSchema } from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";
import { afterEach, beforeAll, expect, test } from "vitest";

import {
  atEnd,
  closeAll,
  closedPort,
  createProxy,
  rawBackend,
  TestIdentity,
  type TestProxy,
} from "../../test/harness.js";
import {
  cluster,
  endpoints,
  inboundDetectedListener,
  inboundTcpListener,
  ms,
  staticCluster,
  tcpListener,
} from "../../test/resources.js";

// Connections that carry bytes, about which a server on grpc-js is asked.

const SNI = "outbound_.5432_._.db.default.svc.cluster.local";
const CLUSTER = "outbound|5432||db.default.svc.cluster.local";
const LOCAL = "inbound|5432||db.default.svc.cluster.local";
const AUTHZ = "outbound|9000||authz";
const DB = "spiffe://cluster.local/ns/default/sa/db";
const WEB = "spiffe://cluster.local/ns/default/sa/web";

type Config = MessageInitShape<typeof ExtAuthzSchema>;
type CheckAnswer = GrpcAnswer<typeof Authorization.method.check>;

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

const asked = (timeout: number) =>
  create(GrpcServiceSchema, {
    targetSpecifier: { case: "envoyGrpc", value: { clusterName: AUTHZ } },
    timeout: ms(timeout),
  });

function asking(config: Config = {}) {
  const filter = create(ExtAuthzSchema, {
    statPrefix: "bytes",
    transportApiVersion: ApiVersion.V3,
    grpcService: asked(500),
    ...config,
  });
  return {
    name: "ext_authz",
    configType: { case: "typedConfig" as const, value: anyPack(ExtAuthzSchema, filter) },
  };
}

interface Db {
  readonly server: TestProxy;
  readonly port: number;
  /** Connections that the application got. */
  readonly served: () => number;
  /** What guards its connections from now on. */
  readonly guard: (...guards: ReturnType<typeof asking>[]) => void;
}

/** A server that greets whoever connects, behind two proxies: the second one asks at `authzPort`. */
async function db(authzPort: number, ...guards: ReturnType<typeof asking>[]): Promise<Db> {
  let served = 0;
  const app = await rawBackend((socket) => {
    served++;
    socket.write("hello ");
    socket.pipe(socket);
  }, true);
  const server = createProxy({ identity: new TestIdentity(await authority.issue({ serviceAccount: "db" })) });
  const guard = (...changed: ReturnType<typeof asking>[]): void => {
    server.apply(inboundTcpListener({ sni: SNI, cluster: LOCAL, permissive: false, guards: changed }));
  };
  server.apply(
    staticCluster(LOCAL, app.port),
    cluster(AUTHZ, { http2: true }),
    endpoints(AUTHZ, [{ port: authzPort }]),
    inboundTcpListener({ sni: SNI, cluster: LOCAL, permissive: false, guards }),
  );
  const inbound = await server.inbound();
  const client = createProxy({
    identity: new TestIdentity(await authority.issue({ serviceAccount: "web" })),
  });
  client.apply(
    cluster(CLUSTER, { tls: { sni: SNI, spiffeId: DB } }),
    endpoints(CLUSTER, [{ port: inbound.tcp.address.port, mtls: true }]),
    tcpListener("db:5432", CLUSTER),
  );
  return { server, port: await client.listen("db:5432"), served: () => served, guard };
}

async function authorizer(answer: () => CheckAnswer | Promise<CheckAnswer>) {
  const service = await serveGrpc(Authorization.method.check, answer);
  atEnd(() => service.close());
  return service;
}

const says = (code: number): CheckAnswer => create(CheckResponseSchema, { status: { code } });

interface Caller {
  readonly socket: Socket;
  text(): string;
  outcome(): string | undefined;
}

function dial(port: number): Caller {
  const socket = connect(port, "127.0.0.1");
  atEnd(() => void socket.destroy());
  let text = "";
  let outcome: string | undefined;
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.on("end", () => (outcome ??= "end"));
  socket.on("error", (error: NodeJS.ErrnoException) => (outcome ??= error.code));
  return { socket, text: () => text, outcome: () => outcome };
}

async function expectRefused({ port, server, served }: Db, details: string): Promise<void> {
  const caller = dial(port);
  caller.socket.write("let me in");
  await eventually(() => expect(caller.outcome()).toBeDefined());
  expect([caller.text(), served()]).toEqual(["", 0]);
  await eventually(() => expect(server.log().join("\n")).toContain(details));
}

test("a permission lets bytes flow, and the service is told who connects", async () => {
  const service = await authorizer(() => says(0));
  const { port, server } = await db(service.port, asking({ includeTlsSession: true }));
  const caller = dial(port);
  await eventually(() => expect(caller.text()).toBe("hello "));
  caller.socket.write("bytes");
  await eventually(() => expect(caller.text()).toBe("hello bytes"));
  const { source, destination, request, tlsSession } = service.asked[0]!.attributes!;
  expect(source).toMatchObject({
    principal: WEB,
    address: { address: { value: { address: "127.0.0.1" } } },
  });
  expect(destination!.address!.address.value).toMatchObject({ address: "127.0.0.1" });
  expect(request!.http).toBeUndefined();
  expect(tlsSession!.sni).toBe(SNI);
  expect(server.metricsText()).toContain('tulle_ext_authz_checks_total{service="bytes",outcome="ok"} 1');
});

test("a refusal closes the connection before the application hears of it", async () => {
  const service = await authorizer(() => says(7));
  await expectRefused(await db(service.port, asking()), "UAEX - ext_authz_denied");
});

test("nobody who answers, an answer that is none, and one that comes too late refuse, unless it fails open", async () => {
  const nobody = await closedPort();
  await expectRefused(await db(nobody, asking()), "ext_authz_error");
  const broken = await authorizer(() => new Uint8Array([255, 255]));
  await expectRefused(await db(broken.port, asking()), "ext_authz_error");
  const silent = await authorizer(() => new Promise<never>(() => undefined));
  await expectRefused(await db(silent.port, asking()), "ext_authz_error");
  const open = await db(nobody, asking({ failureModeAllow: true }));
  const caller = dial(open.port);
  await eventually(() => expect(caller.text()).toBe("hello "));
});

test("a service that only some rules ask is asked about their connections alone", async () => {
  const service = await authorizer(() => says(7));
  const rules = (name: string) => ({
    name: "rbac",
    configType: {
      case: "typedConfig" as const,
      value: anyPack(
        RBACSchema,
        create(RBACSchema, {
          statPrefix: "tcp.",
          shadowRulesStatPrefix: "istio_ext_authz_p_",
          shadowRules: {
            action: RBAC_Action.DENY,
            policies: {
              ask: {
                permissions: [{ rule: { case: "any", value: true } }],
                principals: [
                  {
                    identifier: {
                      case: "authenticated",
                      value: { principalName: { matchPattern: { case: "exact", value: name } } },
                    },
                  },
                ],
              },
            },
          },
        }),
      ),
    },
  });
  const where: Config = {
    filterEnabledMetadata: {
      filter: "envoy.filters.network.rbac",
      path: [{ segment: { case: "key", value: "istio_ext_authz_p_shadow_effective_policy_id" } }],
      value: { matchPattern: { case: "presentMatch", value: true } },
    },
  };
  await expectRefused(await db(service.port, rules(WEB), asking(where)), "ext_authz_denied");
  expect(service.asked).toHaveLength(1);
  const other = await db(service.port, rules(DB), asking(where));
  const caller = dial(other.port);
  await eventually(() => expect(caller.text()).toBe("hello "));
  expect(service.asked).toHaveLength(1);
});

test("an open connection is asked about when policies come to ask, once", async () => {
  let code = 0;
  const service = await authorizer(() => says(code));
  const { port, guard } = await db(service.port);
  const caller = dial(port);
  await eventually(() => expect(caller.text()).toBe("hello "));
  expect(service.asked).toHaveLength(0);
  guard(asking());
  await eventually(() => expect(service.asked).toHaveLength(1));
  caller.socket.write("on");
  await eventually(() => expect(caller.text()).toBe("hello on"));
  // It has been let through: another form of the same question changes nothing.
  code = 7;
  guard(asking({ includeTlsSession: true }));
  const late = dial(port);
  await eventually(() => expect(late.outcome()).toBeDefined());
  caller.socket.write("ward");
  await eventually(() => expect(caller.text()).toBe("hello onward"));
  expect(service.asked).toHaveLength(2);
  // One that nobody had asked about is cut when the service refuses.
  guard();
  const third = dial(port);
  await eventually(() => expect(third.text()).toBe("hello "));
  guard(asking());
  await eventually(() => expect(third.outcome()).toBeDefined());
});

test("a connection that policies come to refuse while it is being made is cut", async () => {
  const service = await authorizer(() => says(7));
  const { certificateChainPem: cert, privateKeyPem: key } = await authority.issue({ serviceAccount: "app" });
  const secure = createTlsServer({ cert, key }, (socket) => void socket.on("error", () => undefined));
  await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
  atEnd(() => void secure.close());
  const waiting: Socket[] = [];
  const app = await rawBackend((socket) => void waiting.push(socket));
  const { port, server, guard } = await db(service.port);
  const tls = { sni: "app", spiffeId: "spiffe://cluster.local/ns/default/sa/app" };
  server.apply(cluster(LOCAL, { tls }), endpoints(LOCAL, [{ port: app.port, mtls: true }]));
  const caller = dial(port);
  const [held] = await eventually(() => (waiting.length > 0 ? waiting : undefined));
  guard(asking());
  expect(service.asked).toHaveLength(0);
  const onwards = connect((secure.address() as AddressInfo).port, "127.0.0.1");
  onwards.on("error", () => undefined);
  held!.pipe(onwards).pipe(held!);
  await eventually(() => expect(caller.outcome()).toBeDefined());
  expect(service.asked).toHaveLength(1);
});

test("a client that leaves while the service thinks ends its question", async () => {
  const service = await authorizer(() => new Promise<never>(() => undefined));
  const { port, server } = await db(
    service.port,
    asking({
      grpcService: asked(60_000),
    }),
  );
  const caller = dial(port);
  await eventually(() => expect(service.asked).toHaveLength(1));
  expect(server.metricsText()).toContain("tulle_asking_requests 1");
  caller.socket.resetAndDestroy();
  await eventually(() => expect(server.metricsText()).toContain("tulle_asking_requests 0"));
});

test("where the server may speak first it is connected to, and heard by nobody before the service has agreed", async () => {
  let code = 7;
  const service = await authorizer(() => says(code));
  const app = await rawBackend((socket) => {
    socket.write("hello ");
    socket.pipe(socket);
  }, true);
  const server = createProxy({ identity: new TestIdentity(await authority.issue({ serviceAccount: "db" })) });
  server.apply(
    staticCluster(LOCAL, app.port),
    cluster(AUTHZ, { http2: true }),
    endpoints(AUTHZ, [{ port: service.port }]),
    inboundDetectedListener({ sni: SNI, cluster: LOCAL, permissive: true, guards: [asking()] }),
  );
  const { port } = (await server.inbound()).tcp.address;
  const refused = dial(port);
  await eventually(() => expect(refused.outcome()).toBeDefined());
  expect([refused.text(), service.asked.length]).toEqual(["", 1]);
  code = 0;
  const silent = dial(port);
  await eventually(() => expect(silent.text()).toBe("hello "));
  const talking = dial(port);
  talking.socket.write("bytes");
  await eventually(() => expect(talking.text()).toBe("hello bytes"));
  expect(service.asked).toHaveLength(3);
});
