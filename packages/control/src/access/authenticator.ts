import type { Subject } from "@tulle/api";
import { MeshError, type Clock } from "@tulle/base";

import type { AccessTokens } from "./access-tokens.js";
import type { Credentials } from "./credentials.js";
import { FailureThrottle } from "./failure-throttle.js";

/** Somebody who has proved who it is. */
export interface Authenticated {
  readonly subject: Subject;
  /** When the proof ends, milliseconds since the epoch; absent: it does not by itself. */
  readonly expiresAt?: number;
  /** Name of the token that proved it: what can be revoked. */
  readonly tokenName?: string;
}

/**
 * Tells who shows these credentials. Rejects with `unauthenticated` ACCESS_NO_CREDENTIALS, ACCESS_BAD_TOKEN,
 * ACCESS_BAD_CERTIFICATE, or `exhausted` ACCESS_THROTTLED after too many failures.
 */
export type Authenticate = (credentials: Credentials) => Promise<Authenticated>;

/** A workload's identity, out of a client certificate that is valid now. */
export interface CertificateIdentity {
  readonly spiffeId: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly notAfter: number;
}

/** Verifies a bearer token that is not our own; undefined: not of this kind, or not good. */
export type VerifyBearer = (token: string) => Promise<Authenticated | undefined>;

export interface AuthenticatorOptions {
  readonly tokens: Pick<AccessTokens, "find">;
  /** Who a certificate belongs to, or undefined when it is not one of this mesh that is valid now. */
  readonly identify: (certificateDer: Buffer) => CertificateIdentity | undefined;
  /** Other tokens than our own, asked in order. */
  readonly verifiers?: readonly VerifyBearer[];
  readonly clock: Clock;
}

/** A token that is shown decides, good or not; a certificate counts only where none is. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  const { tokens, identify, verifiers = [] } = options;
  const throttle = new FailureThrottle(options.clock);
  const refuse = (address: string, code: string, message: string): MeshError =>
    throttle.failed(address) ? new MeshError("unauthenticated", code, message) : throttled();

  return async ({ token, certificateDer, remoteAddress }) => {
    if (token !== undefined) {
      const own = await tokens.find(token);
      if (own !== undefined) {
        const { expiresAt } = own;
        const subject: Subject = {
          name: `token:${own.name}`,
          role: own.role,
          namespaces: own.namespaces,
          ...(own.serviceAccount === undefined ? {} : { serviceAccount: own.serviceAccount }),
        };
        return { subject, tokenName: own.name, ...(expiresAt === undefined ? {} : { expiresAt }) };
      }
      if (verifiers.length > 0 && throttle.isOver(remoteAddress)) throw throttled();
      for (const verify of verifiers) {
        const known = await verify(token);
        if (known !== undefined) return known;
      }
      throw refuse(remoteAddress, "ACCESS_BAD_TOKEN", "the token is unknown, revoked or expired");
    }
    if (certificateDer === undefined) {
      throw refuse(
        remoteAddress,
        "ACCESS_NO_CREDENTIALS",
        "log in: send a token (Authorization: Bearer …), as tulle does with --token or $TULLE_TOKEN",
      );
    }
    const identity = identify(certificateDer);
    if (identity === undefined) {
      throw refuse(
        remoteAddress,
        "ACCESS_BAD_CERTIFICATE",
        "the client certificate is not a workload's of this mesh, or not valid now",
      );
    }
    const { spiffeId, namespace, serviceAccount, notAfter } = identity;
    return {
      subject: { name: spiffeId, role: "workload", namespaces: [namespace], serviceAccount },
      expiresAt: notAfter,
    };
  };
}

function throttled(): MeshError {
  return new MeshError(
    "exhausted",
    "ACCESS_THROTTLED",
    "too many failed logins from this address; wait a second",
  );
}
