//! What was understood of a file, in words, so that a wrong guess is seen before a row is written.

use super::Say;
use crate::http::views;
use crate::import::{Coordinates, Findings};

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
