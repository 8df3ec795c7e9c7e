//! What must be true of the keys of a namespace at any time.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::store::{
    ConcurrencyLimit, End, Filter, LogLine, Outcome, Owner, Principal, Question, Status,
    StepRecord, TaskFailure, TaskKey,
};

type Fields = BTreeMap<String, String>;

/// Looks at all keys of the namespace `test`, while nobody changes any.
pub(super) async fn check_integrity(place: &Place) {
    let mut raw = place.raw().await;
    let mut found = Found::default();
    for name in place.keys().await {
        let key = place.key(&name);
        let kind: String = raw.ask(&["TYPE", &key]).await;
        match kind.as_str() {
            "hash" => {
                let fields: Fields = raw.ask(&["HGETALL", &key]).await;
                found.hashes.insert(name, fields);
            }
            "set" => {
                let members: BTreeSet<String> = raw.ask(&["SMEMBERS", &key]).await;
                found.sets.insert(name, members);
            }
            "zset" => {
                let members: BTreeMap<String, f64> =
                    raw.ask(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]).await;
                found.sorted.insert(name, members);
            }
            "list" => {
                let members: Vec<String> = raw.ask(&["LRANGE", &key, "0", "-1"]).await;
                found.lists.insert(name, members);
            }
            "string" => {
                found.strings.insert(name);
            }
            kind => panic!("{name} is a {kind}"),
        }
    }
    found.check(place);
}

#[derive(Debug, Default)]
struct Found {
    hashes: BTreeMap<String, Fields>,
    sets: BTreeMap<String, BTreeSet<String>>,
    sorted: BTreeMap<String, BTreeMap<String, f64>>,
    lists: BTreeMap<String, Vec<String>>,
    strings: BTreeSet<String>,
}

/// What the indexes must be, built from the tasks.
#[derive(Debug, Default)]
struct Expected {
    sets: BTreeMap<String, BTreeSet<String>>,
    sorted: BTreeMap<String, BTreeMap<String, f64>>,
    shared: BTreeSet<String>,
    counts: BTreeMap<String, u32>,
}

impl Expected {
    fn member(&mut self, set: String, member: &str) {
        self.sets.entry(set).or_default().insert(member.to_owned());
    }

    fn place(&mut self, set: String, member: &str, score: &str) {
        let score = score.parse().expect("a number");
        let set = self.sorted.entry(set).or_default();
        set.insert(member.to_owned(), score);
    }

    /// The lowest score of a member.
    fn first(&mut self, set: String, member: &str, score: &str) {
        let score: f64 = score.parse().expect("a number");
        let lowest = self.sorted.entry(set).or_default();
        let lowest = lowest.entry(member.to_owned()).or_insert(score);
        *lowest = lowest.min(score);
    }

    fn task(&mut self, id: &str, task: &Fields, waits: bool) {
        let get = |field: &str| task.get(field).map(String::as_str);
        let of = |field: &str| get(field).unwrap_or_else(|| panic!("{id} has no {field}"));
        let (tool, scope) = (of("tool"), of("scope"));
        let status: u32 = of("status").parse().expect("a number");
        let pause = get("not_before");
        for list in ["la", &format!("lo:{scope}"), &format!("lt:{tool}")] {
            self.place(list.to_owned(), id, of("created"));
        }
        assert!(pause.is_none() || status == 0, "{id} is in back-off");
        match status {
            0 => {
                for count in ["all", &format!("={tool}")] {
                    *self.counts.entry(count.to_owned()).or_default() += 1;
                }
                self.place("dl".to_owned(), id, of("deadline"));
                // Until somebody notices that it is over.
                if waits {
                    self.place("bo".to_owned(), id, pause.unwrap_or_default());
                } else {
                    let concurrency = get("concurrency").unwrap_or_default();
                    let lane = format!("{}:{tool}{concurrency}", tool.len());
                    self.place(format!("w:{lane}"), id, of("seq"));
                    self.first(format!("q:{tool}"), concurrency, of("seq"));
                    self.first("qa".to_owned(), &lane, of("seq"));
                }
                assert_eq!(get("owner"), None, "{id} is queued and owned");
            }
            1 | 2 => assert!(get("owner").is_some(), "{id} is nobody's"),
            _ => {
                let finished: u64 = of("finished").parse().expect("a number");
                let retention: u64 = of("retention").parse().expect("a number");
                let tomb = format!("{id}|{}|{tool}{scope}", tool.len());
                self.place("x".to_owned(), &tomb, &(finished + retention).to_string());
            }
        }
        let questions: Vec<Question> =
            serde_json::from_str(get("questions").unwrap_or("[]")).expect("JSON");
        let waits = questions
            .iter()
            .any(|question| question.epoch.0.to_string() == of("epoch"));
        assert_eq!(status == 2, waits && get("owner").is_some(), "{id} waits");
        assert!(status < 3 || get("asked").is_none(), "{id} asks no more");
        let format = match (get("notice"), get("asked")) {
            (Some(_), _) => 3..=3,
            (None, Some(_)) => 2..=2,
            // What it asked is forgotten with its end, and the format is not.
            (None, None) => 1..=2,
        };
        let kept: u32 = of("format").parse().expect("a number");
        assert!(format.contains(&kept), "{id} is of format {kept}");
        if let Some(due) = get("notice_due") {
            assert!(get("notice").is_some(), "{id} tells nobody");
            self.place("no".to_owned(), id, due);
        }
        assert!(
            get("asked").is_some() || questions.is_empty(),
            "{id} never asked"
        );
        match status {
            0..=2 => self.place("live".to_owned(), id, of("created")),
            4 | 5 => self.place("bad".to_owned(), id, of("created")),
            _ => {}
        }
        if let Some(owner) = get("owner") {
            self.member(format!("o:{owner}"), id);
            let needs: Vec<(String, u32)> =
                serde_json::from_str(get("concurrency").unwrap_or("[]")).expect("JSON");
            for (key, _) in needs {
                self.member(format!("h:{key}"), id);
            }
        }
    }
}

impl Found {
    fn check(mut self, place: &Place) {
        let tasks: BTreeMap<String, Fields> = self
            .hashes
            .iter()
            .filter_map(|(name, fields)| {
                Some((name.strip_prefix("t:")?.to_owned(), fields.clone()))
            })
            .collect();
        let mut expected = Expected::default();
        for (id, task) in &tasks {
            let backed_off = self.sorted.get("bo");
            let waits = backed_off.is_some_and(|tasks| tasks.contains_key(id));
            expected.task(id, task, waits);
            let live = matches!(task["status"].as_str(), "0" | "1" | "2");
            let complete = task["status"] == "3";
            let has = |kind: &str| self.strings.contains(&format!("{kind}{id}"));
            assert_eq!(has("a:"), live, "arguments of {id}");
            let ahead = task.contains_key("ahead");
            assert_eq!(has("r:"), complete || ahead, "a result of {id}");
            assert!(live || !ahead, "{id} has ended and has a result put ahead");
            if task.contains_key("dedupe") && live && !task.contains_key("cancel") {
                expected.shared.insert(id.clone());
            }
            let log = self.lists.get(&format!("l:{id}")).map_or(0, Vec::len);
            assert!(log <= 50, "{id} has {log} lines");
            for key in self.lists.remove(&format!("i:{id}")).unwrap_or_default() {
                let key = key.strip_prefix(&place.key("")).expect("a key of ours");
                assert!(self.strings.remove(key), "{key} of {id} is not there");
            }
        }
        assert_eq!(self.sets, expected.sets, "what is owned and held");
        assert_eq!(self.sorted, expected.sorted, "lists and queues");

        let counts = self.hashes.remove("qn").unwrap_or_default();
        let counts: BTreeMap<String, u32> = counts
            .into_iter()
            .map(|(name, count)| (name, count.parse().expect("a number")))
            .collect();
        assert_eq!(counts, expected.counts, "how many are queued");

        let sessions = self.hashes.remove("se").unwrap_or_default();
        for session in sessions.keys() {
            let owned = self.sets.contains_key(&format!("o:{session}"));
            assert!(owned, "session {session} owns nothing");
        }
        let owners = self.sets.keys().filter(|name| name.starts_with("o:"));
        assert_eq!(owners.count(), sessions.len(), "owners without a session");

        // Fewer, where an older equal one was late.
        let shared = self.hashes.remove("sh").unwrap_or_default();
        for id in shared.values() {
            assert!(expected.shared.contains(id), "{id} can be joined");
        }
        let is_of_a_task = |name: &str, kinds: &[&str], living: bool| {
            kinds.iter().any(|kind| {
                let task = name.strip_prefix(kind).and_then(|id| tasks.get(id));
                task.is_some_and(|task| !living || task["status"].as_str() < "3")
            })
        };
        for name in self.hashes.keys() {
            assert!(
                is_of_a_task(name, &["t:"], false) || is_of_a_task(name, &["s:"], true),
                "{name} is left"
            );
        }
        for name in self.lists.keys() {
            assert!(is_of_a_task(name, &["l:"], false), "{name} is left");
        }
        for name in &self.strings {
            let known = is_of_a_task(name, &["a:", "r:"], false) || name == "seq";
            assert!(known, "{name} is left");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_retention_is_over() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let lease = lease();
    for number in 0..20_u64 {
        let mut new = task("t");
        new.retention = Duration::from_secs(4);
        new.key = Some(TaskKey::new(number.to_string(), fingerprint(number)));
        new.dedupe = Some(fingerprint(number));
        new.principal = (number % 2 == 0).then(|| Principal::new("ann"));
        new.concurrency = [ConcurrencyLimit::new("k", 100)].into();
        let id = queued(store.as_ref(), new.clone()).await;
        // One more key of the same task.
        new.id = TaskId::random();
        new.key = Some(TaskKey::new(format!("more {number}"), fingerprint(number)));
        let joined = store.create(new, roomy()).await.expect("it works");
        assert!(matches!(joined, Created::Existing(record) if record.id == id));
    }
    store
        .request_cancel(
            claim(store.as_ref(), lease, "t", 1).await[0].id,
            "no".into(),
        )
        .await
        .expect("it works");
    for (number, record) in claim(store.as_ref(), lease, "t", 15)
        .await
        .iter()
        .enumerate()
    {
        let line = LogLine::new(1, record.created_at, "line");
        let step = StepRecord::new("s", "1");
        let (id, epoch) = (record.id, record.epoch);
        let recorded = store.record_step(id, epoch, step).await.expect("it works");
        assert_eq!(recorded, Ok(()));
        let mut end = if number % 2 == 0 {
            let put = store.put_result(id, epoch, "\"large\"".into()).await;
            assert_eq!(put.expect("it works"), Ok(()));
            End::ahead(3)
        } else {
            let failure = TaskFailure::new("odd", "it was odd");
            End::new(Outcome::Failed(Box::new(failure)), 3)
        };
        end = end.with_log(vec![line]);
        end.lingers = number % 5 == 0;
        let finished = store.finish(id, epoch, end).await.expect("it works");
        assert_eq!(finished, Ok(()));
    }
    // Those that are left: one is asked to stop, the others are queued.
    check_integrity(&place).await;
    let all = Filter::of(Owner::Anybody);
    for record in store.list(&all, None, 100).await.expect("it works") {
        let id = record.id;
        store.request_cancel(id, "".into()).await.expect("it works");
        if record.status == Status::Working {
            let outcome = Outcome::Cancelled("".into());
            let end = End::new(outcome, 9);
            let finished = store.finish(id, record.epoch, end).await;
            assert_eq!(finished.expect("it works"), Ok(()));
        }
    }
    tokio::time::sleep(Duration::from_millis(4100)).await;
    // The server itself has expired whatever nobody owns.
    let mut raw = place.raw().await;
    let tasks: Vec<String> = raw.ask(&["KEYS", &place.key("t:*")]).await;
    assert_eq!(tasks.len(), 3, "{tasks:?}");
    let reaped = store.reap(1000).await.expect("it works");
    assert_eq!(reaped.purged.len(), 20);
    assert_eq!(place.keys().await, [""; 0]);
}
