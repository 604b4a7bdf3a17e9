//! What was understood of a census file, in words, so that a wrong guess is seen before a row is written.

use crate::import::{Findings, FoundBy, Quoting};
use crate::messages::Catalogue;

/// One short sentence for each thing that was found: format, layer, encoding with its evidence, signs,
/// header, declared reference system.
pub fn understood(catalogue: &Catalogue, findings: &Findings) -> Vec<String> {
    let text = |key: &str| catalogue.text(key).to_owned();
    let count = |key: &str, count: u64| catalogue.fill_one(key, "count", count);
    let mut parts = vec![text(&format!("understood.format_{}", findings.format))];
    if let Some(layer) = &findings.layer {
        parts.push(catalogue.fill_one("understood.layer", "layer", layer));
    }
    if !findings.other_layers.is_empty() {
        let others = findings.other_layers.join(catalogue.text("list.comma"));
        parts.push(catalogue.fill_one("understood.other_layers", "layers", others));
    }
    if let Some(found) = findings.encoding {
        let runner_up = found.runner_up.map_or(String::new(), |(name, percent)| {
            catalogue.fill(
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
        let facts = [("encoding", found.encoding.as_str()), ("percent", &percent), ("runner_up", &runner_up)];
        parts.push(catalogue.fill(by, &facts));
    }
    if let Some(delimiter) = findings.delimiter {
        let sign = if delimiter == '\t' { "TAB".to_owned() } else { delimiter.to_string() };
        parts.push(catalogue.fill_one("understood.delimiter", "sign", sign));
    }
    if let Some(quoting) = findings.quoting.filter(|quoting| *quoting != Quoting::Double) {
        parts.push(text(&format!("understood.quoting_{quoting}")));
    }
    if let Some(line) = findings.header_line
        && (line > 1 || !findings.above_header.is_empty())
    {
        let above = findings.above_header.join(" | ");
        parts.push(catalogue.fill("understood.header", &[("line", &line.to_string()), ("above", &above)]));
    }
    if let Some(declared) = &findings.crs {
        parts.push(catalogue.fill_one("understood.crs", "crs", declared));
    }
    if findings.cut_texts > 0 {
        parts.push(count("understood.cut_texts", findings.cut_texts));
    }
    if findings.merged_down > 0 {
        parts.push(count("understood.merged_down", findings.merged_down));
    }
    if findings.deleted > 0 {
        parts.push(count("understood.deleted", findings.deleted));
    }
    parts
}
