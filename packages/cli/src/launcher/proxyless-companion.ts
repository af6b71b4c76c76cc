import { join } from "node:path";

import {
  connectControlPlane,
  createWorkloadIdentity,
  keepCertificateFiles,
  TrustSubscription,
  writeGrpcBootstrap,
} from "@tulle/agent";
import { startRelay } from "@tulle/agent/relay";
import { DisposableStack } from "@tulle/base";

import type { Companion, CompanionOptions } from "./companion.js";

/**
 * For applications whose gRPC library speaks xDS itself: no proxy, only the workload's identity and a relay on a Unix
 * socket. The application finds its bootstrap document through `GRPC_XDS_BOOTSTRAP`.
 */
export async function startProxylessCompanion(options: CompanionOptions): Promise<Companion> {
  const { workload, instanceId, directory, clock, random, logger } = options;
  const { controlPlane, joinToken } = await options.joined;
  const { service, namespace, serviceAccount = service, version } = workload;
  const owned = new DisposableStack();
  try {
    const identity = owned.use(
      await createWorkloadIdentity({
        id: { trustDomain: controlPlane.trustDomain, namespace, serviceAccount },
        stateDirectory: directory,
        controlPlane: { address: controlPlane.xds, rootCertificatePem: controlPlane.rootCertificatePem },
        joinToken,
        clock,
        random,
        logger,
      }),
    );
    await identity.ready();
    const trust = owned.use(
      new TrustSubscription({
        trustDomain: () => controlPlane.trustDomain,
        onTrust: (update) => identity.trust(update),
        clock,
        random,
        logger,
      }),
    );
    trust.follow(() => {
      const svid = identity.current();
      const { xds: address, trustDomain } = controlPlane;
      return connectControlPlane(
        { address, trustDomain, rootCertificatePem: svid.trustBundlePem },
        svid,
        clock,
      );
    });
    const certificateDirectory = join(directory, "certificates");
    owned.use(await keepCertificateFiles({ directory: certificateDirectory, identity, logger }));
    const node = {
      id: `sidecar~127.0.0.1~${instanceId}.${namespace}~${namespace}.svc.cluster.local`,
      metadata: {
        NAMESPACE: namespace,
        SERVICE_ACCOUNT: serviceAccount,
        WORKLOAD_NAME: version === undefined ? service : `${service}-${version}`,
      },
    };
    const socketPath = join(directory, "xds.sock");
    const relay = await startRelay({
      socketPath,
      identity,
      controlPlane: { address: controlPlane.xds },
      trustDomain: controlPlane.trustDomain,
      node,
      clock,
      logger,
    });
    const path = join(directory, "grpc-bootstrap.json");
    await writeGrpcBootstrap({ path, socketPath, node, certificateDirectory });
    return {
      identity,
      addresses: { relay: `unix:${socketPath}`, bootstrap: path },
      meshAddress: undefined,
      quitRequested: new Promise(() => undefined),
      failed: new Promise(() => undefined),
      environment: () => ({ GRPC_XDS_BOOTSTRAP: path }),
      drain: () => Promise.resolve(),
      close: async () => {
        await relay.close();
        owned[Symbol.dispose]();
      },
    };
  } catch (thrown) {
    owned[Symbol.dispose]();
    throw thrown;
  }
}
