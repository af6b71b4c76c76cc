/** A ConfigMap has no spec: its parts are in the object's `extra`, as {@link ConfigMapParts}. */
export type ConfigMapSpec = Readonly<Record<string, never>>;

/** What a ConfigMap holds beside its metadata. No key is in both. */
export interface ConfigMapParts {
  /** Key → text. */
  readonly data?: Readonly<Record<string, string>>;
  /** Key → base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}
