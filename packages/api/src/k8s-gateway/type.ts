import type { LabelSelector } from "../schema/label-selector.js";

/** Listeners for the world outside, in Gateway API's vocabulary (`Gateway`). Absent fields mean their defaults. */
export interface K8sGatewaySpec {
  readonly gatewayClassName: string;
  /** Addresses that ports are opened on; none: every one. */
  readonly addresses?: readonly { readonly type?: string; readonly value?: string }[];
  /** 1 to 64, with different names. */
  readonly listeners: readonly GatewayListener[];
  /** From which namespaces ListenerSets may add listeners. Default `None`. */
  readonly allowedListeners?: { readonly namespaces?: AllowedNamespaces };
  readonly tls?: { readonly frontend?: GatewayFrontendTls };
}

/** Namespaces that something may come from. */
export interface AllowedNamespaces {
  readonly from?: "All" | "Same" | "Selector" | "None";
  readonly selector?: LabelSelector;
}

/** What clients must show on HTTPS listeners. */
export interface GatewayFrontendTls {
  readonly default: GatewayFrontendChecks;
  /** In place of the default, of one port each. */
  readonly perPort?: readonly { readonly port: number; readonly tls: GatewayFrontendChecks }[];
}

export interface GatewayFrontendChecks {
  /** Default: no certificate is asked for. */
  readonly validation?: GatewayFrontendValidation;
}

export interface GatewayFrontendValidation {
  /** 1 to 8 ConfigMaps or Secrets with authorities in `ca.crt`. */
  readonly caCertificateRefs: readonly SecretReference[];
  /** Default `AllowValidOnly`; the other one lets everybody in, with a good certificate or without. */
  readonly mode?: "AllowValidOnly" | "AllowInsecureFallback";
}

export interface GatewayListener {
  readonly name: string;
  /** A name or `*.suffix`; none: every host. */
  readonly hostname?: string;
  readonly port: number;
  readonly protocol: string;
  readonly tls?: GatewayListenerTls;
  readonly allowedRoutes?: {
    /** Default `Same`. */
    readonly namespaces?: AllowedNamespaces;
    /** Default: those that the protocol carries. */
    readonly kinds?: readonly { readonly group?: string; readonly kind: string }[];
  };
}

export interface GatewayListenerTls {
  /** Default `Terminate`. */
  readonly mode?: "Terminate" | "Passthrough";
  readonly certificateRefs?: readonly SecretReference[];
}

export interface SecretReference {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  /** Default: the Gateway's; any other one needs a ReferenceGrant. */
  readonly namespace?: string;
}
