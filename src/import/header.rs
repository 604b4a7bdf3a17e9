//! Where the header is. Exports of spreadsheets often begin with a title and other lines, and names
//! of columns may stand in two rows of merged cells.

use std::collections::HashMap;

use super::Findings;
use super::mapping::{Columns, Flaw, Mapper, Meaning};
use super::shown;

/// Rows that are looked at for the header.
pub(super) const LOOK_AHEAD: usize = 20;

/// A header that was found.
pub(super) struct Header {
    /// Line of the row that has most of the names.
    pub(super) line: u64,
    /// The rows begin behind this line.
    pub(super) last_line: u64,
    above: Vec<(u64, String)>,
}

impl Header {
    pub(super) fn tell(&self, findings: &mut Findings) {
        findings.header_line = Some(self.line);
        findings.above_header = self.above.iter().map(|(line, text)| format!("{line}: {text}")).collect();
    }
}

/// Rows over which names of columns may be spread.
const MOST_ROWS: usize = 3;

/// One way to read a header: some rows below each other.
struct Reading {
    from: usize,
    to: usize,
    names: Vec<String>,
    fields: usize,
}

/// Finds the header among the first rows: the one with most names that the profile knows. `None` =
/// there are no rows. A header that will not do is answered with its flaw.
pub(super) fn find_header(
    rows: &[(u64, Vec<String>)],
    mapper: &Mapper<'_>,
    has_point: bool,
) -> Option<(Header, Result<Columns, Flaw>)> {
    let count = |names: &[String]| {
        names.iter().filter(|name| matches!(mapper.meaning_of(name), Meaning::Field(..))).count()
    };
    let mut best: Option<Reading> = None;
    for (at, (_, names)) in rows.iter().enumerate() {
        let fields = count(names);
        if best.as_ref().is_none_or(|best| fields > best.fields) {
            best = Some(Reading { from: at, to: at, names: names.clone(), fields });
        }
    }
    for height in 2..=MOST_ROWS {
        for (at, group) in rows.windows(height).enumerate() {
            let Some(found) = &best else { continue };
            let names = told_apart(merged(group), group);
            let fields = count(&names);
            let upper = &group[0].1;
            let fills_gaps = found.from == at + 1
                && found.to == at + height - 1
                && fields == found.fields
                && names != found.names
                && upper.iter().filter(|name| !name.is_empty()).count() > 1;
            if fields > found.fields || fills_gaps {
                best = Some(Reading { from: at, to: at + height - 1, names, fields });
            }
        }
    }
    let Reading { from, to, names, .. } = best?;
    let above = rows[..from]
        .iter()
        .map(|(line, cells)| {
            let said: Vec<&str> = cells.iter().map(String::as_str).filter(|cell| !cell.is_empty()).collect();
            (*line, shown(&said.join(" ")))
        })
        .collect();
    let header = Header { line: rows[from].0, last_line: rows[to].0, above };
    Some((header, mapper.columns_of_header(names, has_point)))
}

/// The names of several rows: of merged cells, the text stands in the first and the others are blank.
fn merged(rows: &[(u64, Vec<String>)]) -> Vec<String> {
    let width = rows.iter().map(|(_, names)| names.len()).max().unwrap_or(0);
    let name =
        |at: usize| rows.iter().rev().find_map(|(_, names)| names.get(at).filter(|name| !name.is_empty()));
    (0..width).map(|at| name(at).cloned().unwrap_or_default()).collect()
}

/// Puts the heading of its group before a name that stands in several columns: 起点 over X and Y beside
/// 终点 over X and Y.
fn told_apart(mut names: Vec<String>, rows: &[(u64, Vec<String>)]) -> Vec<String> {
    let Some(((_, lowest), above)) = rows.split_last().filter(|(_, above)| !above.is_empty()) else {
        return names;
    };
    let mut times: HashMap<String, u32> = HashMap::new();
    for name in &names {
        *times.entry(name.clone()).or_default() += 1;
    }
    for (at, name) in names.iter_mut().enumerate() {
        if name.is_empty() || times.get(name).is_none_or(|times| *times < 2) || lowest.get(at) != Some(name) {
            continue;
        }
        // The heading stands over the first column of its group.
        let heading = above.iter().rev().find_map(|(_, headings)| {
            let until = headings.len().min(at + 1);
            headings[..until].iter().rev().find(|heading| !heading.is_empty())
        });
        if let Some(heading) = heading.filter(|heading| *heading != name) {
            let gap = if heading.is_ascii() && name.is_ascii() { " " } else { "" };
            *name = format!("{heading}{gap}{name}");
        }
    }
    names
}
