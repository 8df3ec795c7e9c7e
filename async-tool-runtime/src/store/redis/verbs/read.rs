//! The verbs that read, each at one moment.

use std::sync::Arc;

use ::redis::Value;

use super::super::error::damaged;
use super::super::rows::{self, Body, Row};
use super::super::script::{self, LARGEST, Reply};
use super::{Verbs, unexpected};
use crate::store::{Cursor, Filter, LogLine, Owner, StepRecord, StoreError, encoding};
use crate::task::{TaskId, TaskRecord, Timestamp};

/// How many tasks one call of `list` looks at, so that the server has time for
/// others.
const LOOKED_AT: usize = 500;

impl Verbs {
    pub(in super::super) async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        let mut read = ::redis::cmd("HGETALL");
        read.arg(format!("{}s:{id}", self.base));
        let answer = self.handle.send(&read).await?;
        let kept: Vec<(String, String)> =
            ::redis::from_redis_value(answer).map_err(|_| unexpected())?;
        let mut steps = Vec::new();
        for (name, value) in kept {
            let (place, result) = value.split_once(':').ok_or_else(|| damaged("a step"))?;
            let place: usize = place.parse().map_err(|_| damaged("a step"))?;
            steps.push((place, StepRecord::new(name, result)));
        }
        steps.sort_by_key(|(place, _)| *place);
        Ok(steps.into_iter().map(|(_, step)| step).collect())
    }

    pub(in super::super) async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let arguments = self.arguments().text(&id.to_string());
        let (word, mut reply) = self.ask(&script::GET, &arguments).await?;
        match word.as_str() {
            "none" => Ok(None),
            "found" => {
                let row = Row::of(reply.value().ok_or_else(unexpected)?)?;
                self.with_result(row).await
            }
            _ => Err(unexpected()),
        }
    }

    /// None if the record is gone meanwhile: nothing else becomes of one that
    /// has ended.
    pub(super) async fn with_result(&self, mut row: Row) -> Result<Option<TaskRecord>, StoreError> {
        let body = match std::mem::replace(&mut row.body, Body::Apart) {
            Body::Here(body) => Some(body),
            Body::Apart => self.body("r:", row.record.id).await?,
        };
        Ok(body.map(|body| row.with_result(body)))
    }

    /// A large value, as it is.
    pub(super) async fn body(
        &self,
        kind: &str,
        id: TaskId,
    ) -> Result<Option<Arc<str>>, StoreError> {
        let mut read = ::redis::cmd("GET");
        read.arg(format!("{}{kind}{id}", self.base));
        match self.handle.send(&read).await? {
            Value::Nil => Ok(None),
            value => Ok(Some(script::text(value).ok_or_else(unexpected)?.into())),
        }
    }

    pub(in super::super) async fn log(
        &self,
        id: TaskId,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        let limit = limit.min(LogLine::KEPT);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut read = ::redis::cmd("LRANGE");
        read.arg(format!("{}l:{id}", self.base))
            .arg(format!("-{limit}"))
            .arg(-1);
        let answer = self.handle.send(&read).await?;
        let kept: Vec<String> = ::redis::from_redis_value(answer).map_err(|_| unexpected())?;
        let lines: Option<Vec<LogLine>> = kept.iter().map(|text| rows::line_of(text)).collect();
        lines.ok_or_else(|| damaged("a log"))
    }

    pub(in super::super) async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let scope = match &filter.owner {
            Owner::Anybody => None,
            Owner::Nobody => Some(encoding::scope(None)),
            Owner::Principal(principal) => Some(encoding::scope(Some(principal))),
        };
        let status = filter
            .status
            .map(|status| encoding::status_code(status).to_string());
        let (mut after, mut listed) = (after, Vec::new());
        while listed.len() < limit {
            let (created, id) = match after {
                Some(Cursor { created_at, id }) => {
                    (created_at.0.min(LARGEST).to_string(), id.to_string())
                }
                None => (String::new(), String::new()),
            };
            let arguments = self
                .arguments()
                .flag(scope.is_some())
                .text(scope.as_deref().unwrap_or_default())
                .flag(filter.tool.is_some())
                .text(filter.tool.as_deref().unwrap_or_default())
                .text(status.as_deref().unwrap_or_default())
                .count(limit - listed.len())
                .count(LOOKED_AT)
                .bytes(created)
                .bytes(id);
            let answer = Reply::of(self.run(&script::LIST, &arguments).await?);
            let mut reply = answer.ok_or_else(unexpected)?;
            for row in reply.list().ok_or_else(unexpected)? {
                listed.push(Row::of(row)?.record);
            }
            let Some(mut last) = reply.list() else {
                break;
            };
            let place = || damaged("a place in a list");
            after = Some(Cursor::new(
                Timestamp(last.parsed().ok_or_else(place)?),
                last.parsed().ok_or_else(place)?,
            ));
        }
        Ok(listed)
    }
}
