//! The tools of the deployment server, `deploy` and `rollback`.
//!
//! Both may be interrupted at any moment and go on in another process. What a
//! step has found out or decided is recorded, and holds for all attempts: which
//! content was verified, which number the release has, what it replaces. The
//! directory that a release is made in is no such thing: it belongs to one
//! attempt, which removes it however it ends. So unpacking and checking are no
//! recorded steps; an attempt repeats them, unless it finds the release
//! published, which it is by one rename and only when it is whole and healthy.
//!
//! A deployment to production asks for approval when nothing else is left to do:
//! what nobody wants live would otherwise be approved before it is known to be
//! healthy. `rollback` asks nobody, since all that it can make live was approved
//! once, and is needed when there is no time.

use std::path::PathBuf;
use std::time::SystemTime;

use async_tool::{BoxError, Cancelled, Steps, TaskContext, ToolError, async_tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::Verified;
use crate::blocking::blocking;
use crate::check::HealthCheck;
use crate::deployments::Deployments;
use crate::error::DeployError;
use crate::name::Name;
use crate::release::Release;
use crate::service::Service;
use crate::stage::Stage;

/// Where nothing becomes live that nobody has approved.
const PRODUCTION: &str = "production";
/// How much of an artifact's path is part of a question, in characters.
const MAX_ASKED: usize = 500;

/// Whether a release shall become live.
#[derive(Debug, Deserialize, JsonSchema)]
struct Approval {
    /// Make it live. Otherwise it is removed, and what is live stays.
    approve: bool,
    /// Why, for whoever started the deployment.
    #[schemars(length(max = 500))]
    comment: Option<String>,
}

/// What a deployment has decided to do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Plan {
    /// What is live, and has to be until the switch.
    from: Option<u64>,
    /// What shall be live.
    to: u64,
}

/// A service that was deployed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Deployed {
    /// Number of the new release, which is live.
    pub(crate) release: u64,
    /// Number of the release that was live before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced: Option<u64>,
    /// Numbers of the old releases that were removed.
    pub(crate) pruned: Vec<u64>,
    /// All releases that there are now, latest first.
    pub(crate) releases: Vec<Release>,
}

/// A service that was rolled back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RolledBack {
    /// Number of the release that is live now.
    pub(crate) release: u64,
    /// Number of the release that was live before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced: Option<u64>,
    /// All releases that there are now, latest first.
    pub(crate) releases: Vec<Release>,
}

/// Deploy a directory or a .tar.gz as the next release of a service: unpack it,
/// check its health, make it live at once, and remove old releases.
///
/// In `production` it asks for approval before the release becomes live; the
/// code `not_approved` says that somebody was against it. If it fails or is
/// cancelled, what was live before still is, and nothing is left behind. The
/// code `health_check_failed` comes with the check's output.
#[async_tool(
    timeout = "30m",
    // Longer than it takes until a large file is on the disk, which nothing
    // can interrupt.
    cancel_grace = "2m",
    concurrency = 4,
    on_interrupt = "retry",
    interactive,
    concurrency_key(group = "service", args(environment, service)),
    annotations(destructive = true)
)]
#[expect(clippy::too_many_arguments, reason = "they are the tool's")]
pub(crate) async fn deploy(
    /// Where to deploy, such as `production`.
    environment: Name,
    /// What to deploy, such as `web`.
    service: Name,
    /// The directory or .tar.gz that holds it, relative to the server's
    /// artifacts.
    artifact: PathBuf,
    /// SHA-256 that the .tar.gz has to have, in hexadecimal.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    sha256: Option<String>,
    /// Has to succeed before the release becomes live.
    health_check: Option<HealthCheck>,
    /// How many releases to keep. The live one and the one before it are kept
    /// in any case.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 50))]
    keep: usize,
    task: &TaskContext,
    deployments: &Deployments,
) -> Result<Deployed, ToolError> {
    let deployment = Deployment {
        deployments: deployments.clone(),
        service: deployments.service(&environment, &service),
        production: environment.as_str() == PRODUCTION,
        artifact,
        task: task.clone(),
    };
    let steps = [
        ("verify", 2.0),
        ("plan", 0.1),
        ("unpack", 5.0),
        ("check", 5.0),
        ("approve", 0.1),
        ("switch", 1.0),
        ("prune", 1.0),
    ];
    let steps = steps
        .into_iter()
        .filter(|(step, _)| deployment.production || *step != "approve");
    let steps = task.progress().weighted_steps(steps);

    let job = deployment.clone();
    let verified = task
        .step("verify", || body(move || job.verify(sha256.as_deref())))
        .await?;
    let job = deployment.clone();
    let plan = task.step("plan", || body(move || job.plan())).await?;

    if let Err(error) = deployment
        .release(verified, plan, health_check, &steps)
        .await
    {
        // The release may be there already: an attempt may have been killed
        // between publishing it and making it live.
        let job = deployment.clone();
        let abandoned = blocking(move || job.service.abandon(plan.to, &job.task)).await;
        if let Err(error) = abandoned {
            task.log(format!("release {} is left: {error}", plan.to));
        }
        return Err(error);
    }

    // The release is live: whatever happens now, the deployment has succeeded.
    let Pruned { pruned, releases } = deployment.clear_away(keep).await;
    Ok(Deployed {
        release: plan.to,
        replaced: plan.from,
        pruned,
        releases,
    })
}

fn five() -> usize {
    5
}

/// Make an earlier release of a service live again: the one that was live
/// before the present one was deployed, or the one of a given number.
#[async_tool(
    timeout = "1m",
    cancel_grace = "2m",
    concurrency = 4,
    on_interrupt = "retry",
    concurrency_key(group = "service", args(environment, service)),
    annotations(destructive = true)
)]
pub(crate) async fn rollback(
    /// Where, such as `production`.
    environment: Name,
    /// What, such as `web`.
    service: Name,
    /// Number of the release to roll back to.
    release: Option<u64>,
    task: &TaskContext,
    deployments: &Deployments,
) -> Result<RolledBack, ToolError> {
    let service = deployments.service(&environment, &service);
    let _ = task.progress().steps(["plan", "switch"]);

    let chosen = service.clone();
    let choose = move || {
        Ok(Plan {
            from: chosen.live()?,
            to: chosen.rollback_target(release)?,
        })
    };
    // Recorded: an attempt that chose anew might go back twice.
    let plan = task.step("plan", || body(choose)).await?;
    let job = task.clone();
    let switch = move || {
        service.switch(plan.from, plan.to, &job)?;
        service.releases()
    };
    let releases = task.step("switch", || body(switch)).await?;
    Ok(RolledBack {
        release: plan.to,
        replaced: plan.from,
        releases,
    })
}

/// What the steps of a deployment share.
#[derive(Debug, Clone)]
struct Deployment {
    deployments: Deployments,
    service: Service,
    production: bool,
    artifact: PathBuf,
    task: TaskContext,
}

/// What pruning has left.
#[derive(Debug, Serialize, Deserialize)]
struct Pruned {
    pruned: Vec<u64>,
    releases: Vec<Release>,
}

impl Deployment {
    fn verify(&self, sha256: Option<&str>) -> Result<Verified, DeployError> {
        let artifact = self.deployments.artifact(&self.artifact)?;
        artifact.verify(sha256, self.deployments.limits, &self.task)
    }

    fn plan(&self) -> Result<Plan, DeployError> {
        Ok(Plan {
            from: self.service.live()?,
            to: self.service.next_number()?,
        })
    }

    /// Makes the release and makes it live, as far as an earlier attempt has
    /// not done so.
    async fn release(
        &self,
        verified: Verified,
        plan: Plan,
        health_check: Option<HealthCheck>,
        steps: &Steps,
    ) -> Result<(), ToolError> {
        let job = self.clone();
        let published = move || job.service.has_published(plan.to, &job.task);
        let mut made = None;
        if !blocking(published).await? {
            steps.start("unpack");
            let (job, content) = (self.clone(), verified.clone());
            let stage = blocking(move || job.unpack(&content)).await?;
            steps.start("check");
            made = Some(self.check(stage, health_check).await?);
        }
        if self.production {
            steps.start("approve");
            let approved = self.approve(plan).await;
            made = hand_on(made, approved).await?;
        }
        let job = self.clone();
        let switch = move || {
            if let Some(stage) = made {
                job.publish(stage, verified.sha256, plan)?;
            }
            job.service.introduce(plan.from, plan.to, &job.task)
        };
        Ok(self.task.step("switch", || body(switch)).await?)
    }

    fn unpack(&self, verified: &Verified) -> Result<Stage, DeployError> {
        let mut stage = self.service.stage(self.deployments.limits, &self.task)?;
        let artifact = self.deployments.artifact(&self.artifact)?;
        artifact.unpack(verified, &mut stage, &self.task)?;
        Ok(stage)
    }

    async fn check(&self, stage: Stage, check: Option<HealthCheck>) -> Result<Stage, DeployError> {
        let Some(check) = check else { return Ok(stage) };
        let checked = check.run(stage.path(), &self.task).await;
        hand_on(stage, checked).await
    }

    /// Waits for an approval. One that was given to an attempt before this one,
    /// or since it was killed, counts.
    async fn approve(&self, plan: Plan) -> Result<(), DeployError> {
        let (task, progress) = (&self.task, self.task.progress());
        progress.message("waiting for approval");
        let why = match task.ask::<Approval>(self.question(plan)).await {
            Ok(Approval {
                approve: true,
                comment,
            }) => {
                progress.message("approved");
                let comment = comment.map(|comment| format!(": {comment}"));
                task.log(format!("approved{}", comment.unwrap_or_default()));
                return Ok(());
            }
            Ok(Approval { comment, .. }) => {
                comment.unwrap_or_else(|| "no reason was given".to_owned())
            }
            Err(error) if error.is_cancelled() => return Err(Cancelled.into()),
            Err(error) => error.to_string(),
        };
        let release = plan.to;
        Err(DeployError::NotApproved { release, why })
    }

    /// The same in all attempts: what is asked in other words is another
    /// question, and has to be answered once more.
    fn question(&self, plan: Plan) -> String {
        let artifact = self.artifact.to_string_lossy();
        // A name shall not look like a part of the question.
        let artifact: String = artifact.escape_debug().take(MAX_ASKED).collect();
        let live = match plan.from {
            Some(number) => format!("Release {number} is live."),
            None => "Nothing is live yet.".to_owned(),
        };
        let (service, number) = (&self.service.title, plan.to);
        format!("Switch {service} to release {number}, made from \"{artifact}\"? {live}")
    }

    fn publish(&self, stage: Stage, sha256: Option<String>, plan: Plan) -> Result<(), DeployError> {
        let release = Release {
            number: plan.to,
            live: false,
            artifact: self.artifact.display().to_string(),
            sha256,
            entries: stage.entries(),
            bytes: stage.bytes(),
            deployed_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            replaced: plan.from,
        };
        self.service.publish(stage, release, &self.task)
    }

    /// Removes old releases, or says in the log why it does not.
    async fn clear_away(&self, keep: usize) -> Pruned {
        let job = self.clone();
        let pruned = self.task.step("prune", || body(move || job.prune(keep)));
        let error = match pruned.await {
            Ok(pruned) => return pruned,
            Err(error) => error,
        };
        self.task.log(format!("old releases are left: {error}"));
        let service = self.service.clone();
        let releases = blocking(move || service.releases()).await;
        Pruned {
            pruned: Vec::new(),
            releases: releases.unwrap_or_else(|error| {
                self.task.log(format!("they cannot be listed: {error}"));
                Vec::new()
            }),
        }
    }

    fn prune(&self, keep: usize) -> Result<Pruned, DeployError> {
        Ok(Pruned {
            pruned: self.service.prune(keep)?,
            releases: self.service.releases()?,
        })
    }
}

/// What was made, if all went well, and otherwise its removal, which takes a
/// while.
async fn hand_on<T: Send + 'static>(
    made: T,
    checked: Result<(), DeployError>,
) -> Result<T, DeployError> {
    blocking(move || checked.map(|()| made)).await
}

/// Does what blocks its thread, as the body of a step.
async fn body<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeployError> + Send + 'static,
) -> Result<T, BoxError> {
    blocking(work)
        .await
        .map_err(|error| ToolError::from(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Fixture;

    #[tokio::test]
    async fn a_cancel_after_the_switch_leaves_the_list_of_releases() {
        let fixture = Fixture::new();
        let name = |name: &str| Name::try_from(name.to_owned()).unwrap();
        for _ in 1..=2 {
            let task = TaskContext::detached("deploy");
            let (app, deployments) = ("app".into(), &fixture.deployments);
            let (environment, service) = (name("test"), name("web"));
            deploy(environment, service, app, None, None, 5, &task, deployments)
                .await
                .unwrap();
        }
        let deployment = Deployment {
            deployments: fixture.deployments.clone(),
            service: fixture.deployments.service(&name("test"), &name("web")),
            production: false,
            artifact: "app".into(),
            task: TaskContext::detached("deploy"),
        };
        deployment.task.cancellation().cancel();
        let Pruned { pruned, releases } = deployment.clear_away(1).await;
        assert!(pruned.is_empty());
        let numbers: Vec<_> = releases.iter().map(|it| it.number).collect();
        assert_eq!(numbers, [2, 1]);
    }
}
