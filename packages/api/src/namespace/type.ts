export interface NamespaceSpec {
  readonly finalizers?: readonly string[];
}
