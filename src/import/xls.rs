//! XLS (Excel 97–2003), which `calamine` reads whole: a sheet of it has 65,536 rows at most.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{Data, Range, Reader, Xls};

use super::merged::Merges;
use super::sheet::{SheetCell, SheetRow, SheetRows, date_text};
use super::{Problem, choose_layer};
use crate::domain::Refusal;

/// Larger ones are no survey of 65,536 rows.
const MAX_FILE: u64 = 128 << 20;

pub(super) struct XlsRows {
    range: Range<Data>,
    at: usize,
    merges: Merges,
    since_1904: bool,
    name: String,
    others: Vec<String>,
}

pub(super) fn open(path: &Path, layer: Option<&str>) -> Result<XlsRows, Refusal> {
    let length = std::fs::metadata(path).map_err(|error| super::unreadable(&error))?.len();
    if length > MAX_FILE {
        return Err(Refusal::new("sheet.too_large").with("most", MAX_FILE >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| super::unreadable(&error))?;
    let broken = |reason: String| Refusal::new("sheet.unreadable").with("reason", super::shown(&reason));
    // The parser indexes into a damaged file without asking; that must cost this file only.
    let read = catch_unwind(AssertUnwindSafe(|| -> Result<XlsRows, Refusal> {
        let mut book = Xls::new(Cursor::new(bytes)).map_err(|error| broken(error.to_string()))?;
        let names = book.sheet_names();
        let wanted = match layer {
            Some(layer) => vec![choose_layer(&names, layer)?],
            None => (0..names.len()).collect(),
        };
        let since_1904 = book.has_1904_epoch();
        let mut found = None;
        for at in wanted {
            let range = book.worksheet_range(&names[at]).map_err(|error| broken(error.to_string()))?;
            let has_data = range.used_cells().next().is_some();
            found = Some((range, at));
            if has_data {
                break;
            }
        }
        let (range, at) = found.ok_or_else(|| Refusal::new("file.empty"))?;
        let others = names.iter().filter(|name| **name != names[at]).cloned().collect();
        let merged = book.merge_cells_by_sheet_name(&names[at]).unwrap_or_default();
        let merges =
            Merges::of(merged.iter().map(|range| {
                (range.start.0.saturating_add(1), range.end.0.saturating_add(1), range.start.1)
            }));
        Ok(XlsRows { range, at: 0, merges, since_1904, name: names[at].clone(), others })
    }));
    read.unwrap_or_else(|_| Err(broken("BIFF".into())))
}

impl SheetRows for XlsRows {
    fn next_row(&mut self) -> Option<Result<SheetRow, Problem>> {
        let (first_row, first_column) = self.range.start()?;
        loop {
            if self.at >= self.range.height() {
                return None;
            }
            let values = self.range.rows().nth(self.at)?;
            let line = u64::from(first_row) + self.at as u64 + 1;
            self.at += 1;
            if values.iter().all(|value| matches!(value, Data::Empty)) {
                continue;
            }
            let before = std::iter::repeat_n(SheetCell::default(), first_column as usize);
            let cells = before.chain(values.iter().map(|value| cell_of(value, self.since_1904))).collect();
            let row = SheetRow { line, cells, merged_down: self.merges.begin(line) };
            if !row.is_blank() {
                return Some(Ok(row));
            }
        }
    }

    fn sheets(&self) -> (Option<String>, Vec<String>) {
        (Some(self.name.clone()), self.others.clone())
    }
}

fn cell_of(value: &Data, since_1904: bool) -> SheetCell {
    match value {
        Data::Empty => SheetCell::default(),
        Data::Int(number) => SheetCell::number(*number as f64),
        Data::Float(number) => SheetCell::number(*number),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
            SheetCell::text(text.as_str())
        }
        Data::Bool(is) => SheetCell::text(is.to_string()),
        Data::DateTime(moment) => date_text(moment.as_f64(), since_1904)
            .map_or_else(|| SheetCell::number(moment.as_f64()), SheetCell::text),
        Data::Error(error) => SheetCell::error(error.to_string()),
    }
}
