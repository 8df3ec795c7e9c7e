//! Accepting tasks.

use std::sync::Arc;
use std::time::Duration;

use super::check::Outcome;
use super::notices::notified;
use super::space::{
    LONG, Space, conflict, existing, fingerprint, fresh, full, ids, keyed, limited, race, shared,
    sorted, steady, task, wide,
};
use crate::store::{
    Admission, Created, Epoch, Filter, Limit, MAX_KEYS, NewTask, Origin, Owner, Principal, Status,
    TaskKey,
};

cases![
    create_replays_a_known_key,
    create_refuses_a_key_with_other_arguments,
    keys_are_scoped_by_principal_and_tool,
    a_key_lives_as_long_as_its_record,
    create_joins_an_equal_task,
    a_shared_task_has_a_limit_of_keys,
    create_queues_a_task,
    create_claims_for_an_idle_session,
    create_never_overtakes,
    create_respects_the_limits_of_the_queue,
    create_respects_the_limit_of_a_principal,
    racing_creates_of_a_key_make_one_task,
    a_task_keeps_its_origin,
];

/// Conditions that let no task wait.
fn closed() -> Admission {
    Admission::new(0, 0)
}

async fn create_replays_a_known_key(Space { one, other, .. }: Space) -> Outcome {
    let id = one.accept(keyed("t", "k", 1)).await?.id;
    let lease = steady();
    for admission in [wide(), closed(), wide().claimed_by(lease)] {
        let found = existing(other.create(keyed("t", "k", 1), admission).await?)?;
        ensure_eq!((found.id, found.status), (id, Status::Queued));
    }
    ensure_eq!(other.owned(lease).await?, []);

    let record = one.take_one(lease, "t").await?;
    let found = existing(other.create(keyed("t", "k", 1), closed()).await?)?;
    ensure_eq!((found.id, found.status), (id, Status::Working));
    one.complete(&record, "1").await?;
    let found = existing(other.create(keyed("t", "k", 1), closed()).await?)?;
    ensure_eq!((found.id, found.status), (id, Status::Completed));
    Ok(())
}

async fn create_refuses_a_key_with_other_arguments(Space { one, other, .. }: Space) -> Outcome {
    let id = one.accept(keyed("t", "k", 1)).await?.id;
    let different = keyed("t", "k", 2);
    let refused = different.id;
    ensure_eq!(conflict(other.create(different, closed()).await?)?, id);
    ensure_eq!(conflict(other.offer(keyed("t", "k", 3)).await?)?, id);
    ensure!(other.get(refused).await?.is_none(), "it was stored");
    ensure_eq!(ids(&one.take(steady(), "t").await?), [id]);
    Ok(())
}

async fn keys_are_scoped_by_principal_and_tool(Space { one, other, .. }: Space) -> Outcome {
    let scopes = [
        (None, "t"),
        (Some(""), "t"),
        (Some("ann"), "t"),
        (Some("bob"), "t"),
        (None, "u"),
        (Some("ann"), "u"),
        (Some("ann:t"), "u"),
    ];
    let call = |(principal, tool): (Option<&str>, &str)| {
        let mut new = keyed(tool, "k", 1);
        new.principal = principal.map(Principal::new);
        new
    };
    let mut created = Vec::new();
    for scope in scopes {
        created.push(one.accept(call(scope)).await?);
    }
    for (scope, record) in scopes.into_iter().zip(created) {
        ensure_eq!(existing(other.offer(call(scope)).await?)?.id, record.id);
        ensure_eq!(record.principal, scope.0.map(Principal::new));
    }
    Ok(())
}

async fn a_key_lives_as_long_as_its_record(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let call = || {
        let mut new = keyed("t", "k", 1);
        new.retention = space.lease;
        new
    };
    let record = one.start(steady(), call()).await?;
    let retention = space.term();
    one.complete(&record, "1").await?;
    let mut patience = space.patience("the key was free");
    loop {
        match other.offer(call()).await? {
            Created::Existing(found) => ensure_eq!(found.id, record.id),
            created => {
                retention.ensure_over("the key was free")?;
                let id = fresh(created)?.id;
                ensure_eq!(existing(one.offer(call()).await?)?.id, id);
                ensure_eq!(one.read(id).await?.status, Status::Queued);
                return Ok(());
            }
        }
        patience.pause().await?;
    }
}

async fn create_joins_an_equal_task(Space { one, other, .. }: Space) -> Outcome {
    let id = one.accept(shared("t", 1)).await?.id;
    ensure_eq!(
        existing(other.create(shared("t", 1), closed()).await?)?.id,
        id
    );
    one.accept(shared("t", 2)).await?;
    one.accept(shared("u", 1)).await?;
    let mut hers = shared("t", 1);
    hers.principal = Some(Principal::new("ann"));
    one.accept(hers).await?;
    one.accept(keyed("t", "first", 1)).await?;

    let mut joining = shared("t", 1);
    joining.key = Some(TaskKey::new("k", fingerprint("t", 1)));
    ensure_eq!(existing(one.offer(joining.clone()).await?)?.id, id);
    ensure_eq!(existing(other.offer(keyed("t", "k", 1)).await?)?.id, id);
    ensure_eq!(conflict(other.offer(keyed("t", "k", 2)).await?)?, id);

    let record = one.take_one(steady(), "t").await?;
    ensure_eq!(record.id, id);
    ensure_eq!(existing(other.offer(shared("t", 1)).await?)?.id, id);
    other.cancel(id, "").await?;
    let next = one.accept(shared("t", 1)).await?.id;
    ensure_eq!(existing(other.offer(shared("t", 1)).await?)?.id, next);
    one.complete(&record, "1").await?;
    ensure_eq!(existing(other.offer(shared("t", 1)).await?)?.id, next);
    other.cancel(next, "").await?;
    one.accept(shared("t", 1)).await?;
    Ok(())
}

async fn a_shared_task_has_a_limit_of_keys(Space { one, other, .. }: Space) -> Outcome {
    let call = |key: usize| {
        let mut new = shared("t", 1);
        new.key = Some(TaskKey::new(key.to_string(), fingerprint("t", 1)));
        new
    };
    let id = one.accept(call(0)).await?.id;
    let keys: Vec<usize> = (1..MAX_KEYS).collect();
    for keys in keys.chunks(32) {
        let joins = keys.iter().map(|key| {
            let (replica, new) = (other.clone(), call(*key));
            async move { Ok(existing(replica.offer(new).await?)?.id) }
        });
        let joined = race(joins).await?;
        ensure!(joined.iter().all(|found| *found == id), "another task");
    }
    let beyond = call(MAX_KEYS);
    let refused = beyond.id;
    ensure_eq!(full(other.offer(beyond).await?)?, Limit::Keys(MAX_KEYS));
    ensure!(one.get(refused).await?.is_none(), "it was stored");
    ensure_eq!(existing(one.offer(call(MAX_KEYS - 1)).await?)?.id, id);

    one.take_one(steady(), "t").await?;
    other.cancel(id, "").await?;
    // Had the key been stored, it would name the old task.
    one.accept(call(MAX_KEYS)).await?;
    Ok(())
}

async fn create_queues_a_task(Space { one, other, .. }: Space) -> Outcome {
    let mut new = limited("t", "k", 3);
    new.principal = Some(Principal::new("ann"));
    new.max_attempts = 4;
    let created = one.accept(new.clone()).await?;
    let read = other.read(new.id).await?;
    for record in [&created, &read] {
        ensure_eq!((record.id, &*record.tool), (new.id, "t"));
        ensure_eq!((record.status, record.attempt), (Status::Queued, 0));
        ensure_eq!(record.principal, new.principal);
        ensure_eq!(record.concurrency, new.concurrency);
        ensure_eq!(record.max_attempts, new.max_attempts);
        ensure_eq!(record.retention, new.retention);
        ensure_eq!(record.deadline, record.created_at.plus(new.max_wait));
        ensure_eq!((record.owner, record.epoch), (None, Epoch::default()));
        ensure_eq!((record.started_at, record.finished_at), (None, None));
        ensure_eq!(record.cancel, None);
        ensure_eq!(record.outcome, None);
    }
    ensure_eq!(read.revision, created.revision);
    Ok(())
}

async fn create_claims_for_an_idle_session(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let claiming = wide().claimed_by(lease);
    let first = fresh(one.create(limited("t", "k", 1), claiming).await?)?;
    for record in [&first, &other.read(first.id).await?] {
        ensure_eq!((record.status, record.attempt), (Status::Working, 1));
        ensure_eq!(record.owner, Some(lease.session));
        ensure_eq!(record.epoch, Epoch::default().next());
        ensure!(record.started_at.is_some(), "it has not been started");
    }
    ensure_eq!(&*first.arguments, &*task("t").arguments);
    ensure_eq!(other.owned(lease).await?, [first.id]);

    let waiting = fresh(one.create(limited("t", "k", 1), claiming).await?)?;
    ensure_eq!((waiting.status, waiting.owner), (Status::Queued, None));
    // It is not ready, so nobody is overtaken.
    let second = fresh(one.create(task("t"), claiming).await?)?;
    ensure_eq!(second.status, Status::Working);
    one.retry(&second, LONG).await?;
    let third = fresh(one.create(task("t"), claiming).await?)?;
    ensure_eq!(third.status, Status::Working);

    one.complete(&first, "1").await?;
    let behind = fresh(one.create(task("t"), claiming).await?)?;
    ensure_eq!(behind.status, Status::Queued);
    one.complete(&third, "1").await?;
    Ok(())
}

async fn create_never_overtakes(Space { one, other, .. }: Space) -> Outcome {
    let claiming = wide().claimed_by(steady());
    let first = one.queue("t").await?;
    let same = fresh(other.create(task("t"), claiming).await?)?;
    ensure_eq!((same.status, same.attempt), (Status::Queued, 0));
    let another = fresh(other.create(task("u"), claiming).await?)?;
    ensure_eq!((another.status, another.attempt), (Status::Queued, 0));
    ensure_eq!(other.read(another.id).await?.status, Status::Queued);
    ensure_eq!(one.take_one(steady(), "t").await?.id, first.id);
    Ok(())
}

async fn create_respects_the_limits_of_the_queue(Space { one, other, .. }: Space) -> Outcome {
    let narrow = Admission::new(2, 3);
    let create = async |tool| one.create(task(tool), narrow).await;
    fresh(create("t").await?)?;
    fresh(create("t").await?)?;
    ensure_eq!(full(create("t").await?)?, Limit::ToolQueue(2));
    fresh(create("u").await?)?;
    ensure_eq!(full(create("u").await?)?, Limit::Queue(3));
    let refused = task("v");
    ensure_eq!(
        full(one.create(refused.clone(), narrow).await?)?,
        Limit::Queue(3)
    );
    ensure!(one.get(refused.id).await?.is_none(), "it was stored");
    let all = Filter::of(Owner::Anybody);
    ensure_eq!(other.list(&all, None, 10).await?.len(), 3);

    let claiming = narrow.claimed_by(steady());
    let behind = fresh(other.create(task("v"), claiming).await?)?;
    ensure_eq!(behind.status, Status::Queued);
    let second = other.create(task("t"), claiming).await?;
    ensure_eq!(full(second)?, Limit::ToolQueue(2));

    // What is being worked on or has ended does not wait.
    let working = one.take(steady(), "t").await?;
    fresh(create("t").await?)?;
    one.complete(&working[0], "1").await?;
    ensure_eq!(full(create("t").await?)?, Limit::Queue(3));
    Ok(())
}

async fn racing_creates_of_a_key_make_one_task(Space { one, other, .. }: Space) -> Outcome {
    let creates = (0..32).map(|number| {
        let replica = if number % 2 == 0 { &one } else { &other }.clone();
        async move { replica.offer(keyed("t", "k", 1)).await }
    });
    let (mut new, mut found) = (Vec::new(), Vec::new());
    for created in race(creates).await? {
        match created {
            Created::New(record) => new.push(record.id),
            created => found.push(existing(created)?.id),
        }
    }
    ensure_eq!(new.len(), 1);
    new.resize(found.len(), new[0]);
    ensure_eq!(sorted(found), new);
    ensure_eq!(
        one.list(&Filter::of(Owner::Anybody), None, 10).await?.len(),
        1
    );
    Ok(())
}

async fn create_respects_the_limit_of_a_principal(Space { one, other, .. }: Space) -> Outcome {
    let mut narrow = wide();
    narrow.principal_queue = Some(2);
    let claiming = narrow.claimed_by(steady());
    let of = |principal: &str, tool: &str| {
        let mut new = task(tool);
        new.principal = Some(Principal::new(principal));
        new
    };
    let mut first = keyed("t", "k", 1);
    first.principal = Some(Principal::new("ann"));
    fresh(one.create(first.clone(), narrow).await?)?;
    fresh(other.create(of("ann", "u"), narrow).await?)?;
    for admission in [narrow, claiming] {
        for tool in ["t", "v"] {
            let refused = of("ann", tool);
            let created = other.create(refused.clone(), admission).await?;
            ensure_eq!(full(created)?, Limit::PrincipalQueue(2));
            ensure!(one.get(refused.id).await?.is_none(), "it was stored");
        }
    }
    first.id = task("t").id;
    existing(other.create(first, narrow).await?)?;
    fresh(one.create(of("ann", "t"), wide()).await?)?;
    for _ in 0..3 {
        fresh(one.create(task("t"), narrow).await?)?;
    }
    fresh(one.create(of("", "t"), narrow).await?)?;

    // What is being worked on or has ended does not wait, and what is claimed
    // at once never has.
    let lease = steady();
    let working = one.take(lease, "t").await?;
    one.take(lease, "u").await?;
    for _ in 0..3 {
        let record = fresh(one.create(of("ann", "t"), claiming).await?)?;
        ensure_eq!(record.status, Status::Working);
    }
    one.complete(&working[0], "1").await?;
    fresh(one.create(of("ann", "t"), narrow).await?)?;
    // What waits for another attempt is queued.
    ensure_eq!(working[1].principal, of("ann", "t").principal);
    one.retry(&working[1], LONG).await?;
    let refused = one.create(of("ann", "t"), narrow).await?;
    ensure_eq!(full(refused)?, Limit::PrincipalQueue(2));
    Ok(())
}

async fn a_task_keeps_its_origin(Space { one, other, .. }: Space) -> Outcome {
    let mut origin = Origin::new();
    origin.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    origin.tracestate = Some("a=1,b='✓'".into());
    origin.callback_url = Some("https://example.com/?a=\"b\"&c=%20".into());
    let mut traced = Origin::new();
    traced.traceparent.clone_from(&origin.traceparent);
    for origin in [None, Some(traced), Some(origin)] {
        let origin = origin.map(Arc::new);
        let new = NewTask {
            origin: origin.clone(),
            ..notified("t")
        };
        ensure_eq!(one.accept(new.clone()).await?.origin, origin);
        let claimed = other.take_one(steady(), "t").await?;
        ensure_eq!(claimed.origin, origin);
        other.retry(&claimed, Duration::ZERO).await?;
        let claimed = one.take_one(steady(), "t").await?;
        ensure_eq!((claimed.id, &claimed.origin), (new.id, &origin));
        ensure_eq!(one.read(new.id).await?.origin, origin);
        one.complete(&claimed, "1").await?;
        ensure_eq!(other.read(new.id).await?.origin, origin);
        ensure_eq!(other.notice_of(new.id).await?.origin, origin);
        let listed = one.list(&Filter::of(Owner::Anybody), None, 10).await?;
        let listed = listed.iter().find(|record| record.id == new.id);
        ensure_eq!(listed.map(|record| &record.origin), Some(&origin));
    }
    Ok(())
}
