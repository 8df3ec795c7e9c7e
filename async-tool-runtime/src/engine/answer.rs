//! Taking answers to the questions of tasks.

use std::sync::Arc;

use serde_json::Value;

use super::{Asker, Engine, View};
use crate::input::Answer;
use crate::refusal::{Closed, Problem, Refusal};
use crate::schema::Checker;
use crate::store::Answered;
use crate::task::{Question, TaskId};

impl Engine {
    /// Records the answer to a question of a task. The same answer once more is
    /// no error: its caller may not have heard that it arrived.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        asker: Asker<'_>,
        id: TaskId,
        key: &str,
        answer: &Answer,
    ) -> Result<View, Refusal> {
        let view = self.authorised(asker, id).await?;
        // What runs here has no questions in memory.
        let store = Arc::clone(&self.store);
        let record = Self::detached(async move { store.get(id).await })
            .await?
            .ok_or(Refusal::TaskNotFound)?;
        let questions = record.input.iter().flat_map(|input| &input.questions);
        if let Some(question) = questions.into_iter().find(|question| &*question.key == key) {
            fits(question, answer)?;
        }
        let json = answer.to_json();
        if json.len() > self.config.max_arguments.min(Answer::LONGEST) {
            return Err(Refusal::ArgumentsTooLarge {
                limit: self.config.max_arguments.min(Answer::LONGEST),
            });
        }
        let (store, sent) = (Arc::clone(&self.store), (Arc::from(key), Arc::from(json)));
        let answered = Self::detached(async move {
            let (key, json): (Arc<str>, Arc<str>) = sent;
            store.answer(id, &key, json).await
        });
        match answered.await?.ok_or(Refusal::TaskNotFound)? {
            Answered::Recorded => self.hub.wake(id),
            Answered::Before(known) if Answer::from_json(&known).as_ref() == Some(answer) => {}
            Answered::Before(_) => return Err(Refusal::QuestionClosed(Closed::Answered)),
            Answered::NotAsked => return Err(Refusal::QuestionClosed(Closed::NotAsked)),
            Answered::Ended => return Err(Refusal::QuestionClosed(Closed::Ended)),
        }
        Ok(self.view(id).await?.unwrap_or(view))
    }
}

/// Whether the content of an answer is what was asked for.
fn fits(question: &Question, answer: &Answer) -> Result<(), Refusal> {
    let Answer::Accept(content) = answer else {
        return Ok(());
    };
    let Some(checker) = serde_json::from_str::<Value>(&question.schema)
        .ok()
        .and_then(|schema| Checker::new(schema).ok())
    else {
        // A schema that another version wrote; whoever asked reads the answer.
        return Ok(());
    };
    checker.check(content).map_err(|problems| {
        let in_content = problems
            .into_iter()
            .map(|problem| Problem::new(format!("/content{}", problem.path), problem.message));
        Refusal::InvalidArguments(in_content.collect())
    })
}
