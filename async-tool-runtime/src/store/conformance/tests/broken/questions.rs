//! Questions and answers, broken.

use std::sync::Arc;

use super::{Flaw, GAP, Namespace, lock};
use crate::store::*;

impl Namespace {
    pub(super) async fn flawed_ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        mut questions: Vec<Question>,
        mut revision: u64,
    ) -> Result<Result<(), Refused>, StoreError> {
        let epoch = self.any_epoch(Flaw::AskOfAnyEpoch, id, epoch).await?;
        let before = self.inner.get(id).await?;
        match self.flaw {
            Some(Flaw::QuestionsByKey) => {
                questions.sort_by(|left, right| left.key.cmp(&right.key));
            }
            Some(Flaw::AskAdds) => {
                let mut all: Vec<Question> = before
                    .iter()
                    .flat_map(TaskRecord::open_questions)
                    .filter(|open| questions.iter().all(|new| new.key != open.key))
                    .cloned()
                    .collect();
                all.append(&mut questions);
                questions = all;
            }
            Some(Flaw::AskingAgainIsNews) => {
                revision = before.map_or(0, |record| record.revision) + 1;
            }
            Some(Flaw::AskOpensTheAnswered) => {
                let steps = self.inner.steps(id).await?;
                let mut answered = questions.clone();
                answered.retain(|question| {
                    let step = StepRecord::answer(&question.key, "").name;
                    steps.iter().any(|known| known.name == step)
                });
                for question in &mut answered {
                    question.epoch = epoch;
                }
                self.memo().asked.insert(id, answered);
            }
            Some(Flaw::AllQuestions) => {
                let mut memo = self.memo();
                let asked = memo.asked.entry(id).or_default();
                asked.extend_from_slice(&questions);
            }
            Some(Flaw::AskingAgainIsTold) if !questions.is_empty() => {
                let _ = self.inner.ask(id, epoch, Vec::new(), revision).await?;
            }
            Some(Flaw::QuestionsAreNoNews) => {
                lock(&self.quiet).insert(id);
            }
            _ => {}
        }
        self.inner.ask(id, epoch, questions, revision).await
    }

    pub(super) async fn flawed_answer(
        &self,
        id: TaskId,
        key: &str,
        mut answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError> {
        let before = self.inner.get(id).await?;
        let old = before.as_ref().is_some_and(|record| {
            let known = record.input.iter().flat_map(|input| &input.questions);
            let mut present = record.open_questions();
            known.into_iter().any(|known| &*known.key == key)
                && present.all(|open| &*open.key != key)
        });
        match self.flaw {
            Some(Flaw::QuestionsOfThisAttempt) if old => return Ok(Some(Answered::NotAsked)),
            Some(Flaw::AnswerIsRewritten) => {
                let value: Result<serde_json::Value, _> = serde_json::from_str(&answer);
                answer = value.map_or_else(|_| Arc::default(), |value| value.to_string().into());
            }
            Some(Flaw::AnswerReadsThenWrites) => {
                let step = StepRecord::answer(key, "").name;
                let mut steps = self.inner.steps(id).await?.into_iter();
                if let Some(known) = steps.find(|known| known.name == step) {
                    return Ok(Some(Answered::Before(known.result)));
                }
                tokio::time::sleep(GAP).await;
                self.inner.answer(id, key, answer).await?;
                return Ok(Some(Answered::Recorded));
            }
            _ => {}
        }
        let answered = self.inner.answer(id, key, Arc::clone(&answer)).await?;
        Ok(match (self.flaw, answered) {
            (Some(Flaw::FirstAnswerIsEnough), Some(Answered::Recorded)) => {
                let epoch = before.map_or_else(Epoch::default, |record| record.epoch);
                let _ = self.inner.ask(id, epoch, Vec::new(), 0).await?;
                Some(Answered::Recorded)
            }
            (Some(Flaw::LastAnswerWins), Some(Answered::Before(_))) => {
                Some(Answered::Before(answer))
            }
            (Some(Flaw::SecondAnswerIsFine), Some(Answered::Before(_)))
            | (Some(Flaw::AnswersAnything), Some(Answered::NotAsked)) => Some(Answered::Recorded),
            (Some(Flaw::AllQuestions), Some(Answered::NotAsked)) => {
                let memo = self.memo();
                let mut asked = memo.asked.get(&id).into_iter().flatten();
                let known = asked.any(|question| &*question.key == key);
                Some(match known {
                    true => Answered::Recorded,
                    false => Answered::NotAsked,
                })
            }
            (Some(Flaw::AnswerOfTheEnded), Some(Answered::Ended))
            | (Some(Flaw::AnswerOfTheUnknown), None) => Some(Answered::NotAsked),
            (_, answered) => answered,
        })
    }

    /// What is wrong with the questions of a record that is read.
    pub(super) fn misread_questions(&self, record: &mut TaskRecord) {
        let mut memo = self.memo();
        let kept = record.input.is_some();
        let left = record
            .input
            .as_ref()
            .is_some_and(|input| !input.questions.is_empty());
        match self.flaw {
            Some(Flaw::AskKeepsTheStatus) if record.status == Status::InputRequired => {
                record.status = Status::Working;
            }
            Some(Flaw::AskOpensTheAnswered) if !record.status.is_terminal() => {
                let answered = memo.asked.get(&record.id).cloned().unwrap_or_default();
                if !answered.is_empty() {
                    let known = record.open_questions().cloned();
                    let all = known.chain(answered).collect();
                    record.status = Status::InputRequired;
                    record.input = Some(Arc::new(Input::new(all, record.created_at)));
                }
            }
            Some(Flaw::OldQuestionsAreShown) if left && record.owner.is_some() => {
                record.status = Status::InputRequired;
            }
            Some(Flaw::WaitsForEver) if kept && record.status == Status::Working => {
                record.status = Status::InputRequired;
            }
            Some(Flaw::QuestionsForEver) => {
                if let Some(input) = &record.input {
                    memo.inputs.insert(record.id, Arc::clone(input));
                } else {
                    record.input = memo.inputs.get(&record.id).cloned();
                }
            }
            _ => {}
        }
    }
}
