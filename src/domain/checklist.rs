//! 检查表: what is asked at each cover, as TOML that belongs to a campaign, and whether answers fit it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::names::named_enum;
use super::task::{CheckAnswer, CheckAnswers};

named_enum! {
    /// How a question is answered.
    AnswerKind as "answer_kind" {
        YesNo = "yes_no",
        Choice = "choice",
        Number = "number",
        Text = "text",
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Under which answers are kept: small letters, digits and `_`.
    pub id: String,
    pub text: String,
    /// For those who read English; else the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_en: Option<String>,
    pub kind: AnswerKind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// May be left open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Everything that is asked at a cover, in its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checklist {
    #[serde(default, rename = "question")]
    pub questions: Vec<Question>,
}

/// Questions of one list, choices of one question, characters of one text.
const MOST_QUESTIONS: usize = 30;
const MOST_CHOICES: usize = 12;
const MOST_TEXT: usize = 200;
/// Characters of an answer in words.
pub const MOST_ANSWER: usize = 500;
/// Bytes of a list.
pub const MOST_BYTES: usize = 16_000;

impl Checklist {
    /// Reads a list and refuses what nobody could answer; the sentence says where.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let wrong =
            |reason: String| Refusal::new("campaign.checklist").at("checklist").with("reason", reason);
        if text.len() > MOST_BYTES {
            return Err(wrong(format!("{} bytes of at most {MOST_BYTES}", text.len())));
        }
        let list: Checklist = toml::from_str(text).map_err(|error| wrong(error.to_string().trim().into()))?;
        if list.questions.len() > MOST_QUESTIONS {
            return Err(wrong(format!("{} questions of at most {MOST_QUESTIONS}", list.questions.len())));
        }
        let mut seen = BTreeSet::new();
        for question in &list.questions {
            if !seen.insert(&question.id) {
                return Err(wrong(format!("{}: twice", question.id)));
            }
            question.check().map_err(|reason| wrong(format!("{}: {reason}", question.id)))?;
        }
        Ok(list)
    }

    /// Refuses answers to other questions, answers of another kind, and questions left open.
    pub fn check_answers(&self, answers: &CheckAnswers, is_seen: bool) -> Result<(), Refusal> {
        let named = |id: &str| self.questions.iter().find(|question| question.id == id);
        for (id, answer) in answers {
            let refusal = |code| {
                let id: String = id.chars().take(60).collect();
                Refusal::new(code).at("checklist").with("question", id)
            };
            let question = named(id).ok_or_else(|| refusal("task.question"))?;
            if !question.takes(answer) {
                return Err(refusal("task.answer").with("kind", question.kind));
            }
        }
        let open =
            self.questions.iter().find(|question| !question.optional && !answers.contains_key(&question.id));
        match open.filter(|_| is_seen) {
            Some(question) => {
                Err(Refusal::new("task.unanswered").at("checklist").with("question", &question.text))
            }
            None => Ok(()),
        }
    }
}

/// What was answered to one question.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionSummary {
    pub question: Question,
    pub answered: i64,
    /// Of a question with few answers: each with how many gave it; `true` and `false` where it is yes or no.
    pub counts: Vec<(String, i64)>,
    /// Of numbers: the least, the mean, the most.
    pub numbers: Option<[f64; 3]>,
}

impl Checklist {
    /// Sums answers up, question by question; equal ones come together with how many gave them.
    pub fn summarize(&self, answers: &[(CheckAnswers, i64)]) -> Vec<QuestionSummary> {
        self.questions.iter().map(|question| question.summarize(answers)).collect()
    }
}

impl Question {
    fn summarize(&self, answers: &[(CheckAnswers, i64)]) -> QuestionSummary {
        let given = answers.iter().filter_map(|(answers, count)| Some((answers.get(&self.id)?, *count)));
        let words = match self.kind {
            AnswerKind::YesNo => vec!["true".to_owned(), "false".to_owned()],
            _ => self.choices.clone(),
        };
        let mut counts: Vec<(String, i64)> = words.into_iter().map(|word| (word, 0)).collect();
        let (mut answered, mut numbers, mut sum) = (0, None::<(f64, f64)>, 0.0);
        for (answer, count) in given {
            answered += count;
            let word = match answer {
                CheckAnswer::Yes(yes) => yes.to_string(),
                CheckAnswer::Text(text) => text.clone(),
                CheckAnswer::Number(number) => {
                    let (least, most) = numbers.unwrap_or((*number, *number));
                    numbers = Some((least.min(*number), most.max(*number)));
                    sum += number * count as f64;
                    continue;
                }
            };
            if let Some((_, known)) = counts.iter_mut().find(|(known, _)| *known == word) {
                *known += count;
            }
        }
        QuestionSummary {
            question: self.clone(),
            answered,
            counts,
            numbers: numbers.map(|(least, most)| [least, sum / answered.max(1) as f64, most]),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let is_id = (1..=40).contains(&self.id.len())
            && self.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_id {
            return Err("id: small letters, digits and _, at most 40");
        }
        let fits = |text: &str| {
            (1..=MOST_TEXT).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
        };
        let texts = [Some(&self.text), self.text_en.as_ref(), self.unit.as_ref()];
        if !texts.into_iter().flatten().chain(&self.choices).all(|text| fits(text)) {
            return Err("text: 1 to 200 characters on one line");
        }
        let different: BTreeSet<&String> = self.choices.iter().collect();
        match self.kind {
            AnswerKind::Choice if !(2..=MOST_CHOICES).contains(&different.len()) => {
                Err("choices: 2 to 12, each another one")
            }
            AnswerKind::Choice if different.len() != self.choices.len() => {
                Err("choices: 2 to 12, each another one")
            }
            AnswerKind::Choice => Ok(()),
            _ if !self.choices.is_empty() => Err("choices: only where kind = \"choice\""),
            AnswerKind::Number if self.least.zip(self.most).is_some_and(|(least, most)| least > most) => {
                Err("least: at most `most`")
            }
            AnswerKind::Number => Ok(()),
            _ if self.least.or(self.most).is_some() || self.unit.is_some() => {
                Err("least, most, unit: only where kind = \"number\"")
            }
            _ => Ok(()),
        }
    }

    fn takes(&self, answer: &CheckAnswer) -> bool {
        match (self.kind, answer) {
            (AnswerKind::YesNo, CheckAnswer::Yes(_)) => true,
            (AnswerKind::Choice, CheckAnswer::Text(text)) => self.choices.contains(text),
            (AnswerKind::Number, CheckAnswer::Number(number)) => {
                number.is_finite()
                    && self.least.is_none_or(|least| *number >= least)
                    && self.most.is_none_or(|most| *number <= most)
            }
            (AnswerKind::Text, CheckAnswer::Text(text)) => {
                text.chars().count() <= MOST_ANSWER
                    && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "[[question]]\nid = 'frame'\ntext = '井座完好'\nkind = 'yes_no'\n\
        [[question]]\nid = 'net'\ntext = '防坠网'\nkind = 'choice'\nchoices = ['有', '无']\n\
        [[question]]\nid = 'depth'\ntext = '井深'\nkind = 'number'\nunit = 'm'\nleast = 0\nmost = 20\noptional = true\n\
        [[question]]\nid = 'words'\ntext = '说明'\nkind = 'text'\noptional = true\n";

    #[test]
    fn answers_fit_their_questions_or_are_named() {
        let list = Checklist::read(LIST).unwrap();
        let check = |text: &str, is_seen| {
            let answers: CheckAnswers = serde_json::from_str(text).unwrap();
            list.check_answers(&answers, is_seen).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(r#"{"frame":true,"net":"有","depth":1.5,"words":"好\n的"}"#, true), Ok(()));
        assert_eq!(check(r#"{"frame":true,"net":"有"}"#, true), Ok(()));
        assert_eq!(check("{}", false), Ok(()), "nobody was there to answer");
        assert_eq!(check(r#"{"frame":true}"#, true), Err("task.unanswered"));
        assert_eq!(check(r#"{"lid":true}"#, true), Err("task.question"));
        for wrong in [
            r#"{"frame":1}"#,
            r#"{"net":"没有"}"#,
            r#"{"depth":21}"#,
            r#"{"depth":"1"}"#,
            r#"{"words":"\u0000"}"#,
        ] {
            assert_eq!(check(wrong, true), Err("task.answer"), "{wrong}");
        }
    }

    #[test]
    fn answers_are_summed_up_by_question() {
        let list = Checklist::read(LIST).unwrap();
        let given = |text: &str| serde_json::from_str::<CheckAnswers>(text).unwrap();
        let answers = [
            (given(r#"{"frame":true,"net":"无","depth":2}"#), 3),
            (given(r#"{"frame":false,"depth":4}"#), 1),
            (given("{}"), 9),
        ];
        let [frame, net, depth, words] = &list.summarize(&answers)[..] else { panic!("four questions") };
        assert_eq!((frame.answered, &frame.counts[..]), (4, &[("true".into(), 3), ("false".into(), 1)][..]));
        assert_eq!(net.counts, [("有".into(), 0), ("无".into(), 3)]);
        assert_eq!((depth.numbers, words.answered), (Some([2.0, 2.5, 4.0]), 0));
    }

    #[test]
    fn a_list_that_nobody_could_answer_is_refused_with_its_place() {
        assert_eq!(Checklist::read("").unwrap().questions, []);
        let kind = |more: &str| format!("[[question]]\nid = 'a'\ntext = 'b'\n{more}");
        for wrong in [
            kind("kind = 'maybe'"),
            kind("kind = 'choice'"),
            kind("kind = 'choice'\nchoices = ['x', 'x']"),
            kind("kind = 'text'\nchoices = ['x', 'y']"),
            kind("kind = 'number'\nleast = 3\nmost = 2"),
            kind("kind = 'yes_no'\nunit = 'm'"),
            kind("kind = 'yes_no'") + "\n" + &kind("kind = 'yes_no'"),
            "[[question]]\nid = 'Ä'\ntext = 'b'\nkind = 'text'".into(),
            "question = 3".into(),
        ] {
            assert_eq!(Checklist::read(&wrong).unwrap_err().code, "campaign.checklist", "{wrong}");
        }
    }
}
