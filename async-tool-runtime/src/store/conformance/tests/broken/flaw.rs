//! What can be wrong with a store, and which sentence that breaks.

macro_rules! flaws {
    ($($sentence:ident: $($flaw:ident),+;)*) => {
        /// One thing that is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in super::super) enum Flaw {
            $($($flaw),+),*
        }

        impl Flaw {
            pub(in super::super) const ALL: &[Self] = &[$($(Self::$flaw),+),*];

            /// The sentence that it breaks, and perhaps others.
            pub(in super::super) fn sentence(self) -> &'static str {
                match self {
                    $($(Self::$flaw)|+ => stringify!($sentence),)*
                }
            }
        }
    };
}

flaws! {
    every_verb_is_one_atomic_step: CancelReadsThenWrites, ClaimWritesTwice,
        BeatReadsThenWrites;
    namespaces_are_apart: OneNamespace, ChangesOfAllNamespaces;
    a_call_that_is_dropped_is_done_or_not_done: DropPoisons, DropLeavesAKey;
    a_namespace_is_shared: NamespaceOfEachHandle;
    namespaces_are_listed: OpenIsListed, NoneIsListed, ListedInDisorder;

    create_replays_a_known_key: ReplayNeedsRoom;
    create_refuses_a_key_with_other_arguments: ConflictIsReplay, ConflictIsStored;
    keys_are_scoped_by_principal_and_tool: KeysOfAllPrincipals, NobodyHasNoName, KeysOfAllTools;
    a_key_lives_as_long_as_its_record: KeyDiesWithTheTask, KeyLivesForEver;
    create_joins_an_equal_task: NeverJoins, JoinLosesTheKey, JoinsTheCancelled;
    a_shared_task_has_a_limit_of_keys: KeysWithoutLimit;
    create_queues_a_task: CreateClaimsUnasked, CreateLosesThePrincipal;
    create_claims_for_an_idle_session: CreateNeverClaims;
    create_never_overtakes: Overtakes;
    create_respects_the_limits_of_the_queue: QueueWithoutLimit, WorkingTasksCount, SlotsDoNotCount;
    create_respects_the_limit_of_a_principal: PrincipalsWithoutLimit, SlotsBeatThePrincipal,
        NobodyIsAPrincipal, WorkingTasksOfThePrincipal;
    racing_creates_of_a_key_make_one_task: KeyIsReadThenWritten;
    a_task_keeps_its_origin: OriginIsLost, EndForgetsTheOrigin, ListHidesOrigins;

    claim_takes_the_oldest_first: YoungestFirst;
    claim_takes_no_more_than_wanted: IgnoresRoom, IgnoresLimit, LimitsBeforeRoom;
    claim_gives_the_arguments: ClaimWithoutArguments, JsonIsRewritten;
    claim_counts_attempts_and_epochs: AttemptStays, EpochStays;
    claim_leaves_what_is_not_ready: FirstBlocksTheRest, HeldKeysAreReady;
    a_concurrency_key_is_held_while_owned: KeyOfEachTool, KeyIsNeverFree;
    a_task_holds_all_its_concurrency_keys_or_none: FirstKeyIsEnough, LastKeyIsEnough;
    racing_claims_take_a_task_once: ClaimsTwice;
    claim_opens_or_renews_the_lease: ClaimDoesNotRenew;
    claim_of_nothing_leaves_no_trace: SessionsWithoutTasks;

    beat_renews_the_lease: BeatDoesNotRenew;
    beat_keeps_reports: ReportsAreLost, LogIsLost, RevisionIsLost;
    a_history_stays_until_it_is_replaced: ReportClearsTheHistory, ClaimWithoutHistory,
        EndForgetsTheHistory, RetryForgetsTheHistory;
    beat_drops_reports_of_old_epochs: ReportsOfAnyEpoch;
    beat_drops_late_reports: LateReports, LateLog;
    beat_lists_what_the_session_owns: ListsReportedTasks, BeatHidesRequests;

    finish_ends_the_task: EndLosesDetails, EndKeepsTheOwner;
    finish_needs_the_epoch: FinishOfAnyEpoch;
    the_first_end_wins: SecondEndIsFine, LastEndWins;
    finish_keeps_the_last_log_lines: EndLosesLog;
    finish_uses_the_result_put_ahead: ResultAheadIsLost;
    an_ended_task_keeps_no_arguments_and_steps: ArgumentsForEver, StepsForEver, QuestionsForEver;
    a_lingering_task_keeps_its_concurrency_key: NothingLingers;

    release_of_what_has_not_begun_counts_no_attempt: ReleaseCountsTheAttempt, ReleaseGoesToTheEnd;
    release_for_a_retry_waits: RetryAtOnce, RetryIsMute;
    release_ends_what_was_asked_to_stop: ReleaseForgetsTheRequest;
    release_of_a_lingering_task_frees_its_key: StoppedChangesNothing;
    release_needs_the_epoch: ReleaseOfAnyEpoch;

    put_result_needs_the_epoch: PutOfAnyEpoch;
    a_result_put_ahead_is_not_seen_before_the_end: ResultAheadIsSeen;
    a_new_attempt_forgets_a_result_put_ahead: ResultAheadForEver;
    a_step_is_recorded_once: LastStepWins;
    record_step_needs_the_epoch: StepOfAnyEpoch;
    steps_survive_attempts: StepsOfThisAttempt, StepsByName;

    ask_shows_what_the_attempt_waits_for: AskKeepsTheStatus, ListHidesQuestions, QuestionsByKey;
    ask_replaces_what_the_attempt_asked: AskAdds;
    ask_needs_the_epoch: AskOfAnyEpoch;
    asking_the_same_again_changes_nothing: AskingAgainIsNews;
    ask_leaves_out_what_was_answered: AskOpensTheAnswered;
    questions_survive_attempts: QuestionsOfThisAttempt, OldQuestionsAreShown, AllQuestions;
    answer_records_a_step: AnswerIsNoStep, AnswerIsRewritten;
    the_last_answer_lets_the_task_work: FirstAnswerIsEnough, WaitsForEver;
    the_first_answer_stays: LastAnswerWins, SecondAnswerIsFine;
    racing_answers_record_one: AnswerReadsThenWrites;
    answer_needs_a_question: AnswersAnything;
    answer_leaves_an_ended_task: AnswerOfTheEnded;
    answer_finds_no_unknown_task: AnswerOfTheUnknown;

    cancel_ends_a_queued_task: BackOffCannotBeCancelled;
    cancel_asks_a_working_task: CancelEndsAtOnce, EndForgetsTheRequest;
    the_first_reason_to_cancel_stays: LastReasonStays;
    cancel_leaves_an_ended_task: CancelOfTheEnded;
    cancel_finds_no_unknown_task: CancelOfTheUnknown;

    get_reads_what_was_written: GetIsStale;
    get_finds_nothing_after_retention: GetFindsTheExpired;
    log_gives_the_last_lines: FirstLines, NewestLineFirst;
    log_keeps_a_limited_number_of_lines: AllLines;
    a_log_line_is_kept_once: LinesTwice;
    list_is_newest_first: OldestFirst, NewestOfAMomentLast;
    list_goes_on_after_the_cursor: CursorIsRepeated, CursorSkipsItsMoment;
    list_filters: AnyOwner, AnyTool, AnyStatus, FiltersThePage;
    list_leaves_out_what_has_expired: ListsTheExpired;
    list_leaves_out_arguments_and_results: ListsResults, ListsHistories;

    reap_interrupts_the_tasks_of_dead_sessions: DeadTooEarly, NeverDead;
    reap_requeues_what_may_run_again: NeverAgain, AgainForEver;
    reap_fences_the_dead: TakeoverKeepsTheEpoch;
    reap_cancels_what_was_asked_to_stop: TakeoverForgetsTheRequest;
    reap_ends_queued_tasks_at_their_deadline: DeadlineTooEarly, NoDeadline;
    reap_purges_after_retention: PurgeTooEarly, PurgeLeavesTheLog;
    reap_is_bounded: ReapsEverything;
    reap_tells_when_to_come_again: NextIsUnknown, NextIsFromTheStart;
    reap_tells_what_is_ready: NeverReady, QueuedIsReady;
    reap_tells_of_notices: ReapHidesNotices, NoticesForEver, NextForgetsNotices;

    an_end_gives_a_notice: OnlyWorkersAreTold, EverybodyIsTold, NoticeWithoutResult;
    questions_give_a_notice: QuestionsAreNotTold, AskingAgainIsTold;
    a_later_notice_replaces_an_earlier_one: LaterNoticeWaits, StateStays;
    claim_notices_takes_the_longest_due_first: NewestNoticeFirst, NoticesWithoutLimit,
        NoticesOfTheExpired;
    a_claimed_notice_is_due_again_after_the_pause: NoticeAtOnceAgain, NoticeNeverAgain,
        NoticeIsReadThenClaimed;
    a_settled_notice_is_not_claimed: SettledComesAgain, NextTryAtOnce, NextTryNever;
    settle_notice_needs_the_claim: SettleOfAnyClaim, SettleOfAnyNumber, SettleIsAlwaysFine;
    a_notice_is_kept_with_its_task: ListHidesNotices, StateIsLost;

    purge_deletes_an_ended_task: PurgeDoesNothing, PurgeKeepsTheKey, PurgeKeepsTheLog;
    purge_leaves_what_has_not_ended: PurgeEndsTheQueued;
    purge_leaves_what_is_in_use: PurgeOfTheLingering, PurgeBeforeTheNotice;
    purge_finds_no_unknown_task: PurgeOfTheUnknown;
    stats_count_what_is_there: StatsWithoutBackOff, LingeringIsRunning, StatsWithoutNotices,
        BeatsStay, OldestIsNewest;

    changes_tell_of_ends_and_steps: NoTaskChanges, ListensWhenPolled, QuestionsAreNoNews;
    changes_tell_of_cancel_requests: NoCancelChanges;
    changes_tell_of_queued_tasks: NoQueuedChanges;
    every_reader_of_changes_gets_them: OneReader;
}
