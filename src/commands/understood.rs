//! What was understood of a file, in words, so that a wrong guess is seen before a row is written.

use super::Say;
use crate::http::views;
use crate::import::{Coordinates, Findings, Look};

/// Values nobody knows that are shown of a column.
const STRANGE: usize = 10;

/// Tells what was understood of a file, with the evidence for the reading of its coordinates.
pub(super) fn say_understood(say: &Say, file: &str, findings: &mut Findings) {
    say.line(format!("{file}: {}", understood(say, findings)));
    if let Some(coordinates) = &mut findings.coordinates {
        coordinates.say(|code, facts| say.fill(&format!("evidence.{code}"), facts));
        let Coordinates { crs, evidence, .. } = coordinates;
        say.line(format!("  {crs}"));
        for observation in evidence {
            say.line(format!("    {}", observation.detail));
        }
    }
}

/// Tells what every column is taken for, and why.
pub(super) fn say_columns(say: &Say, look: &mut Look) {
    let sentence = |code: &str, facts: &[(&str, &str)]| say.catalogue().mapping_note(code, facts);
    look.columns.iter_mut().for_each(|column| column.say(sentence));
    for note in &look.notes {
        let facts: Vec<(&str, &str)> =
            note.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        say.line(format!("  {}", sentence(&note.code, &facts)));
    }
    for column in &look.columns {
        let means = views::means(say.catalogue(), &column.means);
        let mut why: Vec<&str> = column.notes.iter().map(|note| note.detail.as_str()).collect();
        let strange: Vec<String> =
            column.strange.iter().take(STRANGE).map(|(text, count)| format!("{text} ×{count}")).collect();
        let strange = say.fill("mapping.strange", &[("read", &strange.join(", "))]);
        if !column.strange.is_empty() {
            why.push(&strange);
        }
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        say.line(format!("  {} → {means}{why}", column.name));
    }
}

/// Tells what the whole of a file showed beyond its first rows.
pub(super) fn say_more(say: &Say, file: &str, before: Option<&Findings>, findings: &Findings) {
    let now = understood(say, findings);
    if before.is_none_or(|before| understood(say, before) != now) {
        say.line(format!("{file}: {now}"));
    }
}

fn understood(say: &Say, findings: &Findings) -> String {
    views::understood(say.catalogue(), findings).join("; ")
}
