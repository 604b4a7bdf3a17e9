//! What was understood of a file, in words, so that a wrong guess is seen before a row is written.

use super::Say;
use crate::import::{Coordinates, Findings, FoundBy, Quoting};

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
    let text = |key: &str| say.fill(key, &[]);
    let mut parts = Vec::new();
    if let Some(layer) = &findings.layer {
        parts.push(say.fill("understood.layer", &[("layer", layer)]));
    }
    if !findings.other_layers.is_empty() {
        let others = findings.other_layers.join(&text("list.comma"));
        parts.push(say.fill("understood.other_layers", &[("layers", &others)]));
    }
    if let Some(found) = findings.encoding {
        let runner_up = found.runner_up.map_or(String::new(), |(name, percent)| {
            say.fill(
                "understood.runner_up",
                &[("encoding", name.as_str()), ("percent", &percent.to_string())],
            )
        });
        let by = match found.by {
            FoundBy::Told => "understood.encoding_told",
            FoundBy::ByteOrderMark => "understood.encoding_mark",
            FoundBy::Ascii => "understood.encoding_ascii",
            FoundBy::Declared => "understood.encoding_declared",
            FoundBy::TextAgainstDeclared => "understood.encoding_against_declared",
            FoundBy::Text => "understood.encoding_text",
        };
        let percent = found.common_percent.to_string();
        parts.push(say.fill(
            by,
            &[("encoding", found.encoding.as_str()), ("percent", &percent), ("runner_up", &runner_up)],
        ));
    }
    if let Some(delimiter) = findings.delimiter {
        let sign = if delimiter == '\t' { "TAB".to_owned() } else { delimiter.to_string() };
        parts.push(say.fill("understood.delimiter", &[("sign", &sign)]));
    }
    if let Some(quoting) = findings.quoting.filter(|quoting| *quoting != Quoting::Double) {
        parts.push(text(&format!("understood.quoting_{quoting}")));
    }
    if let Some(line) = findings.header_line
        && (line > 1 || !findings.above_header.is_empty())
    {
        let above = findings.above_header.join(" | ");
        parts.push(say.fill("understood.header", &[("line", &line.to_string()), ("above", &above)]));
    }
    if let Some(declared) = &findings.crs {
        parts.push(say.fill("understood.crs", &[("crs", &declared.to_string())]));
    }
    if findings.cut_texts > 0 {
        parts.push(say.fill("understood.cut_texts", &[("count", &findings.cut_texts.to_string())]));
    }
    if findings.merged_down > 0 {
        parts.push(say.fill("understood.merged_down", &[("count", &findings.merged_down.to_string())]));
    }
    if findings.deleted > 0 {
        parts.push(say.fill("understood.deleted", &[("count", &findings.deleted.to_string())]));
    }
    let format = text(&format!("understood.format_{}", findings.format));
    [vec![format], parts].concat().join("; ")
}
