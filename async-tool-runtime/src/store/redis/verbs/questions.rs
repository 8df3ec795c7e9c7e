//! Questions of tasks, and answers.

use super::super::script;
use super::{Verbs, Written, fence, unexpected};
use crate::store::{Answered, StepRecord, StoreError};
use crate::task::{Epoch, Input, Question, TaskId};

impl Verbs {
    pub(in super::super) async fn ask_questions(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: &[Question],
        revision: u64,
    ) -> Written {
        let arguments = fence(self.arguments(), id, epoch)
            .number(revision)
            .count(Input::KEPT)
            .text(StepRecord::ANSWER)
            .count(questions.len())
            .each(questions, |arguments, question| {
                arguments
                    .text(&question.key)
                    .text(&question.message)
                    .text(&question.schema)
            });
        // The worker outlives its server, and would wait for an answer to what
        // nobody can see.
        self.write(&script::ASK, &arguments, true).await
    }

    pub(in super::super) async fn answer_question(
        &self,
        id: TaskId,
        key: &str,
        step: &StepRecord,
    ) -> Result<Option<Answered>, StoreError> {
        let arguments = self
            .arguments()
            .text(&id.to_string())
            .text(key)
            .text(&step.name)
            .text(&step.result);
        let (word, mut reply) = self.ask(&script::ANSWER, &arguments).await?;
        let answered = match word.as_str() {
            "none" => return Ok(None),
            "unasked" => return Ok(Some(Answered::NotAsked)),
            "ended" => return Ok(Some(Answered::Ended)),
            "recorded" => Answered::Recorded,
            "before" => Answered::Before(reply.text().ok_or_else(unexpected)?.into()),
            _ => return Err(unexpected()),
        };
        self.handle.durable().await?;
        Ok(Some(answered))
    }
}
