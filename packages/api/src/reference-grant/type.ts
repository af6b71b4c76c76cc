/** Who in other namespaces may refer to objects of this one (`ReferenceGrant`). */
export interface ReferenceGrantSpec {
  /** Any of them. */
  readonly from: readonly {
    readonly group: string;
    readonly kind: string;
    readonly namespace: string;
  }[];
  /** Any of them. */
  readonly to: readonly {
    readonly group: string;
    readonly kind: string;
    /** Absent: every object of the kind. */
    readonly name?: string;
  }[];
}
