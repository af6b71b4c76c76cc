import { randomUUID } from "node:crypto";
import { join } from "node:path";

import { MeshError, type Clock } from "@tulle/base";
import type { Hono } from "hono";

import {
  bootstrapAdmin,
  createAuthenticator,
  createGate,
  OpenRequests,
  type AccessTokens,
  type AuditLog,
  type GateBindings,
  type ServeRequest,
  type VerifyBearer,
} from "../access/index.js";
import type { PeerIdentity, ServerCertificateProvider } from "../grpc/index.js";
import type { ControlPlaneOptions } from "../main.js";
import { openCertificateFiles, withRoot } from "./https-certificates.js";

export interface DoorParts {
  readonly options: ControlPlaneOptions;
  /** Whether who calls must log in. */
  readonly login: boolean;
  readonly app: Hono<{ Bindings: GateBindings }>;
  readonly accessTokens: AccessTokens;
  readonly audit: AuditLog;
  /** Whose a client certificate is, or undefined when it is no workload's of this mesh that is valid now. */
  readonly identify: (certificateDer: Buffer) => PeerIdentity | undefined;
  /** Knows bearer tokens that are not our own. */
  readonly verifiers: readonly VerifyBearer[];
  readonly serverIdentity: ServerCertificateProvider;
  readonly clock: Clock;
}

/** What stands between the network and the HTTP APIs: the gate, and TLS where callers log in. */
export interface Door {
  readonly fetch: ServeRequest;
  /** Undefined: plain HTTP. */
  readonly certificates: ServerCertificateProvider | undefined;
}

/** Builds the door, with the first admin's token where callers must log in. What must end goes to `closers`. */
export async function openDoor(parts: DoorParts, closers: (() => Promise<void> | void)[]): Promise<Door> {
  const { options, login, app, accessTokens, clock } = parts;
  const { logger } = options;
  const open = new OpenRequests(clock);
  closers.push(() => open[Symbol.dispose]());
  const revocations = accessTokens.onRevoked((name) => open.revoked(name));
  closers.push(() => revocations[Symbol.dispose]());
  const fetch = createGate({
    app,
    authenticate: login
      ? createAuthenticator({
          tokens: accessTokens,
          identify: parts.identify,
          verifiers: parts.verifiers,
          clock,
        })
      : undefined,
    open,
    audit: parts.audit,
    newRequestId: randomUUID,
    logger,
  });
  if (!login) return { fetch, certificates: undefined };

  const file = adminTokenFile(options);
  if (await bootstrapAdmin({ tokens: accessTokens, file, reset: options.resetAdminToken === true })) {
    logger.warn("made the first admin's token: keep it safe, it is written nowhere else", { file });
  }
  return { fetch, certificates: httpsCertificates(parts, closers) };
}

/** Refuses logins where nobody logs in. Throws `invalid` CONTROL_LOGIN_OPTIONS. */
export function checkOpenOptions({ oidcProviders = [] }: ControlPlaneOptions): void {
  if (oidcProviders.length === 0) return;
  throw new MeshError(
    "invalid",
    "CONTROL_LOGIN_OPTIONS",
    "OpenID providers have no effect where nobody logs in: add --require-login, or leave them out",
  );
}

/** Refuses what cannot stand together with a login. Throws `invalid` CONTROL_LOGIN_OPTIONS. */
export function checkLoginOptions(options: ControlPlaneOptions): void {
  if (options.plaintextXdsPort !== undefined) {
    throw new MeshError(
      "invalid",
      "CONTROL_LOGIN_OPTIONS",
      "plaintext xDS asks nobody who they are: leave it out where a login is required",
    );
  }
  adminTokenFile(options);
}

function httpsCertificates(
  { options, serverIdentity, clock }: DoorParts,
  closers: (() => Promise<void> | void)[],
): ServerCertificateProvider {
  if (options.httpsCertificate === undefined) return withRoot(serverIdentity);
  const files = openCertificateFiles({
    ...options.httpsCertificate,
    trustBundlePem: () => serverIdentity.current().trustBundlePem,
    clock,
    logger: options.logger,
  });
  closers.push(() => files[Symbol.dispose]());
  return files;
}

function adminTokenFile({ adminTokenFile: given, dataDirectory }: ControlPlaneOptions): string {
  if (given !== undefined) return given;
  if (dataDirectory !== undefined) return join(dataDirectory, "admin-token");
  throw new MeshError(
    "invalid",
    "CONTROL_LOGIN_OPTIONS",
    "nothing is kept on disk: say where the first admin's token is to be written (--admin-token-file)",
  );
}
