//! The list of all faults, by what they are in.
//!
//! A text begins with the rule that the fault breaks, or with the part of the semantics. One that breaks nothing says
//! `equivalent` and why, instead of being killed by a test: `Name equivalent "why",`.

faults! {
    // ---- Dots and causality ----

    /// DOT-2: a delta that only removes takes no dot.
    RemovalTakesNoDot,
    /// CAUSAL-2: a delta is applied before what it depends on.
    NoDependencyCheck,
    /// DOT-1: two histories under one id are not told apart, so that a copied document may keep its id.
    NoChainCheck,
    /// CAUSAL-1: what waits for what it depends on waits for ever.
    ParkedForgotten,
    /// CAUSAL-2: a delta that must wait shows what it adds all the same.
    ParkedInPart,
    /// CAUSAL-2: heads that a transaction has seen stay heads.
    HeadsPileUp,
    /// CAUSAL-2: whether a container is known is not checked.
    UnknownContainers,
    /// CAUSAL-2: whether what is removed is known is not checked.
    UnknownRemovals,
    /// VALID-1: what is added under something dead is kept.
    DeadContainerKept,
    /// VALID-1: an entry of a kind that this version does not know is dropped.
    UnknownKindsDropped,

    // ---- Removal ----

    /// ENT-1: the subtree of a removed entity stays.
    NoCascade,
    /// REM-2: a delta's removal is not noted in the log.
    RemovalNotLogged,
    /// UNDO-2: a dot that is noted as removed by one delta is not noted again for another.
    OnePairForEachDot,
    /// REM-2: a removal is noted under an earlier delta of the one that removed.
    WrongRemover,
    /// REM-3: the log is forgotten, and the horizon stays where it was.
    TruncationKeepsHorizon,
    /// REM-2: of a chain of removals that is cut, the removed dots are told from its beginning on.
    ChainCutInRemoversOnly,
    /// REM-2: removals that follow each other are a chain, whatever lies between the removed dots.
    ChainOverGaps,
    /// REM-1: removing one dot of a slot hides the others, which nobody removed.
    RemovalHidesUnseen,

    // ---- Diffs ----

    /// DIFF-1: a diff is applied whatever its base.
    NoBaseCheck,
    /// DIFF-1: a diff of the digest tier is applied by replicas that do not cover the digest's version.
    DigestIgnoresAhead,
    /// DIFF-2: the version tier is served to a peer below the horizon.
    VersionTierBelowHorizon,
    /// DIFF-3: removal pairs are left out where the peer has not seen the removed dot.
    PairsOnlyForKnownDots,
    /// DIFF-4: a full diff leaves the receiver's horizon where it was.
    FullKeepsHorizon,
    /// DIFF-4: a diff of the digest tier leaves the receiver's horizon where it was.
    DigestKeepsHorizon,
    /// DIFF-4: loading a snapshot leaves the horizon at nothing.
    LoadForgetsHorizon,
    /// DIFF-4: a snapshot at rest does not hold the removal log.
    SnapshotForgetsLog,
    /// DIFF-5: a diff inserts what was known and has died here.
    DiffResurrects,
    /// DIFF-5: what a full diff does not name stays.
    FullKillsNothing,
    /// DIFF-5: a diff of the digest tier tells only what died of its maker's own dots.
    DigestOnlyOwnDeaths,
    /// DIFF-5: what a diff of the digest tier says died is not looked at.
    DigestDeadIgnored,
    /// DIFF-5: the receiver of a diff does not log the removals in it.
    DiffPairsNotLogged,
    /// DIFF-5: the receiver of a diff does not learn the maker's heads.
    DiffForgetsHeads,

    // ---- Beacon and bytes ----

    /// DOT-1: the beacon goes on counting what died.
    BeaconCountsDead,
    /// DOT-1: the beacon does not look at stamps.
    BeaconIgnoresStamps,
    /// DOT-1: what a transaction added is not counted in the beacon when it commits.
    BeaconForgetsOwn,
    /// DOT-1: what a rollback brings back is not counted in the beacon again.
    BeaconForgetsReturned,
    /// DOT-1: what a transaction takes away again is subtracted from a beacon that it was not counted in.
    BeaconTakesUncounted,
    /// BYTES-2: what a running total overwrote is left out of a delta's bytes.
    CodecForgetsTotals,
    /// BYTES-2: the heads are left out of a diff's bytes.
    CodecForgetsHeads,
    /// CAUSAL-2: a delta that removes its own dots is read.
    CodecTakesOwnRemovals,

    // ---- Transactions ----

    /// CAUSAL-2: what a transaction adds and takes away again is removed by its delta.
    NettingMissed,
    /// Transactions: what a transaction removed stays dead when it is rolled back.
    RollbackLeavesDead,
    /// Transactions: the positions that a transaction made stay when it is rolled back.
    RollbackKeepsBunches,
    /// Transactions: the stamps of a transaction that is rolled back are used up.
    RollbackKeepsClock,
    /// Transactions: a document that was loaded begins its stamps anew.
    StampsBeginAnew,
    /// Transactions: a stamp that is far ahead is merged into one's own clock.
    FarStampsSpread,
    /// Transactions: what is put twice in one transaction keeps the first value.
    PutAgainKeepsOld,

    // ---- Registers ----

    /// Registers: ties are broken by the number that a replica has here.
    WinnerByNumber,
    /// Registers: the first of concurrent writes is shown, not the last.
    EarliestWins,
    /// Registers: an observed write of a later stamp is not overwritten.
    PutLosesToLaterStamp,
    /// Registers: a max or min register reads what was written last.
    ExtremeByStamp,

    // ---- Counters ----

    /// Counters: a total is overwritten wherever it is, and written into the lowest incarnation.
    CounterMovesTotals,
    /// Counters: of two increments in one transaction the second is lost.
    CounterCountsOnce,
    /// Counters: a delta says of a total that it overwrote what the same delta had put there.
    CounterForgetsBefore,
    /// Counters: decrements are not read.
    CounterIgnoresMinus,
    /// Counters: whoever adds takes over the total of another replica.
    CounterTakesOver,
    /// Counters: what is overwritten stays in the sum.
    SumKeepsDead,
    /// Counters: a total that grows where it is does not count in the sum.
    SumKeepsOld,
    /// Counters: where one's own total was last is believed without looking.
    HintBelieved,

    // ---- Sets and flags ----

    /// Sets: adding a member again takes no fresh dot.
    AddWithoutDot,
    /// Sets: clearing removes only the first member.
    ClearRemovesFirst,
    /// Sets: of concurrent additions only one is removed.
    RemovesOneOfMany,
    /// Flags: enabling what is enabled takes no fresh dot.
    EnableWithoutDot,
    /// Flags: of concurrent enablings only one is disabled.
    DisablesOneOfMany,
    /// Flags: a disable-wins flag, or a value of a remove-wins set, is there although it was also taken away.
    MarksIgnored,
    /// Flags: disabling a disable-wins flag only removes what enabled it.
    DisableLeavesNoMark,
    /// Sets: removing from a remove-wins set only removes the additions.
    RemoveLeavesNoMark,
    /// Sets: adding a member of a grow-only set again writes it again.
    GrowOnlyAddsAgain,

    // ---- Bounded counters ----

    /// ESC-2: whoever subtracts may use everybody's rights.
    RightsOfAll,
    /// ESC-2: rights that were given away are kept as well.
    GivenRightsKept,
    /// ESC-2: rights are used up in the first incarnation that has any, whatever it has.
    RightsSpentAtOnce,
    /// ESC-3: a replica's rights are overwritten wherever they are, and written into another incarnation.
    RightsMoveIncarnations,
    /// Bounded counters: the floors of several incarnations are added up.
    FloorsAdd,

    // ---- Maps and incarnations ----

    /// Maps: a put removes only registers.
    PutLeavesContainers,
    /// Maps: a put or a removal leaves containers.
    RemoveLeavesContainers,
    /// Maps: a put or a removal leaves flags.
    RemoveLeavesFlags,
    /// Maps: reaching into a container removes the value beside it.
    ReachingRemoves,
    /// Maps: a key stays when nothing is under it.
    EmptyKeysStay,
    /// Incarnations: a put writes only into the lowest incarnation.
    PutIntoLowestOnly,
    /// Incarnations: creations under one key do not merge.
    CreationsDoNotMerge,
    /// Incarnations: the values of one delta in several incarnations are shown several times.
    ValuesShowCopies,
    /// Incarnations: the lowest is the one of the lowest number here.
    LowestByNumber,
    /// Incarnations: a removal takes away only one of them.
    RemovesOneIncarnation,
    /// Incarnations: when only one is left, what is in it is not found any more.
    LastIncarnationEmptied,

    // ---- Lists ----

    /// Lists: the move that arrives last counts.
    LastMoveToArriveCounts,
    /// Lists: a move does not replace those it has seen.
    MoveKeepsOld,
    /// Lists: an element whose winning move goes stays where that put it.
    MoveNotTakenBack,
    /// Lists: an element is put into the lowest incarnation, not beside its neighbour.
    ElementIntoLowest,
    /// Lists: the first value of an element is shown beside later ones.
    FirstValueStays,

    // ---- Changes ----

    /// Changes: the application is not told that an element moved, or that a value changed.
    ChangeNotTold,
    /// Changes: the application is not told that an element went.
    RemovalNotTold,
    /// Changes: the value that a key had in a batch last but one is told as the old one.
    NotesKeepLast,
    /// Changes: what changed twice in one batch is told twice.
    ToldTwice,
    /// Changes: of a key with one value it is not told that it was overwritten.
    OverwritesNotTold,
    /// Changes: an element that is new is told to have had a value before.
    NewElementsShowedBefore,
    /// Changes: what a removed element showed is not told.
    RemovedShowedNothing,
    /// Changes: what a transaction changed that was rolled back is never told of again.
    NotedAfterRollback,
    /// Changes: the number of a place that is gone is given to another one in the same batch.
    PlacesUsedAtOnce,

    // ---- Tables and places in memory ----

    /// Memory: whoever is taken out of a table makes its neighbours unfindable.
    TableLosesNeighbours,
    /// Memory: a key is given up while something is under it.
    KeyGivenUpInUse,
    /// Memory: the only entry under a key is forgotten when a second one comes.
    LoneForgotten,
    /// Memory: the only addition of a member is forgotten when a second one comes.
    LoneMemberForgotten,
    /// Memory: a slot is given up while its number is in the table.
    SlotGivenTwice,
    /// Memory: an entry that goes takes those behind it out of the list of what is in the entity.
    TailUnlinked,
    /// Memory: dots beside each other are mixed up.
    RankOffByOne,
    /// Memory: a range of dots begins with all that lie beside its first.
    RangeBeginsEarly,

    // ---- Undo ----

    /// UNDO-1: an undo takes away a container although another replica wrote into it.
    UndoRemovesForeign,
    /// UNDO-1: undoing an increment takes back what the others added, too.
    UndoTakesForeignTotals,
    /// UNDO-2: a write that was overwritten elsewhere is undone all the same: what it had replaced comes back.
    UndoResurrects,
    /// UNDO-3: what was undone and comes back under fresh dots is not found by the steps that named it before.
    UndoForgetsNames,
    /// UNDO-3: undoing a removal brings back what was removed, but nothing inside.
    UndoRestoresTopOnly,
    /// UNDO-3: a list element comes back at the end, wherever it was.
    UndoForgetsPlace,
    /// UNDO-3: deleted text comes back in one piece, past what others have inserted in its middle.
    UndoTypesInOnePiece,
    /// UNDO-1: what an undo typed again for another replica counts as one's own.
    UndoOwnsCopiedText,

    // ---- Positions ----

    /// SEQ-2: bunches of other replicas are extended like own ones.
    ExtendsForeign,
    /// SEQ-4: a bunch is extended to the right of an index below 0.
    ExtendsRightFromLeft,
    /// SEQ-4: a bunch is extended to the left of an index above 0.
    ExtendsLeftFromRight,
    /// SEQ-4: a new value always goes to the right of its left neighbour.
    AlwaysRightChild,
    /// SEQ-4: what is deep becomes the sibling of an ancestor wherever that is.
    RerootsAnywhere,
    /// SEQ-4: left and right children compare alike.
    IgnoresSide,
    /// SEQ-4: right children of low indexes come first.
    RightZoneAscending,
    /// SEQ-4: siblings are ordered by the number a replica has here.
    SiblingsByNumber,
    /// SEQ-4: siblings are ordered by sequence number only.
    SiblingsBySeq,
    /// SEQ-4: foreign siblings are nearest to the parent.
    ForeignNearest,
    /// SEQ-4: ancestors without a value of their own do not count.
    SkipsEmptyAncestors,
    /// SEQ-6: what has no value of its own is dropped, whatever hangs on it.
    DropsNeeded,
    /// SEQ-3: chains are bunches without their ancestors.
    ChainsWithoutAncestors,
    /// SEQ-6: a snapshot at rest does not hold the dead positions that its log still needs.
    SnapshotForgetsDead,

    /// SEQ-6: a diff of the version tier does not hold the dead positions that a removal in it needs.
    DiffForgetsDead,

    // ---- Text ----

    /// Text: the text of a replica that wrote from right to left is read as it was written.
    BackwardTextNotTurned,
    /// Text: what is typed goes into the lowest incarnation, not beside its neighbour.
    TextIntoLowest,
    /// ENT-1: the text of an incarnation stays when that is removed.
    TextOutlivesContainer,
    /// REM-1: of a run that is written from right to left the wrong end is removed.
    RemovesWrongHalf,
    /// Transactions: text that a transaction deleted stays deleted when it is rolled back.
    RollbackForgetsText,
    /// SEQ-4: a bunch goes on to the right where it did last time, whatever is on the right by now.
    PlaceForgetsRight,
    /// SEQ-4: text of a diff is put in in one piece, also where other text lies between.
    SpanInOnePiece,
    /// SEQ-4: what is loaded is laid out without regard to what hangs on the left.
    LaidOutWithoutSides,
    /// SEQ-5: text is taken in although its bunch is not known.
    TextReadyTooSoon,
    /// VALID-1: a diff leaves out text that is in no text.
    HiddenTextNotTold,
    /// DIFF-5: of a run that was known in part a character too many is left out.
    KnownTextByOne,
    /// DIFF-5: what a full diff tells of known text is killed like what it does not tell.
    DiffKillsItsText,
    /// DIFF-5: a digest does not tell that text lives.
    DigestWithoutText,
    /// DOT-1: the share of a character in the beacon depends on how runs are cut.
    BeaconCountsRuns,
    /// Cursors: a cursor is before its character, whichever side it keeps to.
    CursorIgnoresBias,
    /// Cursors: a cursor does not use the chain that it carries.
    CursorForgetsChain,
    /// Changes: text that came and went in one batch is told to have gone.
    TakenBackTextTold,
    /// Changes: an edit before the last one of a batch is told at another place.
    TextChangesMisplaced,
    /// Memory: a run that is cut in two loses its second half.
    CutRunLosesTail,
    /// Memory: runs of different bunches become one where their dots follow one another.
    RunsJoinAcrossBunches,
    /// Memory: runs of different incarnations become one where their dots follow one another.
    RunsJoinAcrossIncarnations,
    /// Memory: a range of dots leaves out a run that begins before it.
    RangeForgetsCutRuns,
    /// Memory: a range of dots takes in all of the runs that it has a part of.
    RangeTakesWholeRuns,
    /// Memory: an index inside of a pair of UTF-16 passes for one that begins a character.
    HalfPairsPass,

    // ---- Marks ----

    /// MARK-1: of the marks of one key over one character the oldest counts.
    OldestMarkCounts,
    /// MARK-2: a mark leaves those that it covers wholly.
    MarksPileUp,
    /// MARK-2: marks stay when the last character that they covered is deleted.
    BareMarksStay,

    // ---- Void branches ----

    /// OWN-1: whoever removes a total or rights that are not his own takes them away.
    ForeignTotalsRemoved,
    /// FORK-3: the totals of a void branch say also what was counted before it.
    RenamedTotalsKept,
    /// FORK-3: what a void branch removed of its own is not renamed.
    RenamedRemovalsKept,
    /// FORK-3: the ends of the marks of a void branch are not renamed.
    RenamedMarksKept,
    /// FORK-3: everything that waits is renamed, and not from where the branch begins.
    RenamedFromTheStart,
    /// FORK-3: what builds upon a void branch under another id is sent as it is.
    OnlyTheBranchIsVoid,
    /// FORK-3: what builds upon a chain that is not acked is pushed right behind it.
    PushedUponUnacked,
    /// FORK-4: a repaired store is written without waiting for the disk.
    RepairedRelaxed,
    /// FORK-3: the new id follows from how far somebody holds the branch, and not from its beginning alone.
    RenamedByTheEnd,
    /// FORK-3: text that a void branch typed on comes behind what hangs on its last character.
    RenamedTextAfterChildren,

    // ---- Sync ----

    /// DUR-1: an own delta is sent, and claimed, before it is durable.
    SendBeforeDurable,
    /// DUR-1: an own delta and its slot are written without waiting for the disk.
    WriteRelaxed,
    /// DUR-3: what was loaded is claimed before it is known to be durable.
    NoProof,
    /// DUR-5: what was made upon something that the store had lost is not shown when that comes back.
    UnreadyForgotten,
    /// ACK-3: a delta leaves the outbox when it is sent.
    EmptyOutboxOnSend,
    /// ACK-5: what a relay lost is not given back.
    NeverRefill,
    /// DIFF-7: a refill is made although an own delta is not durable.
    RefillPart,
    /// CUR-3: rows that stay unready are waited for.
    NeverRepair,
    /// FORK-2: a row that continues nothing that was sent is sent without the tag before it.
    RowsWithoutTag,
    /// FORK-2: after a row that was not taken the next is sent as if it had been.
    SaidInVainKept,
    /// FORK-2: a row is sent short also to who was not sent the row before it.
    ShortToAll,
    /// FORK-2: a row that types does without what it types into, although that was not sent.
    ShortWithoutText,
    /// FORK-2: a tag that was left out is taken to be the last that was told, whatever it is of.
    TagGuessed,
    /// FORK-2: what an ack tells of one's own chain is forgotten.
    AckNotHeard,
    /// ID-3: an id is continued above a high-water mark that its store has lost.
    HighWaterIgnored,
    /// TAB-4: an id is continued although the lock of its slot is not held.
    LockIgnored,
    /// AUTH-3: what was refused for want of a right is not pushed again with another token.
    TokenLiftsNothing,
    /// AUTH-3: after a refusal for want of a right, what is written next is pushed all the same.
    ReadersPush,
    /// AUTH-4: what a member may do is what it might do when it came.
    RightsFixed,
    /// SES-4: frames that were lost, came twice or belong to another connection are not noticed.
    FrameNumberIgnored,
    /// ID-4: a claim names the last opening before, not all that may have got the lease.
    LastIncOnly,
    /// ID-4: whoever is told to have the lease, the openings before are forgotten.
    ConfirmedByAny,
    /// ID-4: an id is claimed by one opening after the other, however many never heard.
    IncsUnbounded,
    /// ID-4: an opening is claimed as before it is in the store.
    IncNotStored,
    /// DUR-3: what proves what was loaded, and names the opening, is written without waiting for the disk.
    OpeningRelaxed,
    /// ID-5: the verdict is about what was claimed, not about what is here now.
    JudgedByClaim,
    /// ID-5: whoever is not given the lease gives its id up.
    RaceRetires,
    /// ID-5: an id goes on although another session took it over.
    SupersededGoesOn,
    /// LEASE-1: a foreign opening with the lease says nothing.
    CloneUnnoticed,
    /// LEASE-1: an older lease is taken for one that came later.
    LeaseNotNumbered,
    /// LEASE-2: who has the lease is told before it is stored.
    LeaseToldEarly,
    /// LEASE-2: a room's snapshot forgets who has which lease.
    LeasesNotFolded,
    /// LEASE-3: the session that had the lease goes on.
    FormerSessionStays,
    /// SES-2: a delayed Open of an older connection takes the session over.
    StaleOpenTakesOver,
    /// ACK-4: what was acked once is not looked for at the next relay that has less.
    AckedOnlyGrows,
    /// REF-1: what was refused for a time is pushed at once.
    PauseIgnored,
    /// REF-1: what was refused for a time is not pushed again.
    PauseForGood,
    /// REF-2: what cannot be stored is appended all the same.
    AppendsInTrouble,
    /// REF-3: a document grows beyond its limit.
    DocumentsWithoutLimit,
    /// REF-3: what only removes is refused as well.
    RemovalsNeedPlace,
    /// ACK-1: what was pushed is acked before the commit.
    AckBeforeCommit,
    /// FORK-2: a branch that is known not to count is taken where it fits.
    VoidBranchTaken,
    /// FORK-2: what goes on in a branch is a branch of its own.
    BranchFromItsMiddle,
    /// FORK-2: where the log's tag is gone, a delta is taken to be the log's.
    OldForkUnnoticed,
    /// FORK-2: void facts among the rows that a diff stands for are not told.
    DiffHidesVoids,
    /// FORK-2: a room's snapshot forgets void facts.
    VoidsNotFolded,
    /// FORK-2: where the two chains part is not looked for in what Open names.
    BoundariesIgnored,
    /// FORK-2: a diff is joined upon what waits for its ack, whether it is of the same branch or not.
    DiffUponUnacked,
    /// ID-6: a row of one's own id beyond one's own history is taken for one's own.
    OwnRowIgnored equivalent "the chain finds the same one edit later: the next delta of that id contradicts it",

    // ---- Files of a replica: `relay/client` ----

    /// DUR-1: an edit counts as stored although the file was not synced.
    FileNotSynced,
    /// DUR-6: a snapshot takes the place of a log before it is synced.
    SnapshotNotSynced,
    /// DUR-6: the names of a new snapshot and its log are not made durable before the old files go.
    NamesNotSynced,
    /// DUR-6: names that a program left behind when it was killed are not made durable by the next one.
    FoundNamesNotSynced,
    /// DUR-3: what an opening finds in the log is not synced before it is told to others.
    FoundLogNotSynced,
    /// DUR-6: after a sync that failed the same file is written and synced again.
    FailedSyncForgotten,
    /// DUR-6: a store that failed goes on in the files it has.
    DistrustForgotten,
    /// DUR-6: a compaction that ended in the middle goes on with the generation before it.
    HalfCompactionForgotten,
    /// DUR-6: the rest of a group that was not written wholly stays in front of the next one.
    TornTailKept,
    /// DUR-5: groups that are there in part are read as far as they go.
    ChecksumIgnored,
    /// DUR-6: what a full disk took of a group stays in front of the next one.
    FullTailKept,
    /// ID-2: a slot is taken whoever holds its lock.
    FileLockIgnored,
    /// TAB-4: locks of a network file system are trusted.
    RemoteLocksTrusted,
    /// DUR-4: a compaction forgets the outbox.
    CompactionForgetsOutbox,
    /// ACK-2: what another slot has heard of acks is not taken over.
    AcksNotAdopted,
    /// TAB-4: the folder of an opening is cleared away although that may still be writing.
    OpenFolderRemoved,
}
