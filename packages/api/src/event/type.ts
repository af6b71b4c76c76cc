/** An Event has no spec: its parts are in the object's `extra`, as {@link EventParts}. */
export type EventSpec = Readonly<Record<string, never>>;

/** What an Event of the core group says beside its metadata. Times are RFC 3339. */
export interface EventParts {
  readonly involvedObject: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  /** `Normal` or `Warning` by convention. */
  readonly type?: string;
  readonly count?: number;
  readonly firstTimestamp?: string;
  readonly lastTimestamp?: string;
  readonly eventTime?: string;
  readonly action?: string;
  readonly source?: { readonly component?: string; readonly host?: string };
  readonly related?: ObjectReference;
  readonly reportingComponent?: string;
  readonly reportingInstance?: string;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
}

export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}
