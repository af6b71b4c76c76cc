import { randomUUID } from "node:crypto";

import { PolicyReviewer } from "@tulle/admission";
import { isProtected, isServing, KINDS, type MeshInfo, type MeshStatus } from "@tulle/api";
import { formatAddress, systemClock, VERSION, type Clock, type Logger } from "@tulle/base";
import { createDnsAnswerer } from "@tulle/dns";
import { GrpcStatus } from "@tulle/http";
import { createConsulApi, createDnsDirectory, createRegistry, type Registry } from "@tulle/registry";
import { translate, type MeshSettings, type OutboundTrafficPolicy } from "@tulle/translate";
import { Hono } from "hono";

import {
  createAccessTokens,
  createAuditLog,
  issuerTokens,
  oidcLogins,
  type OidcProvider,
  noAuditLog,
  type AuditSink,
  type GateBindings,
} from "./access/index.js";
import { createAdmission, createQuarantine } from "./admission/index.js";
import { createAnalysisApi, Findings } from "./analysis/index.js";
import { AgentQueries, AgentServer, KeptTraffic } from "./agents/index.js";
import { createResourceApi } from "./api-server/resource-api.js";
import { openMeshIdentity, serveBundle, type IdentityOptions, type MeshIdentity } from "./ca/index.js";
import { joinStatus, RouteStatuses } from "./gateway-api/index.js";
import { createConfigEntryApi, EntryRevisions } from "./consul-config/index.js";
import { createConfigIndex, createMeshReader, type ConfigIndex } from "./config/index.js";
import { startDnsServer } from "./dns/server.js";
import { EndpointReports } from "./endpoints/index.js";
import {
  auditCall,
  auditedMethod,
  startGrpcServer,
  type CallAuditOptions,
  type PeerIdentity,
} from "./grpc/index.js";
import { checkLoginOptions, checkOpenOptions, openDoor } from "./http/door.js";
import { hostOf, isLoopback } from "./http/host-check.js";
import { isWildcard, reachableNames } from "./http/reachable-names.js";
import { startHttpServer } from "./http/server.js";
import { createTulleApi } from "./http/tulle-api.js";
import { AdsServer } from "./push/index.js";
import { Reconciler } from "./reconcile/index.js";
import { createObjectStatus } from "./status/index.js";
import { createRegistryPersistence } from "./registry-persistence.js";
import { createMemoryStores, openLmdbStores, type Stores } from "./stores/open.js";
import { controlMetrics } from "./telemetry/control-metrics.js";
import { metricsText } from "./telemetry/metrics-text.js";
import {
  AddressGuard,
  guardedFetch,
  operatorFetch,
  StoredKeys,
  TokenKeys,
  type FetchText,
} from "./token-keys/index.js";
import { createValidateApi } from "./webhook/index.js";
import { changesHosts, createVirtualIps, meshHosts, namesHosts } from "./virtual-ips/index.js";

export interface ControlPlaneOptions extends Partial<IdentityOptions> {
  /** Where everything is kept; undefined: in memory, gone with the process. */
  readonly dataDirectory?: string;
  /** Address of all listeners; default 127.0.0.1. Beyond loopback the HTTP APIs need TLS and a login. */
  readonly listenAddress?: string;
  /** OpenID providers whose users log in. */
  readonly oidcProviders?: readonly OidcProvider[];
  /** TLS and a login on loopback too. Beyond it they are not optional. */
  readonly requireLogin?: boolean;
  /** Names and addresses that clients reach the control plane by, beside its own. */
  readonly hosts?: readonly string[];
  /** Certificate of the HTTP APIs. Default: one of the mesh's own authority. */
  readonly httpsCertificate?: { readonly certificateFile: string; readonly keyFile: string };
  /** Where the first admin's token is written; default `admin-token` in the data directory. */
  readonly adminTokenFile?: string;
  /** Makes a new first admin's token although there is an admin. */
  readonly resetAdminToken?: boolean;
  /** Where every write and denial is noted, one JSON object a line; default nowhere. */
  readonly auditSink?: AuditSink;
  /** HTTPS port that serves the mesh's SPIFFE bundle to other trust domains; undefined: none. */
  readonly bundleEndpointPort?: number;
  /** Ports; 0 picks a free one. Defaults: 8500, 8600, 15012. */
  readonly httpPort?: number;
  readonly dnsPort?: number;
  readonly xdsPort?: number;
  /** Plaintext xDS for proxyless gRPC clients in development, loopback only; undefined: none. */
  readonly plaintextXdsPort?: number;
  /** What sidecars do with redirected connections to nowhere that the mesh knows; default ALLOW_ANY. */
  readonly outboundTrafficPolicy?: OutboundTrafficPolicy;
  /** How proxies bring paths into one form; default `BASE`. */
  readonly pathNormalization?: NonNullable<MeshSettings["pathNormalization"]>;
  /** Retries of routes that say nothing of them. */
  readonly defaultHttpRetryPolicy?: NonNullable<MeshSettings["defaultHttpRetryPolicy"]>;
  /** Retries of sidecars towards their applications. */
  readonly defaultInboundHttpRetryPolicy?: NonNullable<MeshSettings["defaultInboundHttpRetryPolicy"]>;
  /** Share of a service's instances that must be heard of; with fewer, silent ones are kept. Default 0.2; 0 = off. */
  readonly protectThreshold?: number;
  /** Addresses, as blocks, where keys of issuers of tokens are not fetched, beside those where they never are. */
  readonly jwksBlockedCidrs?: readonly string[];
  /** … and where they are all the same. */
  readonly jwksAllowedCidrs?: readonly string[];
  /** Between two comparisons of what a proxy holds with what it was sent, milliseconds; default 60 s; 0 = never. */
  readonly reconcileIntervalMs?: number;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Numbers in [0, 1), for jitter and the order of DNS answers. */
  readonly random: () => number;
}

/** A running control plane. */
export interface ControlPlane {
  /** As it is now: roots change. */
  readonly info: MeshInfo;
  /** Whether the HTTP APIs need TLS and a token. */
  readonly login: boolean;
  status(): MeshStatus;
  /** Stops listening, ends the streams (proxies go on with what they have) and closes the stores. */
  close(): Promise<void>;
}

const DEFAULTS = {
  listenAddress: "127.0.0.1",
  httpPort: 8500,
  dnsPort: 8600,
  xdsPort: 15012,
  reconcileIntervalMs: 60_000,
  trustDomain: "cluster.local",
};
const SETTINGS: Omit<MeshSettings, "trustDomain"> = {
  domainSuffix: "cluster.local",
  rootNamespace: "istio-system",
};

/** Starts a control plane. What was started before a failure is closed again. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await build(options, closers, close);
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/**
 * The house of the control plane on one screen: stores → registry and configuration → translation → push, with the
 * certificate authority beside it. Everything that must end registers its closer when it is made.
 */
async function build(
  options: ControlPlaneOptions,
  closers: (() => Promise<void> | void)[],
  close: () => Promise<void>,
): Promise<ControlPlane> {
  const clock = options.clock ?? systemClock;
  const { logger, random } = options;
  const address = options.listenAddress ?? DEFAULTS.listenAddress;
  const trustDomain = options.trustDomain ?? DEFAULTS.trustDomain;
  const startedAt = clock.now();
  const login = options.requireLogin === true || !isLoopback(address);
  if (login) checkLoginOptions(options);
  else checkOpenOptions(options);

  const protectThreshold =
    options.protectThreshold === undefined ? {} : { protectThreshold: options.protectThreshold };
  const stores = openStores(options, clock);
  closers.push(() => stores.close());
  const registry = createRegistry({
    clock,
    random,
    logger,
    persistence: createRegistryPersistence(stores.coordination),
    ...protectThreshold,
  });
  closers.push(() => registry[Symbol.dispose]());
  await registry.start();
  const config = createConfigIndex(stores.resources, { clock, logger, random });
  closers.push(() => config[Symbol.dispose]());

  await config.ready;
  const settings: MeshSettings = {
    ...SETTINGS,
    trustDomain,
    trustDomainAliases: options.trustDomainAliases ?? [],
    federatedTrustDomains: (options.federation ?? []).map((domain) => domain.trustDomain),
    pathNormalization: options.pathNormalization ?? "BASE",
    outboundTrafficPolicy: options.outboundTrafficPolicy ?? "ALLOW_ANY",
    ...(options.defaultHttpRetryPolicy && { defaultHttpRetryPolicy: options.defaultHttpRetryPolicy }),
    ...(options.defaultInboundHttpRetryPolicy && {
      defaultInboundHttpRetryPolicy: options.defaultInboundHttpRetryPolicy,
    }),
    ...protectThreshold,
  };
  const quarantine = createQuarantine({ settings, logger });
  const index: Pick<ConfigIndex, "objects"> = {
    objects: (group, kind) => quarantine.admitted(config.objects(group, kind)),
  };
  for (const { group, kind } of KINDS) await quarantine.warm(config.objects(group, kind));
  const hosts = { catalog: registry.catalog, index, domainSuffix: SETTINGS.domainSuffix };
  const virtualIps = await createVirtualIps({
    coordination: stores.coordination,
    hosts: () => meshHosts(hosts),
    clock,
    random,
    logger,
  });
  closers.push(() => virtualIps[Symbol.dispose]());
  registry.catalog.onChanged((change) => {
    if (changesHosts(hosts, change, (host) => virtualIps.addressOf(host))) virtualIps.refresh();
  });
  config.onChange(({ keys }) => {
    if (namesHosts(keys)) virtualIps.refresh();
  });

  const { auditSink } = options;
  const audit = auditSink === undefined ? noAuditLog : createAuditLog({ sink: auditSink, clock, logger });
  closers.push(() => audit.close());
  const names = reachableNames(address, options.hosts ?? []);
  const cidrs = { blocked: options.jwksBlockedCidrs ?? [], allowed: options.jwksAllowedCidrs ?? [] };
  const guard = new AddressGuard(cidrs);
  const fetchFor = (configured: string): FetchText => operatorFetch(configured, cidrs);
  const oidc = oidcLogins({ providers: options.oidcProviders ?? [], clock, fetchFor });
  const identity = await openMeshIdentity(
    { ...options, ...names, trustDomain },
    {
      fetchFor,
      coordination: stores.coordination,
      clock,
      random,
      logger,
      onIssued: ({ spiffeId, serialNumber }, call) =>
        auditCall(call, GrpcStatus.OK, `certificate/${spiffeId} ${serialNumber}`, callAudit),
    },
  );
  const callAudit: CallAuditOptions = { audit, identify: identity.peerIdentity, newRequestId: randomUUID };
  closers.push(() => identity[Symbol.dispose]());
  const { peerIdentity, joinTokens } = identity;
  const accessTokens = createAccessTokens({ coordination: stores.coordination, clock });
  const tokenKeys = new TokenKeys({
    objects: () => index.objects("security.istio.io", "RequestAuthentication"),
    changes: config.onChange,
    fetchText: (timeoutMs) => (url, maxBytes) => guardedFetch(url, { guard, timeoutMs, maxBytes }),
    stored: await StoredKeys.open({ coordination: stores.coordination, clock, logger }),
    clock,
    random,
    logger,
  });
  closers.push(() => tokenKeys[Symbol.dispose]());
  const reader = createMeshReader({
    settings,
    catalog: registry.catalog,
    index,
    virtualIp: (host) => virtualIps.addressOf(host),
    tokenKeys: (source) => tokenKeys.keysOf(source),
  });
  const ads = new AdsServer({
    reader,
    translate,
    identify: peerIdentity,
    warm: () => config.ready,
    catalogChanges: registry.catalog.onChanged,
    configChanges: config.onChange,
    virtualIpChanges: virtualIps.onChanged,
    keyChanges: tokenKeys.onChanged,
    clock,
    logger,
  });
  const agents = new AgentServer({ identify: peerIdentity, clock, logger });
  const reconciler = new Reconciler({
    agents: () => agents.agents(),
    ads,
    intervalMs: options.reconcileIntervalMs ?? DEFAULTS.reconcileIntervalMs,
    clock,
    random,
    logger,
  });
  closers.push(() => reconciler[Symbol.dispose]());
  const routeStatuses = new RouteStatuses({ reader, index: config, clock });
  const findings = new Findings({
    reader,
    changes: [config.onChange, registry.catalog.onChanged, virtualIps.onChanged],
  });
  const statusOf = createObjectStatus({ ledger: ads.ledger, findings, quarantine, index: config });
  const judged = { admit: createAdmission({ reader, logger }), policies: new PolicyReviewer(config) };
  const resourceApi = await createResourceApi({
    kinds: KINDS,
    store: stores.resources,
    clock,
    version: VERSION,
    newUid: randomUUID,
    statusOf: (key) =>
      key.group === "" ? undefined : joinStatus(statusOf(key), routeStatuses.statusOf(key)),
    ...judged,
    logger,
  });

  const xds = await startGrpcServer({
    address,
    port: options.xdsPort ?? DEFAULTS.xdsPort,
    certificates: identity.server,
    methods: [...ads.methods({ anonymous: false }), ...agents.methods(), ...identity.methods].map((method) =>
      auditedMethod(method, callAudit),
    ),
    clock,
  });
  closers.push(() => xds.close());
  const plaintext =
    options.plaintextXdsPort === undefined
      ? undefined
      : await startGrpcServer({
          address,
          port: options.plaintextXdsPort,
          certificates: undefined,
          methods: ads.methods({ anonymous: true }),
          clock,
        });
  if (plaintext !== undefined) closers.push(() => plaintext.close());
  // Before its servers, so that their graceful close finds no stream open.
  closers.push(() => ads[Symbol.dispose]());
  closers.push(() => agents[Symbol.dispose]());

  const answer = createDnsAnswerer(createDnsDirectory(registry.catalog, options.protectThreshold), {
    clusterDomain: SETTINGS.domainSuffix,
    random,
  });
  const dns = await startDnsServer({ address, port: options.dnsPort ?? DEFAULTS.dnsPort, answer, logger });
  closers.push(() => dns.close());

  const status = (): MeshStatus =>
    meshStatus({
      stores,
      registry,
      config,
      identity,
      ads,
      agents,
      reconciler,
      startedAt,
      now: clock.now(),
      protectThreshold: options.protectThreshold,
    });
  // Filled in once the HTTP port is known; nothing asks before.
  let infoFor: ((host: string) => MeshInfo) | undefined;
  const asked = { agents: () => agents.agents(), catalog: registry.catalog };
  const keptTraffic = await KeptTraffic.open({
    coordination: stores.coordination,
    ask: () => new AgentQueries(asked).connectedTraffic("read"),
    clock,
    logger,
  });
  closers.push(() => keptTraffic[Symbol.dispose]());
  const queries = new AgentQueries({ ...asked, kept: keptTraffic });
  const endpoints = new EndpointReports({
    catalog: registry.catalog,
    domainSuffix: SETTINGS.domainSuffix,
    ledger: ads.ledger,
    agents: () => agents.agents(),
  });
  const metrics = (): string => {
    const { services, instances } = status().controlPlane;
    return metricsText(
      controlMetrics({
        version: VERSION,
        startedAt,
        now: clock.now(),
        push: ads.metrics,
        reconciler,
        config,
        authority: identity.authority,
        tokenKeys,
        services,
        instances,
      }),
    );
  };
  const app = new Hono<{ Bindings: GateBindings }>();
  const revisions = new EntryRevisions(config);
  closers.push(() => revisions[Symbol.dispose]());
  const entries = createConfigEntryApi({
    resources: resourceApi.resources,
    store: stores.resources,
    reader,
    registry,
    revisions,
    logger,
  });
  for (const path of ["/v1/config", "/v1/config/*", "/v1/discovery-chain/*"])
    app.all(path, (c) => entries.fetch(c.req.raw, c.env));
  const consul = createConsulApi(registry, { logger, version: VERSION });
  app.all("/v1/*", (c) => consul.fetch(c.req.raw, c.env));
  app.route("/", createAnalysisApi({ reader, kinds: KINDS, clock, logger }));
  app.route("/", createValidateApi({ reader, kinds: KINDS, ...judged, logger }));
  app.route(
    "/",
    createTulleApi({
      info: (host) => infoFor!(host),
      status,
      metrics,
      joinTokens,
      rollover: identity.rollover,
      revocation: identity.revocation,
      accessTokens,
      queries,
      endpoints,
      logger,
    }),
  );
  app.all("/*", (c) => resourceApi.app.fetch(c.req.raw, c.env));
  const identify = (raw: Buffer): PeerIdentity | undefined =>
    peerIdentity({ peer: { address: "", certificateDer: raw } });
  const { fetch, certificates } = await openDoor(
    {
      options,
      login,
      app,
      accessTokens,
      audit,
      identify,
      verifiers: [issuerTokens(identity.joinIssuers, trustDomain), oidc],
      serverIdentity: identity.server,
      clock,
    },
    closers,
  );
  const http = await startHttpServer({
    address,
    port: options.httpPort ?? DEFAULTS.httpPort,
    names: new Set(names.dnsNames),
    fetch,
    certificates,
    logger,
  });
  closers.push(() => http.close());

  const bundle =
    options.bundleEndpointPort === undefined
      ? undefined
      : await serveBundle({
          address,
          port: options.bundleEndpointPort,
          trust: identity.trust,
          certificates: (options.httpsCertificate && certificates) ?? identity.server,
          clock,
        });
  if (bundle !== undefined) closers.push(() => bundle.close());

  infoFor = (reachedBy) => {
    // Who listens everywhere is reached at where it was reached.
    const host = isWildcard(address) ? hostOf(reachedBy) || address : address;
    return {
      version: VERSION,
      trustDomain,
      domainSuffix: SETTINGS.domainSuffix,
      addresses: {
        http: formatAddress(host, http.port),
        dns: formatAddress(host, dns.port),
        xds: formatAddress(host, xds.port),
        ...(bundle === undefined ? {} : { bundle: formatAddress(host, bundle.port) }),
        ...(plaintext === undefined ? {} : { xdsPlaintext: formatAddress(host, plaintext.port) }),
      },
      rootCertificatePem: identity.authority.signer.trustBundlePem,
    };
  };
  const now = infoFor;
  return {
    get info() {
      return now("");
    },
    login,
    status,
    close,
  };
}

function openStores({ dataDirectory }: ControlPlaneOptions, clock: Clock): Stores {
  return dataDirectory === undefined
    ? createMemoryStores({ clock })
    : openLmdbStores({ directory: dataDirectory, clock });
}

function meshStatus(sources: {
  readonly stores: Stores;
  readonly registry: Registry;
  readonly config: ConfigIndex;
  readonly identity: MeshIdentity;
  readonly ads: AdsServer;
  readonly agents: AgentServer;
  readonly reconciler: Reconciler;
  readonly startedAt: number;
  readonly now: number;
  readonly protectThreshold: number | undefined;
}): MeshStatus {
  const { stores, registry, config, identity, ads, agents, reconciler } = sources;
  const { startedAt, now, protectThreshold } = sources;
  const services = [...registry.catalog.services()];
  const instances = services.flatMap((service) => service.instances);
  const meshAddresses = new Set(
    instances.flatMap(({ meshAddress: at }) => (at === undefined ? [] : [formatAddress(at.host, at.port)])),
  );
  return {
    controlPlane: {
      version: VERSION,
      startedAt,
      now,
      store: stores.kind,
      services: services.length,
      instances: instances.length,
      healthyInstances: instances.filter((instance) => isServing(instance.health)).length,
      objects: config.size,
      protectedServices: services
        .filter(({ instances: own }) => isProtected(own, protectThreshold))
        .map(({ namespace, name }) => `${namespace}/${name}`)
        .sort(),
    },
    authority: identity.status(),
    proxies: ads.ledger.proxies().map((proxy) => {
      const reconciliation = reconciler.stateOf(proxy.id);
      return reconciliation === undefined ? proxy : { ...proxy, reconciliation };
    }),
    lostProxies: agents.lost((address) => meshAddresses.has(address)),
    certificates: identity.authority.issued(),
  };
}
