//! Notices: who is to tell them, and what came of it.

use std::time::Duration;

use super::super::rows::Row;
use super::super::script::{self, Reply};
use super::{Verbs, millis, unexpected};
use crate::store::{StoreError, Told};
use crate::task::TaskRecord;

impl Verbs {
    pub(in super::super) async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let arguments = self.arguments().number(millis(pause)).count(limit);
        let answer = Reply::of(self.run(&script::CLAIM_NOTICES, &arguments).await?);
        let mut claimed = Vec::new();
        for row in answer.ok_or_else(unexpected)? {
            claimed.extend(self.with_result(Row::of(row)?).await?);
        }
        Ok(claimed)
    }

    pub(in super::super) async fn settle_notice(&self, told: &Told) -> Result<bool, StoreError> {
        let arguments = self
            .arguments()
            .text(&told.id.to_string())
            .number(told.number)
            .number(told.due.0)
            .text(&told.state);
        let arguments = match told.again {
            Some(again) => arguments.number(millis(again)),
            None => arguments.text(""),
        };
        let (word, _) = self.ask(&script::SETTLE_NOTICE, &arguments).await?;
        match word.as_str() {
            "settled" => Ok(true),
            "stale" => Ok(false),
            _ => Err(unexpected()),
        }
    }
}
