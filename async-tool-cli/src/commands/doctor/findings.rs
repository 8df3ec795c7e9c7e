//! What may be wrong.

use async_tool_runtime::TaskId;
use async_tool_runtime::store::Inspection;
use serde::Serialize;

use crate::failure::Failure;
use crate::open::Form;

/// How many tasks a finding names.
const NAMED: usize = 10;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// It weakens what is promised, which may be meant.
    Warning,
    /// It is wrong.
    Error,
}

/// Something to be said.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Which kind, for programs.
    pub(super) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    /// What it is.
    pub(super) what: String,
    /// What to do.
    pub(super) advice: String,
    /// Some of the tasks concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) task_ids: Vec<TaskId>,
}

impl Finding {
    pub(super) fn new(
        code: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Error,
            code,
            namespace: None,
            what: what.into(),
            advice: advice.into(),
            task_ids: Vec::new(),
        }
    }

    pub(super) fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    pub(super) fn with_tasks(mut self, ids: &[TaskId]) -> Self {
        self.task_ids = ids.iter().copied().take(NAMED).collect();
        self
    }
}

/// The store is there, and no server can use it.
pub(super) fn unusable(failure: &Failure) -> Finding {
    let advice = "no server can start on this store until that is repaired";
    Finding::new("unusable", failure.to_string(), advice)
}

/// What is wrong with the store itself.
pub(super) fn of_store(inspection: &Inspection) -> Vec<Finding> {
    let form = match Form::of(inspection) {
        Form::Same => None,
        Form::Nothing => Some(Finding::new(
            "no_schema",
            "there is nothing of async-tool in this store yet",
            "start a server on it, or run `async-tool upgrade`; if there should be tasks, is this \
             the right store?",
        )),
        Form::Older { found, known } => Some(Finding::new(
            "schema_older",
            format!("the store has schema version {found}, and this program knows {known}"),
            "`async-tool upgrade`, as soon as no server of an older version has to be started \
             any more; the tasks were not looked at",
        )),
        Form::Newer { found, known } => Some(Finding::new(
            "schema_newer",
            format!("the store has schema version {found}, and this program knows {known}"),
            "use the `async-tool` of the servers' version; the tasks were not looked at",
        )),
    };
    let warnings = inspection.warnings.iter().map(|warning| {
        let advice = "change it, or know what it costs: docs/operators.md";
        Finding {
            level: Level::Warning,
            ..Finding::new("setting", warning.as_str(), advice)
        }
    });
    form.into_iter().chain(warnings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_and_settings_are_findings() {
        let mut inspection = Inspection::new("PostgreSQL 15.4");
        inspection.schema = Some(2);
        inspection.known_schema = Some(2);
        assert!(of_store(&inspection).is_empty());
        inspection.warnings = vec!["`fsync` is off; turn it on".to_owned()];
        for (found, code) in [
            (None, "no_schema"),
            (Some(1), "schema_older"),
            (Some(3), "schema_newer"),
        ] {
            inspection.schema = found;
            let codes: Vec<_> = of_store(&inspection).iter().map(|it| it.code).collect();
            assert_eq!(codes, [code, "setting"]);
        }
    }
}
