//! Where the header is. Exports of spreadsheets often begin with a title and other lines, and names
//! of columns may stand in two rows of merged cells.

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

/// One way to read a header: a row, or two rows where one fills the gaps of the other.
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
    for (at, pair) in rows.windows(2).enumerate() {
        let (upper, lower) = (&pair[0].1, &pair[1].1);
        let names = merged(upper, lower);
        let fields = count(&names);
        let Some(found) = &best else { continue };
        let fills_gaps = found.from == at + 1
            && found.to == at + 1
            && fields == found.fields
            && names != *lower
            && upper.iter().filter(|name| !name.is_empty()).count() > 1;
        if fields > found.fields || fills_gaps {
            best = Some(Reading { from: at, to: at + 1, names, fields });
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

/// The names of two rows: of merged cells, the text stands in the first and the others are blank.
fn merged(upper: &[String], lower: &[String]) -> Vec<String> {
    (0..upper.len().max(lower.len()))
        .map(|at| {
            let below = lower.get(at).filter(|name| !name.is_empty());
            below.or(upper.get(at)).cloned().unwrap_or_default()
        })
        .collect()
}
