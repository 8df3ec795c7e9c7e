//! Random operations on one record, compared with a model that says the rules
//! once more in the plainest way.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::progress::ProgressState;
use crate::store::Report;

const DEADLINE: u64 = 50;

const BACK_OFF: u64 = 20;
const MAX_ATTEMPTS: u32 = 2;

fn new_task() -> NewTask {
    NewTask {
        max_attempts: MAX_ATTEMPTS,
        ..NewTask::new(
            TaskId::random(),
            "build",
            "{}",
            Duration::from_millis(DEADLINE),
            Duration::from_millis(100),
        )
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Tick(u64),
    Claim,
    /// By the present owner, or by the owner of this many claims ago.
    Finish {
        stale_by: u64,
        with: Ending,
        lingers: bool,
    },
    Release {
        stale_by: u64,
    },
    Retry {
        stale_by: u64,
    },
    Stopped {
        stale_by: u64,
    },
    Report {
        stale_by: u64,
        number: u64,
        revision_ahead: u64,
    },
    /// Questions of so many keys, from this one on.
    Ask {
        stale_by: u64,
        first: u64,
        count: u64,
        revision_ahead: u64,
    },
    Answer {
        key: u64,
    },
    Cancel,
    Expire,
    TakeOver,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Completed,
    Failed,
    Cancelled,
}

impl Ending {
    fn outcome(self) -> Outcome {
        match self {
            Self::Completed => Outcome::Completed("1".into()),
            Self::Failed => Outcome::Failed(Box::new(TaskFailure::new("x", "y"))),
            Self::Cancelled => Outcome::Cancelled("".into()),
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let stale = prop_oneof![3 => Just(0_u64), 1 => 1..3_u64];
    let ending = prop_oneof![
        Just(Ending::Completed),
        Just(Ending::Failed),
        Just(Ending::Cancelled)
    ];
    prop_oneof![
        1 => (0..30_u64).prop_map(Operation::Tick),
        3 => Just(Operation::Claim),
        2 => (stale.clone(), ending, any::<bool>()).prop_map(|(stale_by, with, lingers)| {
            Operation::Finish { stale_by, with, lingers }
        }),
        1 => stale.clone().prop_map(|stale_by| Operation::Release { stale_by }),
        1 => stale.clone().prop_map(|stale_by| Operation::Retry { stale_by }),
        1 => stale.clone().prop_map(|stale_by| Operation::Stopped { stale_by }),
        1 => (stale.clone(), 1..4_u64, 0..3_u64).prop_map(|(stale_by, number, revision_ahead)| {
            Operation::Report { stale_by, number, revision_ahead }
        }),
        3 => (stale, 0..60_u64, prop_oneof![Just(0), 1..4_u64, 30..40_u64], 0..3_u64).prop_map(
            |(stale_by, first, count, revision_ahead)| {
                Operation::Ask { stale_by, first, count, revision_ahead }
            }
        ),
        3 => (0..64_u64).prop_map(|key| Operation::Answer { key }),
        1 => Just(Operation::Cancel),
        1 => Just(Operation::Expire),
        2 => Just(Operation::TakeOver),
    ]
}

/// What the rules say, without the record's fields.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Queued { not_before: u64 },
    Owned { asked: bool, reported: u64 },
    Ended { status: Status, lingers: bool },
}

impl Model {
    fn ended(status: Status) -> Self {
        Self::Ended {
            status,
            lingers: false,
        }
    }

    /// After its owner gave it up, or died.
    fn given_up(self, not_before: u64) -> Self {
        match self {
            // Asked while it was owned, and nobody has it now.
            Self::Owned { asked: true, .. } => Self::ended(Status::Cancelled),
            _ => Self::Queued { not_before },
        }
    }
}

fn refusal(model: Model, stale_by: u64) -> Option<Refused> {
    match model {
        Model::Ended { .. } => Some(Refused::Terminal),
        Model::Queued { .. } => Some(Refused::Fenced),
        Model::Owned { .. } if stale_by > 0 => Some(Refused::Fenced),
        Model::Owned { .. } => None,
    }
}

proptest! {
    #[test]
    fn a_record_obeys_the_model(operations in prop::collection::vec(operation(), 1..40)) {
        let mut now = Timestamp(0);
        let mut record = TaskRecord::admit(new_task(), now);
        let mut model = Model::Queued { not_before: 0 };
        let mut owners = 0;
        // What was asked and not answered, by key and epoch, and when it last
        // changed for those who see it.
        let mut asked: Vec<(u64, Epoch)> = Vec::new();
        let mut asked_at = None;

        for operation in operations {
            let before = record.clone();
            let stale_epoch = |by: u64| Epoch(before.epoch.0.wrapping_sub(by));
            match operation {
                Operation::Tick(by) => now = Timestamp(now.0 + by),
                Operation::Claim => {
                    let claimed = record.claim(SessionId::random(), now);
                    let ready = matches!(model, Model::Queued { not_before } if not_before <= now.0);
                    prop_assert_eq!(claimed, ready);
                    if claimed {
                        owners += 1;
                        model = Model::Owned { asked: false, reported: 0 };
                        prop_assert_eq!(record.attempt, before.attempt + 1);
                        prop_assert!(record.epoch > before.epoch);
                    }
                }
                Operation::Finish { stale_by, with, lingers } => {
                    let mut end = End::new(with.outcome(), before.revision);
                    end.lingers = lingers;
                    let finished = record.finish(stale_epoch(stale_by), end, now);
                    prop_assert_eq!(finished.err(), refusal(model, stale_by));
                    if finished.is_ok() {
                        model = Model::Ended { status: with.outcome().status(), lingers };
                    }
                }
                Operation::Release { stale_by } => {
                    let released = record.release(stale_epoch(stale_by), Release::NotStarted, now);
                    prop_assert_eq!(released.err(), refusal(model, stale_by));
                    if released.is_ok() {
                        prop_assert_eq!(record.attempt, before.attempt - 1);
                        model = model.given_up(0);
                    }
                }
                Operation::Retry { stale_by } => {
                    let retry = Retry::new(Duration::from_millis(BACK_OFF), "", before.revision);
                    let released =
                        record.release(stale_epoch(stale_by), Release::Retry(retry), now);
                    prop_assert_eq!(released.err(), refusal(model, stale_by));
                    if released.is_ok() {
                        prop_assert_eq!(record.attempt, before.attempt);
                        model = model.given_up(now.0 + BACK_OFF);
                    }
                }
                Operation::Stopped { stale_by } => {
                    let released = record.release(stale_epoch(stale_by), Release::Stopped, now);
                    let ours = stale_by == 0;
                    match model {
                        Model::Ended { status, lingers: true } if ours => {
                            prop_assert!(released.is_ok());
                            model = Model::ended(status);
                        }
                        _ => prop_assert_eq!(released.err(), Some(Refused::Fenced)),
                    }
                }
                Operation::Report { stale_by, number, revision_ahead } => {
                    let progress = ProgressState {
                        current: Some(number),
                        ..ProgressState::default()
                    };
                    let revision = before.revision + revision_ahead;
                    let epoch = stale_epoch(stale_by);
                    let report = Report::new(record.id, epoch, number, progress, revision);
                    let kept = record.report(&report);
                    prop_assert_eq!(kept.err(), refusal(model, stale_by));
                    if let (Ok(()), Model::Owned { asked, reported }) = (kept, model) {
                        let late = number <= reported;
                        let shown = if late { before.revision } else { revision };
                        prop_assert_eq!(record.revision, shown);
                        let reported = reported.max(number);
                        let current = record.progress.as_ref().and_then(|state| state.current);
                        prop_assert_eq!(current, Some(reported));
                        model = Model::Owned { asked, reported };
                    }
                }
                Operation::Ask { stale_by, first, count, revision_ahead } => {
                    let epoch = stale_epoch(stale_by);
                    let new: Vec<(u64, Epoch)> = (first..first + count)
                        .map(|key| (key, before.epoch))
                        .collect();
                    let questions = new
                        .iter()
                        .map(|(key, _)| Question::new(key.to_string(), "", "", Epoch::default()))
                        .collect();
                    let revision = before.revision + revision_ahead;
                    let kept = record.ask(epoch, questions, revision, now);
                    prop_assert_eq!(kept.err(), refusal(model, stale_by));
                    let mut own = asked.clone();
                    own.retain(|(_, of)| *of == before.epoch);
                    if kept.is_ok() && own == new {
                        prop_assert_eq!(record.revision, revision);
                    } else if kept.is_ok() {
                        prop_assert_eq!(record.revision, revision + 1);
                        asked.retain(|(key, of)| {
                            *of != before.epoch && !(first..first + count).contains(key)
                        });
                        while !asked.is_empty() && asked.len() + new.len() > Input::KEPT {
                            asked.remove(0);
                        }
                        asked.extend(new);
                        asked_at = Some(now);
                    }
                }
                Operation::Answer { key } => {
                    let place = asked.iter().position(|(asked, _)| *asked == key);
                    prop_assert_eq!(record.answer(&key.to_string(), now), place.is_some());
                    let answered = place.map(|place| asked.remove(place).1);
                    let waited = matches!(model, Model::Owned { .. })
                        && answered == Some(before.epoch);
                    prop_assert_eq!(record.revision, before.revision + u64::from(waited));
                    if waited {
                        asked_at = Some(now);
                    }
                }
                Operation::Cancel => {
                    let ack = record.request_cancel(&Arc::from("why"), now);
                    let (expected, after) = match model {
                        Model::Queued { .. } => (CancelAck::Ended, Model::ended(Status::Cancelled)),
                        Model::Owned { asked: false, reported } => {
                            (CancelAck::Requested, Model::Owned { asked: true, reported })
                        }
                        other => (CancelAck::Unchanged, other),
                    };
                    prop_assert_eq!(ack, expected);
                    model = after;
                }
                Operation::Expire => {
                    let expired = record.expire(now);
                    let due = matches!(model, Model::Queued { .. }) && now.0 >= DEADLINE;
                    prop_assert_eq!(expired, due);
                    if expired {
                        model = Model::ended(Status::Failed);
                    }
                }
                Operation::TakeOver => {
                    let taken = record.take_over(now);
                    let (expected, after) = match model {
                        Model::Queued { .. } | Model::Ended { lingers: false, .. } => (None, model),
                        Model::Ended { status, lingers: true } => {
                            (Some(Takeover::Freed), Model::ended(status))
                        }
                        Model::Owned { asked: false, .. } if before.attempt < MAX_ATTEMPTS => {
                            (Some(Takeover::Requeued), model.given_up(0))
                        }
                        Model::Owned { asked: false, .. } => {
                            (Some(Takeover::Ended), Model::ended(Status::Failed))
                        }
                        Model::Owned { asked: true, .. } => {
                            (Some(Takeover::Ended), Model::ended(Status::Cancelled))
                        }
                    };
                    prop_assert_eq!(taken, expected);
                    prop_assert_eq!(taken.is_some(), record.epoch > before.epoch);
                    model = after;
                }
            }

            // What holds after every operation.
            let waits = asked.iter().any(|(_, of)| *of == record.epoch);
            let status = match model {
                Model::Queued { .. } => Status::Queued,
                Model::Owned { .. } if waits => Status::InputRequired,
                Model::Owned { .. } => Status::Working,
                Model::Ended { status, .. } => status,
            };
            if status.is_terminal() {
                asked.clear();
                asked_at = None;
            }
            let input = record.input.iter().flat_map(|input| &input.questions);
            let keys = input.map(|question| (question.key.parse().expect("a number"), question.epoch));
            prop_assert_eq!(keys.collect::<Vec<_>>(), asked.clone());
            prop_assert_eq!(record.input.as_ref().map(|input| input.at), asked_at);
            prop_assert_eq!(record.format(), 1 + u32::from(asked_at.is_some()));
            let open = record.open_questions().count();
            prop_assert_eq!(open > 0, status == Status::InputRequired);
            prop_assert_eq!(record.status, status);
            prop_assert!(record.revision >= before.revision);
            prop_assert!(record.epoch >= before.epoch);
            prop_assert!(record.epoch.0 >= owners);
            let owned = matches!(model, Model::Owned { .. } | Model::Ended { lingers: true, .. });
            prop_assert_eq!(record.owner.is_some(), owned);
            prop_assert_eq!(record.outcome.is_some(), status.is_terminal());
            prop_assert_eq!(record.finished_at.is_some(), status.is_terminal());
            if before.status.is_terminal() {
                // Whose its body is, and its fence, nobody sees.
                let unowned = TaskRecord {
                    owner: before.owner,
                    epoch: before.epoch,
                    ..record.clone()
                };
                prop_assert_eq!(&unowned, &before, "invariant 4: a terminal record never changes");
            }
        }
    }
}
