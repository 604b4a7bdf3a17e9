//! What was understood of a file, in words, so that a wrong guess is seen before a row is written.

use super::{Language, Say};
use crate::import::{DeclaredCrs, Findings, FoundBy};
use crate::messages::{self, Catalogue};

pub(super) fn understood(say: &Say, file: &str, findings: &Findings) -> String {
    let words = Catalogue::of(match say.language {
        Language::Zh => messages::Language::Zh,
        Language::En => messages::Language::En,
    });
    let mut parts = Vec::new();
    if let Some(layer) = &findings.layer {
        parts.push(words.fill("understood.layer", &[("layer", layer)]));
    }
    if !findings.other_layers.is_empty() {
        let others = findings.other_layers.join(words.text("list.comma"));
        parts.push(words.fill("understood.other_layers", &[("layers", &others)]));
    }
    if let Some(found) = findings.encoding {
        let runner_up = found.runner_up.map_or(String::new(), |(name, percent)| {
            words.fill(
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
        parts.push(words.fill(
            by,
            &[("encoding", found.encoding.as_str()), ("percent", &percent), ("runner_up", &runner_up)],
        ));
    }
    if let Some(delimiter) = findings.delimiter {
        let sign = if delimiter == '\t' { "TAB".to_owned() } else { delimiter.to_string() };
        parts.push(words.fill("understood.delimiter", &[("sign", &sign)]));
    }
    if let Some(line) = findings.header_line
        && (line > 1 || !findings.above_header.is_empty())
    {
        let above = findings.above_header.join(" | ");
        parts.push(words.fill("understood.header", &[("line", &line.to_string()), ("above", &above)]));
    }
    match &findings.crs {
        Some(DeclaredCrs::Epsg(epsg)) => {
            parts.push(words.fill("understood.crs", &[("crs", &format!("EPSG:{epsg}"))]));
        }
        Some(DeclaredCrs::Wkt(text) | DeclaredCrs::Name(text)) => {
            let name: String = text.chars().take(60).collect();
            parts.push(words.fill("understood.crs", &[("crs", &name)]));
        }
        None => {}
    }
    if findings.deleted > 0 {
        parts.push(words.fill("understood.deleted", &[("count", &findings.deleted.to_string())]));
    }
    let format = words.text(&format!("understood.format_{}", findings.format)).to_owned();
    format!("{file}: {}", [vec![format], parts].concat().join("; "))
}
