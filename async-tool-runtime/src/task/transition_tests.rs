//! Random operations on one record, compared with a model that says the rules
//! once more in the plainest way.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::progress::ProgressState;

const DEADLINE: u64 = 50;

fn new_task() -> NewTask {
    NewTask {
        id: TaskId::random(),
        tool: "build".into(),
        principal: None,
        arguments: "{}".into(),
        key: None,
        max_wait: Duration::from_millis(DEADLINE),
        retention: Duration::from_millis(100),
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
    },
    Release {
        stale_by: u64,
    },
    Report {
        stale_by: u64,
        revision_ahead: u64,
    },
    Cancel,
    Expire,
    Interrupt,
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
        2 => (stale.clone(), ending)
            .prop_map(|(stale_by, with)| Operation::Finish { stale_by, with }),
        1 => stale.clone().prop_map(|stale_by| Operation::Release { stale_by }),
        1 => (stale, 0..3_u64).prop_map(|(stale_by, revision_ahead)| Operation::Report {
            stale_by,
            revision_ahead
        }),
        1 => Just(Operation::Cancel),
        1 => Just(Operation::Expire),
        1 => Just(Operation::Interrupt),
    ]
}

/// What the rules say, without the record's fields.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Queued,
    Owned { asked: bool },
    Ended(Status),
}

fn refusal(model: Model, stale_by: u64) -> Option<Refused> {
    match model {
        Model::Ended(_) => Some(Refused::Terminal),
        Model::Queued => Some(Refused::Fenced),
        Model::Owned { .. } if stale_by > 0 => Some(Refused::Fenced),
        Model::Owned { .. } => None,
    }
}

proptest! {
    #[test]
    fn a_record_obeys_the_model(operations in prop::collection::vec(operation(), 1..40)) {
        let mut now = Timestamp(0);
        let mut record = TaskRecord::admit(new_task(), now);
        let mut model = Model::Queued;
        let mut owners = 0;

        for operation in operations {
            let before = record.clone();
            let stale_epoch = |by: u64| Epoch(before.epoch.0.wrapping_sub(by));
            match operation {
                Operation::Tick(by) => now = Timestamp(now.0 + by),
                Operation::Claim => {
                    let claimed = record.claim(SessionId::random(), now);
                    prop_assert_eq!(claimed, model == Model::Queued);
                    if claimed {
                        owners += 1;
                        model = Model::Owned { asked: false };
                        prop_assert_eq!(record.attempt, before.attempt + 1);
                    }
                }
                Operation::Finish { stale_by, with } => {
                    let end = End::new(with.outcome(), before.revision);
                    let finished = record.finish(stale_epoch(stale_by), end, now);
                    prop_assert_eq!(finished.err(), refusal(model, stale_by));
                    if finished.is_ok() {
                        model = Model::Ended(with.outcome().status());
                    }
                }
                Operation::Release { stale_by } => {
                    let released = record.release(stale_epoch(stale_by), now);
                    prop_assert_eq!(released.err(), refusal(model, stale_by));
                    if released.is_ok() {
                        prop_assert_eq!(record.attempt, before.attempt - 1);
                        model = match model {
                            // Asked while it was owned, and nobody has it now.
                            Model::Owned { asked: true } => Model::Ended(Status::Cancelled),
                            _ => Model::Queued,
                        };
                    }
                }
                Operation::Report { stale_by, revision_ahead } => {
                    let progress = Arc::new(ProgressState::default());
                    let revision = before.revision + revision_ahead;
                    let kept = record.report(stale_epoch(stale_by), progress, revision);
                    prop_assert_eq!(kept.err(), refusal(model, stale_by));
                    if kept.is_ok() {
                        prop_assert_eq!(record.revision, revision);
                    }
                }
                Operation::Cancel => {
                    let ack = record.request_cancel(&Arc::from("why"), now);
                    let (expected, after) = match model {
                        Model::Queued => (CancelAck::Ended, Model::Ended(Status::Cancelled)),
                        Model::Owned { asked: false } => {
                            (CancelAck::Requested, Model::Owned { asked: true })
                        }
                        other => (CancelAck::Unchanged, other),
                    };
                    prop_assert_eq!(ack, expected);
                    model = after;
                }
                Operation::Expire => {
                    let expired = record.expire(now);
                    prop_assert_eq!(expired, model == Model::Queued && now.0 >= DEADLINE);
                    if expired {
                        model = Model::Ended(Status::Failed);
                    }
                }
                Operation::Interrupt => {
                    let interrupted = record.interrupt(now);
                    prop_assert_eq!(interrupted, matches!(model, Model::Owned { .. }));
                    if let Model::Owned { asked } = model {
                        prop_assert!(record.epoch > before.epoch);
                        model = Model::Ended(if asked {
                            Status::Cancelled
                        } else {
                            Status::Failed
                        });
                    }
                }
            }

            // What holds after every operation.
            let status = match model {
                Model::Queued => Status::Queued,
                Model::Owned { .. } => Status::Working,
                Model::Ended(status) => status,
            };
            prop_assert_eq!(record.status, status);
            prop_assert!(record.revision >= before.revision);
            prop_assert!(record.epoch >= before.epoch);
            prop_assert!(record.epoch.0 >= owners);
            prop_assert_eq!(record.owner.is_some(), matches!(model, Model::Owned { .. }));
            prop_assert_eq!(record.outcome.is_some(), status.is_terminal());
            prop_assert_eq!(record.finished_at.is_some(), status.is_terminal());
            if before.status.is_terminal() {
                prop_assert_eq!(&record, &before, "invariant 4: a terminal record never changes");
            }
        }
    }
}
