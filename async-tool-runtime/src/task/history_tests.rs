use super::*;
use crate::task::{End, Epoch, NewTask, Release, Retry, TaskFailure, TaskId};

const HOUR: Duration = Duration::from_secs(3600);

fn claimed() -> TaskRecord {
    let new = NewTask::new(TaskId::random(), "t", "{}", HOUR, HOUR);
    let mut record = TaskRecord::admit(new, Timestamp(1000));
    record.max_attempts = 3;
    assert!(record.claim(SessionId::random(), Timestamp(2000)));
    record
}

fn failed(code: &'static str) -> End {
    End::new(Outcome::Failed(Box::new(TaskFailure::new(code, "no"))), 9)
}

fn step(name: &str) -> StepHistory {
    StepHistory {
        name: name.into(),
        kind: StepKind::Recorded,
        after: Some(Duration::from_millis(3)),
        took: Some(Duration::from_millis(4)),
        end: Some(StepEnd::Done),
    }
}

#[test]
fn a_record_alone_tells_of_its_one_attempt() {
    let mut record = claimed();
    let history = History::of(&record);
    let [attempt] = history.attempts.as_slice() else {
        panic!("{history:?}");
    };
    assert_eq!(
        (attempt.number, attempt.started_at),
        (1, Some(Timestamp(2000)))
    );
    assert_eq!(attempt.worker.as_ref().map(|worker| worker.len()), Some(8));
    assert_eq!((attempt.end, attempt.took), (None, None));

    let ended = record.finish(Epoch(1), failed("busy"), Timestamp(5000));
    assert!(ended.is_ok());
    let history = History::of(&record);
    let attempt = &history.attempts[0];
    assert_eq!(attempt.end, Some(AttemptEnd::Failed));
    assert_eq!(attempt.took, Some(Duration::from_secs(3)));
    assert_eq!(attempt.reason.as_deref(), Some("busy"));
}

#[test]
fn a_task_that_never_started_has_no_attempts() {
    let new = NewTask::new(TaskId::random(), "t", "{}", HOUR, HOUR);
    let mut record = TaskRecord::admit(new, Timestamp(0));
    assert_eq!(History::of(&record), History::default());
    record.request_cancel(&"enough".into(), Timestamp(1));
    assert_eq!(History::of(&record), History::default());
}

#[test]
fn what_a_dead_worker_left_open_is_interrupted() {
    let mut record = claimed();
    record.take_over(Timestamp(9000));
    let interrupted = |record: &TaskRecord| {
        let history = History::of(record);
        (history.attempts[0].end, history.attempts.len())
    };
    assert_eq!(interrupted(&record), (Some(AttemptEnd::Interrupted), 1));
    record.claim(SessionId::random(), Timestamp(9000));
    assert_eq!(interrupted(&record), (Some(AttemptEnd::Interrupted), 2));
    let history = History::of(&record);
    assert_eq!(history.attempts[0].started_at, None, "nobody wrote it");
    assert_eq!(history.attempts[1].end, None);
}

#[test]
fn what_was_written_reads_back() {
    let mut record = claimed();
    let mut history = History::of(&record);
    history.attempts[0].add(step("unpack"));
    history.attempts[0].close(AttemptEnd::Retried, Some(HOUR), Some("busy"));
    let mut retry = Retry::new(Duration::ZERO, "again", 2);
    retry.history = Some(history.write());
    assert!(
        record
            .release(Epoch(1), Release::Retry(retry), Timestamp(3000))
            .is_ok()
    );
    assert_eq!(History::of(&record), history);
    record.claim(SessionId::random(), Timestamp(4000));
    assert_eq!(History::of(&record).attempts[0], history.attempts[0]);
}

#[test]
fn text_of_a_newer_version_or_of_somebody_else_counts_as_left_out() {
    let mut record = claimed();
    record.take_over(Timestamp(9000));
    record.claim(SessionId::random(), Timestamp(9000));
    for text in [
        r#"{"version":2,"attempts":{"a":1}}"#,
        "nonsense",
        "[]",
        "{}",
    ] {
        record.history = Some(text.into());
        let history = History::of(&record);
        assert_eq!(history.omitted, 1, "{text}");
        assert_eq!(history.attempts.len(), 1, "{text}");
        assert_eq!(history.attempts[0].number, 2, "{text}");
    }
}

#[test]
fn words_that_a_newer_program_added_are_read() {
    let mut record = claimed();
    let text = r#"{"version":1,"more":1,"attempts":[{"number":1,"end":"vanished",
        "steps":[{"name":"a","kind":"dream","end":"woken","colour":"red"}]}]}"#;
    record.history = Some(text.into());
    let attempt = &History::of(&record).attempts[0];
    assert_eq!(attempt.end, Some(AttemptEnd::Other));
    assert_eq!(attempt.steps[0].kind, StepKind::Other);
    assert_eq!(attempt.steps[0].end, Some(StepEnd::Other));
}

#[test]
fn it_is_bounded_and_the_oldest_goes_first() {
    let mut record = claimed();
    record.attempt = 500;
    let mut history = History::of(&record);
    assert_eq!(history.attempts.len(), History::MAX_ATTEMPTS);
    assert_eq!(history.omitted, 480);
    for attempt in history.attempts.iter_mut().rev().take(3) {
        for number in 0..1000 {
            // The worst that a name can be: each character takes six bytes of JSON.
            attempt.add(step(&format!("{}{number}", "\u{1}".repeat(96))));
        }
        assert_eq!(attempt.steps.len(), History::MAX_STEPS);
        assert_eq!(attempt.omitted_steps, 800);
        let reason = "\u{1}".repeat(10_000);
        attempt.close(AttemptEnd::Retried, Some(HOUR), Some(&reason));
    }
    let text = history.write();
    assert!(text.len() <= History::MAX_BYTES, "{} bytes", text.len());
    record.history = Some(text);
    let kept = History::of(&record);
    assert_eq!(kept, history, "what is left out is left out for good");
    let last = kept.attempts.last().expect("the present one stays");
    assert_eq!(last.number, 500);
    let newest = last.steps.last().expect("some of its steps too");
    assert!(newest.name.ends_with("999"), "{}", newest.name);
}
