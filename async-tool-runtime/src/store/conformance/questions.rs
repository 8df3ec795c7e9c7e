//! Asking questions, and answering them.

use std::collections::HashSet;
use std::time::Duration;

use super::check::{Outcome, Part, Problem};
use super::space::{
    LONG, MANY, Replica, Space, completed, existing, ids, race, shared, steady, task,
};
use crate::store::{
    Answered, CancelAck, Epoch, Filter, Input, Owner, Question, Refused, Release, Status,
    StepRecord, TaskId, TaskRecord,
};

cases![
    ask_shows_what_the_attempt_waits_for,
    ask_replaces_what_the_attempt_asked,
    ask_needs_the_epoch,
    asking_the_same_again_changes_nothing,
    ask_leaves_out_what_was_answered,
    questions_survive_attempts,
    answer_records_a_step,
    the_last_answer_lets_the_task_work,
    the_first_answer_stays,
    racing_answers_record_one,
    answer_needs_a_question,
    answer_leaves_an_ended_task,
    answer_finds_no_unknown_task,
];

pub(super) fn question(key: &str) -> Question {
    let schema = r#"{"type":"boolean"}"#;
    Question::new(key, format!("{key}?"), schema, Epoch::default())
}

fn questions(keys: &[&str]) -> Vec<Question> {
    keys.iter().map(|key| question(key)).collect()
}

/// The keys of what the present attempt waits for.
fn open(record: &TaskRecord) -> Vec<&str> {
    let open = record.open_questions();
    open.map(|question| question.key.as_ref()).collect()
}

impl Replica {
    /// Asks questions of these keys, which must be accepted.
    pub(super) async fn wait_for(&self, record: &TaskRecord, keys: &[&str]) -> Part {
        let asked = self.ask(record.id, record.epoch, questions(keys), record.revision);
        ensure_eq!(asked.await?, Ok(()));
        Ok(())
    }

    /// Answers a question of a task that must be there.
    pub(super) async fn reply(&self, id: TaskId, key: &str, answer: &str) -> Part<Answered> {
        let answered = self.answer(id, key, answer.into()).await?;
        answered.ok_or_else(|| Problem::new("a task to be answered was not found"))
    }

    /// Fails unless the task waits for answers to these, or works where there
    /// are none.
    async fn ensure_waits_for(&self, id: TaskId, keys: &[&str]) -> Part<TaskRecord> {
        let record = self.read(id).await?;
        ensure_eq!(open(&record), keys);
        let status = if keys.is_empty() {
            Status::Working
        } else {
            Status::InputRequired
        };
        ensure_eq!(record.status, status);
        Ok(record)
    }
}

async fn ask_shows_what_the_attempt_waits_for(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let record = one.start(lease, shared("t", 1)).await?;
    // Neither is read on the way.
    let schema = r#"{"type" : "number", "minimum": 1.10, "x": [12345678901234567890, {}, []]}"#;
    let asked = [
        Question::new("z", "it's ✓\n\"quoted\"?", schema, record.epoch),
        Question::new("a/b", "", "true", record.epoch),
    ];
    let ask = one.ask(record.id, record.epoch, asked.to_vec(), record.revision);
    ensure_eq!(ask.await?, Ok(()));

    let read = other.ensure_waits_for(record.id, &["z", "a/b"]).await?;
    ensure!(read.open_questions().eq(&asked), "other questions");
    ensure_eq!((read.epoch, read.owner), (record.epoch, record.owner));
    ensure!(read.revision > record.revision, "no new revision");
    let started = record.started_at;
    ensure!(Some(read.updated_at()) >= started, "asked before the start");
    let mut waiting = Filter::of(Owner::Anybody);
    waiting.status = Some(Status::InputRequired);
    let listed = other.list(&waiting, None, 10).await?;
    ensure_eq!(ids(&listed), [record.id]);
    ensure!(listed[0].input == read.input, "listed with other questions");
    waiting.status = Some(Status::Working);
    ensure_eq!(ids(&other.list(&waiting, None, 10).await?), []);
    let joined = existing(other.offer(shared("t", 1)).await?)?;
    ensure!(joined.input == read.input, "joined with other questions");

    // It is its session's as before, and may be asked to stop.
    ensure_eq!(one.owned(lease).await?, [record.id]);
    ensure_eq!(other.cancel(record.id, "").await?, CancelAck::Requested);
    one.wait_for(&record, &[]).await?;
    let again = other.ensure_waits_for(record.id, &[]).await?;
    ensure!(again.revision > read.revision, "no new revision");
    one.complete(&record, "1").await?;
    Ok(())
}

async fn ask_replaces_what_the_attempt_asked(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    one.wait_for(&record, &["a", "b"]).await?;
    one.wait_for(&record, &["c", "b"]).await?;
    let before = other.ensure_waits_for(record.id, &["c", "b"]).await?;
    ensure_eq!(other.reply(record.id, "a", "1").await?, Answered::NotAsked);
    ensure!(other.read(record.id).await? == before, "the task changed");
    // The same ones in another order.
    one.wait_for(&record, &["b", "c"]).await?;
    other.ensure_waits_for(record.id, &["b", "c"]).await?;
    one.wait_for(&record, &[]).await?;
    other.ensure_waits_for(record.id, &[]).await?;
    ensure_eq!(other.reply(record.id, "b", "1").await?, Answered::NotAsked);
    Ok(())
}

async fn ask_needs_the_epoch(Space { one, other, .. }: Space) -> Outcome {
    let ask = async |record: &TaskRecord, epoch| {
        let asked = other.ask(record.id, epoch, questions(&["q"]), record.revision);
        asked.await
    };
    let old = one.start(steady(), task("t")).await?;
    one.give_back(&old).await?;
    ensure_eq!(ask(&old, old.epoch).await?, Err(Refused::Fenced));
    let mut record = one.take_one(steady(), "t").await?;
    let before = one.read(record.id).await?;
    for epoch in [old.epoch, record.epoch.next()] {
        ensure_eq!(ask(&record, epoch).await?, Err(Refused::Fenced));
    }
    ensure!(one.read(record.id).await? == before, "the task changed");
    one.complete(&record, "1").await?;
    let ended = one.read(record.id).await?;
    ensure_eq!(ask(&record, record.epoch).await?, Err(Refused::Terminal));
    ensure!(one.read(record.id).await? == ended, "an ended task changed");
    record.id = TaskId::random();
    ensure_eq!(ask(&record, record.epoch).await?, Err(Refused::Fenced));
    Ok(())
}

async fn asking_the_same_again_changes_nothing(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    for keys in [&[][..], &["a", "b"], &[]] {
        one.wait_for(&record, keys).await?;
        let before = other.ensure_waits_for(record.id, keys).await?;
        // A clock of milliseconds has gone on.
        tokio::time::sleep(Duration::from_millis(2)).await;
        other.wait_for(&record, keys).await?;
        ensure!(one.read(record.id).await? == before, "the task changed");
    }
    Ok(())
}

async fn ask_leaves_out_what_was_answered(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    one.wait_for(&record, &["a", "b"]).await?;
    ensure_eq!(other.reply(record.id, "a", "1").await?, Answered::Recorded);
    let before = other.ensure_waits_for(record.id, &["b"]).await?;
    one.wait_for(&record, &["a", "b"]).await?;
    ensure!(other.read(record.id).await? == before, "the task changed");
    one.wait_for(&record, &["c", "a"]).await?;
    other.ensure_waits_for(record.id, &["c"]).await?;
    one.wait_for(&record, &["a"]).await?;
    other.ensure_waits_for(record.id, &[]).await?;

    // The next attempt asks as the first one did.
    one.retry(&record, Duration::ZERO).await?;
    let record = other.take_one(steady(), "t").await?;
    other.wait_for(&record, &["a"]).await?;
    one.ensure_waits_for(record.id, &[]).await?;
    Ok(())
}

async fn questions_survive_attempts(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let mut new = task("t");
    new.max_attempts = 9;
    let first = one.start(steady(), new).await?;
    let id = first.id;
    one.wait_for(&first, &["a", "b", "c"]).await?;
    one.retry(&first, Duration::ZERO).await?;
    let queued = other.read(id).await?;
    ensure_eq!((queued.status, open(&queued).len()), (Status::Queued, 0));
    ensure_eq!(other.reply(id, "b", "2").await?, Answered::Recorded);
    ensure_eq!(other.read(id).await?.status, Status::Queued);

    let second = other.take_one(space.brief(), "t").await?;
    one.ensure_waits_for(id, &[]).await?;
    ensure_eq!(one.reply(id, "a", "1").await?, Answered::Recorded);
    one.ensure_waits_for(id, &[]).await?;
    other.wait_for(&second, &["d"]).await?;
    space
        .reap_until("the session was dead", MANY, |reaped| {
            reaped.requeued.contains(&id)
        })
        .await?;

    // What is asked again is the present attempt's; others keep it waiting no
    // longer.
    let third = one.take_one(steady(), "t").await?;
    other.ensure_waits_for(id, &[]).await?;
    one.wait_for(&third, &["e", "c"]).await?;
    let waiting = other.ensure_waits_for(id, &["e", "c"]).await?;
    let epochs = waiting.open_questions().map(|question| question.epoch);
    ensure!(
        epochs.eq([third.epoch, third.epoch]),
        "questions of another attempt"
    );
    ensure_eq!(other.reply(id, "d", "4").await?, Answered::Recorded);
    other.ensure_waits_for(id, &["e", "c"]).await?;
    for key in ["c", "e"] {
        ensure_eq!(other.reply(id, key, "3").await?, Answered::Recorded);
    }
    other.ensure_waits_for(id, &[]).await?;
    let names: HashSet<_> = one.steps(id).await?.into_iter().map(|s| s.name).collect();
    let expected = ["a", "b", "c", "d", "e"];
    let expected: HashSet<_> = expected
        .iter()
        .map(|key| StepRecord::answer(key, "").name)
        .collect();
    ensure_eq!(names, expected);
    the_last_ones_are_kept(one, other).await
}

async fn the_last_ones_are_kept(one: &Replica, other: &Replica) -> Outcome {
    let first = one.start(steady(), task("u")).await?;
    let keys: Vec<String> = (0..Input::KEPT).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    one.wait_for(&first, &keys).await?;
    one.retry(&first, Duration::ZERO).await?;
    let second = other.take_one(steady(), "u").await?;
    other.wait_for(&second, &["new", "newer"]).await?;
    one.ensure_waits_for(first.id, &["new", "newer"]).await?;
    for (key, expected) in [
        ("0", Answered::NotAsked),
        ("1", Answered::NotAsked),
        ("2", Answered::Recorded),
        ("newer", Answered::Recorded),
    ] {
        ensure_eq!(one.reply(first.id, key, "1").await?, expected);
    }
    one.ensure_waits_for(first.id, &["new"]).await?;
    Ok(())
}

async fn answer_records_a_step(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    let step = one.record_step(record.id, record.epoch, StepRecord::new("s", "0"));
    ensure_eq!(step.await?, Ok(()));
    one.wait_for(&record, &["it's ✓", "b"]).await?;
    let exact = r#"{"x" : 1.10, "a": [12345678901234567890]}"#;
    for (key, answer) in [("b", "null"), ("it's ✓", exact)] {
        let answered = other.reply(record.id, key, answer).await?;
        ensure_eq!(answered, Answered::Recorded);
        let read = one.read(record.id).await?;
        ensure!(!open(&read).contains(&key), "a question is still open");
    }
    let steps = [
        StepRecord::new("s", "0"),
        StepRecord::answer("b", "null"),
        StepRecord::answer("it's ✓", exact),
    ];
    for replica in [&one, &other] {
        ensure!(replica.steps(record.id).await? == steps, "other steps");
    }
    Ok(())
}

async fn the_last_answer_lets_the_task_work(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let record = one.start(lease, task("t")).await?;
    one.wait_for(&record, &["a", "b", "c"]).await?;
    let mut before = one.read(record.id).await?;
    for (key, left) in [("b", &["a", "c"][..]), ("a", &["c"]), ("c", &[])] {
        ensure_eq!(other.reply(record.id, key, "1").await?, Answered::Recorded);
        let read = one.ensure_waits_for(record.id, left).await?;
        ensure!(read.revision > before.revision, "no new revision");
        ensure_eq!((read.epoch, read.owner), (record.epoch, record.owner));
        before = read;
    }
    ensure_eq!(other.owned(lease).await?, [record.id]);
    one.wait_for(&record, &["d"]).await?;
    other.ensure_waits_for(record.id, &["d"]).await?;
    Ok(())
}

async fn the_first_answer_stays(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    one.wait_for(&record, &["a", "b"]).await?;
    ensure_eq!(other.reply(record.id, "a", "1").await?, Answered::Recorded);
    let first = Answered::Before("1".into());
    let check = async || -> Outcome {
        let before = one.read(record.id).await?;
        for answer in ["1", "2"] {
            let answered = other.reply(record.id, "a", answer).await?;
            ensure!(answered == first, "a second answer came to {answered:?}");
        }
        ensure!(one.read(record.id).await? == before, "the task changed");
        let kept = [StepRecord::answer("a", "1")];
        ensure!(one.steps(record.id).await? == kept, "not the first answer");
        Ok(())
    };
    check().await?;
    one.retry(&record, LONG).await?;
    check().await
}

async fn racing_answers_record_one(Space { one, other, .. }: Space) -> Outcome {
    for _ in 0..8 {
        let record = one.start(steady(), task("t")).await?;
        one.wait_for(&record, &["a", "b"]).await?;
        let calls = (0..8).map(|number: usize| {
            let replica = [&one, &other][number % 2].clone();
            let key = ["a", "b"][number / 2 % 2];
            async move {
                let answer = number.to_string();
                let answered = replica.reply(record.id, key, &answer).await?;
                Ok((key, answer, answered))
            }
        });
        let calls = race(calls).await?;
        let steps = other.steps(record.id).await?;
        ensure_eq!(steps.len(), 2);
        for key in ["a", "b"] {
            let mine = calls.iter().filter(|(of, ..)| *of == key);
            let (won, lost): (Vec<_>, Vec<_>) =
                mine.partition(|(.., answered)| *answered == Answered::Recorded);
            ensure_eq!(won.len(), 1);
            let first = won[0].1.as_str();
            let step = StepRecord::answer(key, first);
            ensure!(steps.contains(&step), "another answer than the first");
            let before = Answered::Before(first.into());
            for (.., answered) in lost {
                ensure!(*answered == before, "another one came to {answered:?}");
            }
        }
        other.ensure_waits_for(record.id, &[]).await?;
    }
    Ok(())
}

async fn answer_needs_a_question(Space { one, other, .. }: Space) -> Outcome {
    let queued = one.queue("u").await?;
    let silent = one.start(steady(), task("t")).await?;
    let asks = one.start(steady(), task("t")).await?;
    one.wait_for(&asks, &["a"]).await?;
    for id in [queued.id, silent.id, asks.id] {
        let before = one.read(id).await?;
        // The name of a step is not the key of a question.
        for key in ["b", "", "input:a"] {
            let answered = other.reply(id, key, "1").await?;
            ensure_eq!(answered, Answered::NotAsked);
        }
        ensure!(one.read(id).await? == before, "the task changed");
        ensure_eq!(one.steps(id).await?, []);
    }
    Ok(())
}

async fn answer_leaves_an_ended_task(Space { one, other, .. }: Space) -> Outcome {
    let mut ended = Vec::new();
    for lingers in [false, true] {
        let record = one.start(steady(), task("t")).await?;
        one.wait_for(&record, &["a", "b"]).await?;
        ensure_eq!(other.reply(record.id, "b", "1").await?, Answered::Recorded);
        let mut end = completed(&record, "1");
        end.lingers = lingers;
        ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
        ended.push(record);
    }
    let lingering = &ended[1];
    let cancelled = one.start(steady(), task("t")).await?;
    one.wait_for(&cancelled, &["a"]).await?;
    one.retry(&cancelled, LONG).await?;
    one.cancel(cancelled.id, "").await?;
    for id in [ended[0].id, lingering.id, cancelled.id] {
        let before = one.read(id).await?;
        for key in ["a", "b", "c"] {
            ensure_eq!(other.reply(id, key, "1").await?, Answered::Ended);
        }
        ensure!(one.read(id).await? == before, "an ended task changed");
        ensure_eq!(one.steps(id).await?, []);
    }
    let stopped = one.release(lingering.id, lingering.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Ok(()));
    Ok(())
}

async fn answer_finds_no_unknown_task(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let answer = async |id| other.answer(id, "a", "1".into()).await;
    ensure_eq!(answer(TaskId::random()).await?, None);
    let record = one.start(steady(), space.fleeting("t")).await?;
    one.wait_for(&record, &["a"]).await?;
    let retention = space.term();
    one.complete(&record, "1").await?;
    let mut patience = space.patience("the retention was over");
    while let Some(answered) = answer(record.id).await? {
        ensure_eq!(answered, Answered::Ended);
        patience.pause().await?;
    }
    retention.ensure_over("the task was gone")?;
    one.reap(MANY).await?;
    ensure_eq!(answer(record.id).await?, None);
    Ok(())
}
