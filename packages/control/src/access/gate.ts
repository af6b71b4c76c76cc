import { TLSSocket } from "node:tls";

import type { HttpBindings } from "@hono/node-server";
import type { AdmissionUser } from "@tulle/admission";
import { Caller, errorStatus, LOCAL_SUBJECT } from "@tulle/api";
import { MeshError, type Logger } from "@tulle/base";
import type { Context, Hono } from "hono";

import { type AuditLog } from "./audit-log.js";
import type { Authenticate, Authenticated } from "./authenticator.js";
import { tokenOf, type Credentials } from "./credentials.js";
import type { OpenRequests } from "./open-requests.js";
import { refuseWebPages } from "./web-pages.js";

/** What the answering side of a request finds in its environment. */
export interface GateBindings extends HttpBindings {
  readonly caller: Caller;
}

/** Who makes a request. For whatever is served behind the gate; nobody may do anything elsewhere. */
export function callerOf(context: Context): Caller {
  const { caller } = (context.env ?? {}) as Partial<GateBindings>;
  if (caller !== undefined) return caller;
  throw new MeshError("denied", "ACCESS_NO_CALLER", "nobody knows who calls");
}

/** A caller as users' rules see it (`request.userInfo`): its name, and its role as a group. */
export function userOf({ subject }: Caller): AdmissionUser {
  return { username: subject.name, groups: [`tulle:${subject.role}`] };
}

/** Answers one request of the HTTP server. */
export type ServeRequest = (request: Request, env: HttpBindings) => Promise<Response>;

export interface GateOptions {
  /** Everything that is served. */
  readonly app: Pick<Hono<{ Bindings: GateBindings }>, "fetch">;
  /** Undefined: nobody logs in, and everybody who can connect is {@link LOCAL_SUBJECT}. */
  readonly authenticate: Authenticate | undefined;
  readonly open: OpenRequests;
  readonly audit: AuditLog;
  /** RFC 9562 UUIDs. */
  readonly newRequestId: () => string;
  readonly logger: Logger;
}

/** Paths for those who have not joined yet: where the control plane is, and its roots, which are no secret. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/tulle/v1/info"]);
/** May discover, and nothing else. */
const ANONYMOUS: Authenticated = { subject: { name: "anonymous", role: "workload", namespaces: [] } };
const LOCAL: Authenticated = { subject: LOCAL_SUBJECT };
const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/**
 * The one door of the control plane's HTTP APIs: finds out who asks, lets the APIs ask what that caller may, and writes
 * down every change and every denial. An answer is given out only when it was asked what the caller may: a route that
 * forgets to fails for everybody.
 */
export function createGate(options: GateOptions): ServeRequest {
  const { app, authenticate, audit, logger } = options;
  const identify = async (url: URL, request: Request, env: HttpBindings): Promise<Authenticated> => {
    if (authenticate === undefined) return LOCAL;
    if (OPEN_PATHS.has(url.pathname) && READS.has(request.method)) return ANONYMOUS;
    return authenticate(credentialsOf(url, request, env));
  };

  return async (request, env) => {
    const url = new URL(request.url);
    const requestId = options.newRequestId();
    const from = env.incoming.socket.remoteAddress ?? "";
    const record = (response: Response, caller?: Caller, code?: string): Response => {
      const denied = response.status === 401 || response.status === 403;
      const about = { requestId, from, method: request.method, path: url.pathname };
      if (denied || (caller !== undefined && !READS.has(request.method))) {
        audit.write({
          ...about,
          who: caller?.subject.name ?? "",
          ...(caller === undefined ? {} : { role: caller.subject.role }),
          ...(caller?.action === undefined ? {} : { action: caller.action }),
          ...(caller === undefined || caller.notes.length === 0 ? {} : { notes: caller.notes }),
          outcome: denied ? "denied" : response.status < 400 ? "done" : "failed",
          status: code ?? response.status,
        });
      }
      response.headers.set("audit-id", requestId);
      return response;
    };

    let who: Authenticated;
    try {
      refuseWebPages(request.method, url, request.headers);
      who = await identify(url, request, env);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.kind === "internal") logger.error("could not find out who calls", { error });
      return record(refusal(error, url.pathname), undefined, error.code);
    }
    const caller = new Caller(who.subject);
    const closed =
      authenticate === undefined ? undefined : options.open.add(who, () => env.outgoing.destroy());
    if (closed !== undefined) env.outgoing.once("close", closed);
    const response = await app.fetch(request, { ...env, caller });
    if (response.status >= 400 || caller.asked) return record(response, caller);
    logger.error("an answer was withheld: its route does not ask what the caller may", {
      path: url.pathname,
    });
    await response.body?.cancel();
    const error = new MeshError(
      "internal",
      "ACCESS_NOT_ASKED",
      "this path does not check what its callers may",
    );
    return record(refusal(error, url.pathname), caller, error.code);
  };
}

function credentialsOf(url: URL, request: Request, env: HttpBindings): Credentials {
  const { socket } = env.incoming;
  return {
    token: tokenOf(url, request.headers),
    // An empty object without one.
    certificateDer: socket instanceof TLSSocket ? socket.getPeerCertificate().raw : undefined,
    remoteAddress: socket.remoteAddress ?? "",
  };
}

/** Consul's clients expect plain text and 403 from whom is not known; all others a Status. */
function refusal(error: MeshError, path: string): Response {
  if (path.startsWith("/v1/")) {
    const status = error.kind === "unauthenticated" ? 403 : errorStatus(error).code;
    const text = error.code === "ACCESS_BAD_TOKEN" ? "ACL not found" : `Permission denied: ${error.message}`;
    return new Response(text, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
  }
  const status = errorStatus(error);
  return Response.json(status, {
    status: status.code,
    headers: error.kind === "unauthenticated" ? { "www-authenticate": 'Bearer realm="tulle"' } : {},
  });
}
