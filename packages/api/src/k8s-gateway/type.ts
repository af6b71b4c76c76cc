/** Listeners for the world outside, in Gateway API's vocabulary (`Gateway`). Absent fields mean their defaults. */
export interface K8sGatewaySpec {
  readonly gatewayClassName: string;
  /** Addresses that ports are opened on; none: every one. */
  readonly addresses?: readonly { readonly type?: string; readonly value?: string }[];
  /** 1 to 64, with different names. */
  readonly listeners: readonly GatewayListener[];
}

export interface GatewayListener {
  readonly name: string;
  /** A name or `*.suffix`; none: every host. */
  readonly hostname?: string;
  readonly port: number;
  readonly protocol: string;
  readonly tls?: GatewayListenerTls;
  readonly allowedRoutes?: {
    readonly namespaces?: {
      /** Default `Same`. */
      readonly from?: "All" | "Same" | "Selector" | "None";
      readonly selector?: LabelSelector;
    };
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

/** Kubernetes' selector of labels: everything in it must hold. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}
