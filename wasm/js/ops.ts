// What the module can be asked, by number. The other half are `src/lib.rs`, `edit.rs`, `read.rs`, `output.rs` and `error.rs`.

export const enum Command {
  Open,
  Begin,
  Edit,
  Commit,
  Rollback,
  Read,
  Dialing,
  Connected,
  Disconnected,
  Frame,
  Tick,
  Durable,
  Retire,
  Deadline,
  Poll,
  Status,
  NextDelay,
  ResetDelay,
  IsCompactionDue,
  Compact,
  Covers,
  SetPresence,
  SetToken,
}

export const enum Edit {
  MapPut,
  MapRemove,
  MapClear,
  ListInsert,
  ListInsertContainer,
  ListRemove,
  ListMove,
  ListSet,
  SetAdd,
  SetRemove,
  SetClear,
  CounterAdd,
  FlagSet,
  RegisterSet,
  TextReplace,
  TextSet,
  TextMark,
  TextUnmark,
}

export const enum Read {
  /** All that is directly in a container; of containers in it only that they are there. */
  Content,
  /** The same for some keys or elements of it. */
  Cells,
  MapGet,
  MapValues,
  MapHas,
  MapKeys,
  ListLength,
  ListGet,
  ListIds,
  ListIndexOf,
  ListKind,
  SetHas,
  SetSize,
  RegisterValues,
  TextLength,
  TextSlice,
  TextCursor,
  TextIndexOf,
  TextSpans,
}

export const enum Output {
  Transmit = 1,
  Persist,
  Changed,
  Disconnect,
  Presence,
  ForkRepaired,
  TokenWanted,
}

export const enum Fault {
  NoSuchElement = 1,
  IndexOutOfRange,
  WrongKind,
  Limit,
  CounterOverflow,
  Transaction,
  Protocol,
  StoredData,
}
