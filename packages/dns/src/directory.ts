/** One running copy of a service, as DNS answers show it. */
export interface DnsInstance {
  /** IPv4 or IPv6 literal, or a host name: that is answered as CNAME, or as the target of SRV. */
  readonly host: string;
  /** 0 to 65535; 0 when the instance has no port. */
  readonly port: number;
  /** SRV weight, 0 to 65535. */
  readonly weight: number;
  readonly tags: readonly string[];
  /** Name of its port in Kubernetes' SRV form `_<port name>._tcp.…`. */
  readonly portName: string;
}

/** A machine, as `<name>.node.consul` answers it. */
export interface DnsNode {
  /** IP literal or host name. */
  readonly host: string;
  /** Answered as TXT records `key=value`. */
  readonly meta: Readonly<Record<string, string>>;
}

/** What DNS answers from. Names come in lower case. */
export interface DnsDirectory {
  /** Instances that may get traffic; undefined when there is no such service. */
  service(namespace: string, name: string): readonly DnsInstance[] | undefined;
  node(name: string): DnsNode | undefined;
}
