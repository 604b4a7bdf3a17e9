//! The tasks of a round as lines of a file.

use super::campaign_pages::who;
use super::words::Names;
use super::{Page, field_words};
use crate::domain::checklist::Checklist;
use crate::domain::task::{CheckAnswer, CheckAnswers};
use crate::registry::TaskLine;

/// The headings of the results as a file: one column for each question.
pub fn task_headings(page: &Page, list: &Checklist) -> Vec<String> {
    let own = [
        "campaigns.code",
        "campaigns.class",
        "campaigns.district",
        "campaigns.road",
        "campaigns.crew",
        "campaigns.state",
        "campaigns.result",
        "campaigns.done_by",
        "campaigns.done_at",
        "campaigns.distance",
        "campaigns.note",
        "campaigns.case",
    ];
    let questions = list.questions.iter().map(|question| match &question.text_en {
        Some(english) if !page.is_chinese() => english.clone(),
        _ => question.text.clone(),
    });
    own.iter().map(|key| page.catalogue.text(key).to_owned()).chain(questions).collect()
}

/// One task as a line of that file.
pub fn task_cells(page: &Page, names: Names, list: &Checklist, line: &TaskLine) -> Vec<String> {
    let task = &line.task;
    let mut cells = vec![
        line.code.clone(),
        page.word("class", &line.class),
        field_words::text(page, names, "district", &task.district),
        task.road.clone().unwrap_or_default(),
        who(page, names, task.crew),
        page.word("task_state", task.state),
        task.result.map(|result| page.word("task_result", result)).unwrap_or_default(),
        task.done_by.map(|user| who(page, names, Some(user))).unwrap_or_default(),
        task.done_at.map(|at| page.date_time(at)).unwrap_or_default(),
        task.distance_m.map(|meters| format!("{meters:.0}")).unwrap_or_default(),
        task.note.clone().unwrap_or_default(),
        line.raised_number.clone().unwrap_or_default(),
    ];
    let answers: CheckAnswers = serde_json::from_str(&task.answers).unwrap_or_default();
    cells.extend(list.questions.iter().map(|question| match answers.get(&question.id) {
        None => String::new(),
        Some(CheckAnswer::Yes(yes)) => page.word("yes_no", yes),
        Some(CheckAnswer::Number(number)) => number.to_string(),
        Some(CheckAnswer::Text(text)) => text.clone(),
    }));
    cells
}
