/** A Secret has no spec: its parts are in the object's `extra`, as {@link SecretParts}. */
export type SecretSpec = Readonly<Record<string, never>>;

/** What a Secret holds beside its metadata. `stringData` that a user wrote is folded into `data`. */
export interface SecretParts {
  /** Key → base64. */
  readonly data?: Readonly<Record<string, string>>;
  /** `Opaque` when the user gave none. */
  readonly type: string;
  readonly immutable?: boolean;
}
