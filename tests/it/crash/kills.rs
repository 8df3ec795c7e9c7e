//! `kill -9` at random moments, again and again, while callers go on.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_tool::SqliteStore;
use fastrand::Rng;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::after::{check_list, check_sessions, works};
use super::arena::{Arena, Scene};
use super::callers::{Accepted, Caller};
use super::checks::{Counts, Log, check_end, check_lines};
use super::client::Client;
use super::ledger::Line;

/// How long everything may take to end once nobody is killed any more, on a
/// machine that has a lot to do.
const END: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills() {
    Storm::new(&["default"], 32).survive().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_of_a_namespace_survive_each_other() {
    Storm::new(&["default", "default"], 16).survive().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_namespaces_of_a_file_stay_apart_through_kills() {
    Storm::new(&["red", "blue"], 8).survive().await;
}

/// A plan; the seed decides on all moments.
struct Storm {
    scene: Scene,
    arena: Arena,
    /// Without repetitions.
    namespaces: Vec<String>,
    kills: usize,
    rng: Rng,
}

impl Storm {
    /// A process for each namespace; so many kills, unless the environment
    /// says otherwise.
    fn new(namespaces: &[&str], kills: usize) -> Self {
        let seed = setting("ASYNC_TOOL_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..100_000));
        let kills = setting("ASYNC_TOOL_CRASH_KILLS").map_or(kills, |kills| {
            usize::try_from(kills).expect("not that many")
        });
        print(&format!("ASYNC_TOOL_CRASH_SEED={seed}: {namespaces:?}"));
        let scene = Scene::new();
        let hosts = namespaces.iter().map(|namespace| {
            let mut host = scene.host();
            (*namespace).clone_into(&mut host.namespace);
            host
        });
        let arena = Arena::new(hosts.collect());
        let mut namespaces: Vec<String> = namespaces.iter().map(ToString::to_string).collect();
        namespaces.dedup();
        Self {
            scene,
            arena,
            namespaces,
            kills,
            rng: Rng::with_seed(seed),
        }
    }

    async fn survive(mut self) {
        // The file itself comes to be, now and then by halves.
        for _ in 0..3 {
            self.arena.spawn(0);
            sleep(Duration::from_millis(self.rng.u64(..60))).await;
            self.arena.kill(&[0]).await;
        }
        self.arena.serve_all().await;
        let stop = CancellationToken::new();
        let mut callers = Vec::new();
        for number in 0..8 {
            let namespace = &self.namespaces[number % self.namespaces.len()];
            let caller = Caller::new(
                format!("caller-{number}"),
                self.rng.fork(),
                self.arena.addresses(namespace),
            );
            let (namespace, stop) = (namespace.clone(), stop.clone());
            callers.push(tokio::spawn(async move {
                let accepted = caller.run(stop).await;
                (namespace, accepted)
            }));
        }
        let mut killed = 0;
        while killed < self.kills {
            killed += self.round().await;
        }
        self.arena.serve_all().await;
        stop.cancel();

        let mut accepted: HashMap<String, Vec<Accepted>> = HashMap::new();
        for caller in join_all(callers).await {
            let (namespace, tasks) = caller.expect("the caller found nothing wrong");
            accepted.entry(namespace).or_default().extend(tasks);
        }
        self.check(&accepted).await;
    }

    /// Lets processes live for a while, and kills some. Returns how many.
    async fn round(&mut self) -> usize {
        let all: Vec<usize> = (0..self.arena.hosts.len()).collect();
        let victims = match self.rng.usize(..=all.len()) {
            one if one < all.len() => vec![one],
            _ => all.clone(),
        };
        // Long enough for tasks of the dead to be taken over, or not.
        let life = if self.rng.bool() { 20..400 } else { 600..1200 };
        sleep(Duration::from_millis(self.rng.u64(life))).await;
        self.arena.kill(&victims).await;
        let mut kills = victims.len();
        if victims.len() < all.len() {
            sleep(Duration::from_millis(self.rng.u64(..800))).await;
        }
        for victim in victims {
            self.arena.spawn(victim);
            // Now and then while it starts.
            if self.rng.u8(..8) == 0 {
                sleep(Duration::from_millis(self.rng.u64(..60))).await;
                self.arena.kill(&[victim]).await;
                self.arena.spawn(victim);
                kills += 1;
            }
        }
        self.arena.serve_all().await;
        kills
    }

    async fn check(&self, accepted: &HashMap<String, Vec<Accepted>>) {
        let end = Instant::now() + END;
        let mut counts = Counts::default();
        let mut ends = HashMap::new();
        for namespace in &self.namespaces {
            let address = self.arena.addresses(namespace).choose(&mut Rng::new());
            let client = Client::connect(address.expect("serves")).await;
            let client = client.expect("connects");
            for task in &accepted[namespace] {
                let answer = client.finish(task.tool, &task.id, end).await;
                check_end(task, &answer, Log::Kept, &mut counts);
                ends.insert(task.id.clone(), answer);
            }
            self.check_apart(&client, namespace, accepted).await;
            works(&client, end).await;
            check_list(&client, &accepted[namespace], end).await;
            let store = SqliteStore::open(self.scene.host().database()).await;
            check_sessions(&store.expect("opens"), namespace).await;
        }
        for (namespace, lines) in self.lines() {
            check_lines(&lines, &ends, &mut counts);
            for (other, tasks) in accepted.iter().filter(|(other, _)| **other != namespace) {
                let tasks: HashSet<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
                for line in &lines {
                    assert!(!tasks.contains(&*line.task), "of {other}: {line}");
                }
            }
        }
        print(&format!("{counts:?}"));
        // Otherwise the kills met nothing, and all of this proves nothing.
        let proven = counts.completed > 0
            && counts.interrupted + counts.started_again > 0
            && counts.steps_spared > 0;
        assert!(proven, "{counts:?}");
    }

    /// What the processes of each namespace did.
    fn lines(&self) -> HashMap<String, Vec<Line>> {
        let mut lines: HashMap<String, Vec<Line>> = HashMap::new();
        for line in self.arena.ledger.lines() {
            let namespace = &self.arena.namespaces[&line.pid];
            lines.entry(namespace.clone()).or_default().push(line);
        }
        lines
    }

    /// Tasks of other namespaces do not exist.
    async fn check_apart(
        &self,
        client: &Client,
        namespace: &str,
        accepted: &HashMap<String, Vec<Accepted>>,
    ) {
        let others = accepted.iter().filter(|(other, _)| *other != namespace);
        for task in others.flat_map(|(_, tasks)| tasks.iter().take(5)) {
            let answer = client.status(task.tool, &task.id).await;
            assert_eq!(answer.error_code(), Some("task_not_found"));
        }
    }
}

pub(crate) fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

#[expect(clippy::print_stderr, reason = "shown when the test fails")]
pub(crate) fn print(line: &str) {
    eprintln!("{line}");
}
