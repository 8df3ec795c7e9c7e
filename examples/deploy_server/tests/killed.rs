//! Deployments that are killed, and attempts that follow others.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_tool::{TaskContext, ToolError};

use super::{Call, Fixture, checked};
use crate::deployments::Deployments;
use crate::release::Release;

const DIRECTORY: &str = "DEPLOY_UNTIL_KILLED";

/// What `current` leads to is a whole release, and so is everything else in
/// `releases`.
pub(super) fn check_whole(service: &Path) -> u64 {
    let whole = |release: &Path| {
        let file = |path: &str| fs::read_to_string(release.join(path)).unwrap();
        assert_eq!(file("version"), file("bin/run"), "{release:?}");
        let manifest: Release = serde_json::from_str(&file(".release.json")).unwrap();
        assert_eq!(
            release.file_name().unwrap().to_str(),
            Some(&*manifest.number.to_string())
        );
        manifest.number
    };
    for release in fs::read_dir(service.join("releases")).unwrap() {
        whole(&release.unwrap().path());
    }
    whole(&service.join("current").canonicalize().unwrap())
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_release_live() {
    let fixture = Fixture::new();
    let service = fixture.path("");
    let live = || fs::read_link(service.join("current")).ok();
    let mut last = 0;
    for round in 0..30 {
        let before = live();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::killed::deploys_until_killed"])
            .env(DIRECTORY, fixture.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while live() == before {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        // It deploys every few milliseconds: this is any moment of that.
        let moment = Instant::now() + Duration::from_micros(round * 211);
        while Instant::now() < moment {}
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));

        let number = check_whole(&service);
        assert!(number > last);
        last = number;
    }

    // The next one that is not killed clears up.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let deployed = runtime.unwrap().block_on(fixture.deploy(Call::default()));
    // The number of a release that never became live is not given again.
    let release = deployed.unwrap().release;
    assert!(release > last);
    let listing = fixture.listing();
    let left: Vec<_> = listing.iter().filter(|it| it.contains(".tmp-")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(check_whole(&service), release);
}

/// The process that the test above starts and kills; by itself it tests
/// nothing.
#[tokio::test]
async fn deploys_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let (root, artifacts) = (directory.join("root"), directory.join("in"));
    let deployments = Deployments::open(&root, &artifacts).unwrap();
    loop {
        let call = Call {
            keep: 1,
            ..Call::default()
        };
        super::deploy_to("test", &deployments, call).await.unwrap();
    }
}

fn any_task() -> TaskContext {
    TaskContext::detached("deploy")
}

/// A published release that is not live yet, as an attempt leaves it that is
/// killed between the two.
async fn published(fixture: &Fixture) -> TaskContext {
    fixture.deploy(Call::default()).await.unwrap();
    let (service, task) = (fixture.service(), any_task());
    let mut stage = service.stage(fixture.deployments.limits, &task).unwrap();
    for path in ["version", "bin/run"] {
        let content = &mut &b"x"[..];
        stage.file(Path::new(path), 0o644, 1, content).unwrap();
    }
    let release = Release {
        number: 2,
        live: false,
        artifact: "app".to_owned(),
        sha256: None,
        entries: stage.entries(),
        bytes: stage.bytes(),
        deployed_at: String::new(),
        replaced: Some(1),
    };
    service.publish(stage, release, &task).unwrap();
    task
}

#[tokio::test]
async fn switching_again_changes_nothing() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    fixture.deploy(Call::default()).await.unwrap();
    let service = fixture.service();
    for _ in 1..=2 {
        service.switch(Some(2), 1, &any_task()).unwrap();
        assert_eq!(service.live().unwrap(), Some(1));
    }
}

#[tokio::test]
async fn whoever_was_overtaken_changes_nothing() {
    let fixture = Fixture::new();
    for _ in 1..=3 {
        fixture.deploy(Call::default()).await.unwrap();
    }
    // It was decided when 1 was live; meanwhile 3 is.
    let error = fixture
        .service()
        .switch(Some(1), 2, &any_task())
        .unwrap_err();
    assert_eq!(ToolError::from(error).code(), "superseded");
    assert_eq!(fixture.service().live().unwrap(), Some(3));

    let error = fixture
        .service()
        .has_published(3, &TaskContext::detached("deploy"))
        .unwrap_err();
    assert_eq!(ToolError::from(error).code(), "superseded");
}

#[tokio::test]
async fn a_deployment_that_is_overtaken_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    fixture.deploy(Call::default()).await.unwrap();
    let back = "ln -sfn releases/1 ../current";
    let error = fixture.deploy(checked(back)).await.unwrap_err();
    assert_eq!(error.code(), "superseded");
    let expected = ["current", "releases", "releases/1", "releases/2"];
    assert_eq!(fixture.listing(), expected);
    assert_eq!(fixture.service().live().unwrap(), Some(1));
}

#[tokio::test]
async fn a_release_that_never_became_live_is_removed_by_its_own_task_alone() {
    let fixture = Fixture::new();
    let task = published(&fixture).await;
    let service = fixture.service();
    assert!(service.has_published(2, &task).unwrap());

    service
        .abandon(2, &TaskContext::detached("deploy"))
        .unwrap();
    assert_eq!(service.numbers().unwrap(), [2, 1]);
    service.abandon(2, &task).unwrap();
    assert_eq!(service.numbers().unwrap(), [1]);
    service.abandon(2, &task).unwrap();
}

#[tokio::test]
async fn a_release_that_has_been_live_is_not_abandoned() {
    let fixture = Fixture::new();
    let task = published(&fixture).await;
    let service = fixture.service();
    service.introduce(Some(1), 2, &task).unwrap();
    service.abandon(2, &task).unwrap();
    assert_eq!(service.numbers().unwrap(), [2, 1], "it is live");
    service.switch(Some(2), 1, &any_task()).unwrap();
    service.abandon(2, &task).unwrap();
    assert_eq!(service.numbers().unwrap(), [2, 1], "it was live");
}

#[tokio::test]
async fn a_deployment_that_was_rolled_back_meanwhile_does_not_go_live_again() {
    let fixture = Fixture::new();
    let task = published(&fixture).await;
    let service = fixture.service();
    for _ in 1..=2 {
        service.introduce(Some(1), 2, &task).unwrap();
    }
    fixture.rollback(None).await.unwrap();
    let error = service.introduce(Some(1), 2, &task).unwrap_err();
    assert_eq!(ToolError::from(error).code(), "superseded");
    assert_eq!(service.live().unwrap(), Some(1));
}

#[tokio::test]
async fn a_release_that_never_became_live_is_none_and_goes_with_the_next_deployment() {
    let fixture = Fixture::new();
    published(&fixture).await;
    let listed = fixture.service().releases().unwrap();
    assert_eq!(listed.iter().map(|it| it.number).collect::<Vec<_>>(), [1]);
    let error = fixture.rollback(Some(2)).await.unwrap_err();
    assert_eq!(error.code(), "release_not_found");

    // Its number is not given twice: its task may still be started again.
    let call = Call {
        keep: 2,
        ..Call::default()
    };
    let deployed = fixture.deploy(call).await.unwrap();
    assert_eq!((deployed.release, deployed.pruned), (3, vec![]));
    assert_eq!(fixture.service().numbers().unwrap(), [3, 1]);
}

#[tokio::test]
async fn releases_that_were_live_stay_although_later_ones_than_the_live_one() {
    let fixture = Fixture::new();
    for _ in 1..=3 {
        fixture.deploy(Call::default()).await.unwrap();
    }
    fixture.rollback(Some(1)).await.unwrap();
    fixture.deploy(Call::default()).await.unwrap();
    assert_eq!(fixture.service().numbers().unwrap(), [4, 3, 2, 1]);

    // By hand.
    fs::remove_file(fixture.path("current")).unwrap();
    symlink("releases/2", fixture.path("current")).unwrap();
    fixture.deploy(Call::default()).await.unwrap();
    assert_eq!(fixture.service().numbers().unwrap(), [5, 4, 3, 2, 1]);

    // Nobody knows about these: one says nothing, one is unreadable, one is
    // somebody else's.
    let manifest = |number: u64| fixture.path(&format!("releases/{number}/.release.json"));
    let text = fs::read_to_string(manifest(4)).unwrap();
    let older = text.replace(",\n  \"was_live\": true", "");
    assert_ne!(text, older);
    fs::write(manifest(4), older).unwrap();
    fs::remove_file(fixture.path("current")).unwrap();
    symlink("releases/3", fixture.path("current")).unwrap();
    fs::create_dir(fixture.path("releases/6")).unwrap();
    fs::create_dir(fixture.path("releases/7")).unwrap();
    fs::write(manifest(7), "{").unwrap();
    let call = Call {
        keep: 50,
        ..Call::default()
    };
    fixture.deploy(call).await.unwrap();
    assert_eq!(
        fixture.service().numbers().unwrap(),
        [8, 7, 6, 5, 4, 3, 2, 1]
    );
}

#[tokio::test]
async fn whoever_wakes_up_late_finds_its_release_gone_and_changes_nothing() {
    let fixture = Fixture::new();
    let task = published(&fixture).await;
    let next = fixture.service();
    drop(next.stage(fixture.deployments.limits, &any_task()).unwrap());
    let error = fixture.service().introduce(Some(1), 2, &task).unwrap_err();
    assert_eq!(ToolError::from(error).code(), "superseded");
    assert_eq!(fixture.service().live().unwrap(), Some(1));
}

#[tokio::test]
async fn it_is_on_the_disk_that_a_release_was_live_before_another_is() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    let path = fixture.path("releases/1/.release.json");
    let was_live = || {
        fs::read_to_string(&path)
            .unwrap()
            .contains("\"was_live\": true")
    };
    assert!(was_live());
    // As a kill leaves it, right after release 1 became live.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"was_live\": true", "\"was_live\": false"),
    )
    .unwrap();
    assert!(!was_live());
    let mode = path.metadata().unwrap().permissions();
    fixture.deploy(Call::default()).await.unwrap();
    assert!(was_live());
    assert_eq!(path.metadata().unwrap().permissions(), mode);
}

#[tokio::test]
async fn an_attempt_of_an_earlier_epoch_does_not_touch_a_release_of_a_later_one() {
    let fixture = Fixture::new();
    let task = published(&fixture).await;
    let path = fixture.path("releases/2/.release.json");
    let manifest = fs::read_to_string(&path).unwrap();
    let later = manifest.replace("\"epoch\": 1", "\"epoch\": 2");
    assert_ne!(manifest, later);
    fs::write(path, later).unwrap();
    fixture.service().abandon(2, &task).unwrap();
    assert_eq!(fixture.service().numbers().unwrap(), [2, 1]);
}
