//! Cells that are merged over several rows. A spreadsheet keeps their value in the first row alone; it
//! is meant for each of them.

use std::io::Read;

use super::sheet::{MAX_COLUMNS, SheetCell, SheetRow};

/// Merged cells of a sheet that are remembered, 12 bytes each.
const MAX_MERGES: usize = 1_000_000;

/// A cell and the last row that it is merged down to. Rows count from 1, columns from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Merge {
    row: u32,
    last_row: u32,
    column: u32,
}

/// Where cells are merged down, to be asked row by row.
#[derive(Default)]
pub(super) struct Merges {
    /// In the order of their rows.
    merges: Vec<Merge>,
    /// The first one that may begin in a row still to come.
    at: usize,
}

impl Merges {
    /// Of ranges as they come: first row, last row, column.
    pub(super) fn of(ranges: impl Iterator<Item = (u32, u32, u32)>) -> Self {
        let mut merges: Vec<Merge> = ranges
            .filter(|(row, last_row, column)| row < last_row && (*column as usize) < MAX_COLUMNS)
            .map(|(row, last_row, column)| Merge { row, last_row, column })
            .take(MAX_MERGES)
            .collect();
        merges.sort_unstable();
        Self { merges, at: 0 }
    }

    /// Those of a worksheet of XLSX, which stand behind all of its rows. What cannot be read on ends
    /// the search; whoever reads the rows tells it.
    pub(super) fn of_sheet(mut xml: impl Read) -> Self {
        const TAG: &[u8] = b"mergeCell ";
        /// A tag with its range is never longer.
        const LONGEST: usize = 256;
        let mut ranges = Vec::new();
        let mut bytes = vec![0; 1 << 16];
        let mut filled = 0;
        loop {
            let read = xml.read(&mut bytes[filled..]).unwrap_or(0);
            filled += read;
            // A tag across the edge is looked at once more with what follows it.
            let whole = if read == 0 { filled } else { filled.saturating_sub(LONGEST) };
            let mut at = 0;
            // The rarest letter of the tag among those that rows are made of.
            while let Some(found) = bytes[at..whole].iter().position(|byte| *byte == b'g') {
                let tag = (at + found).saturating_sub(3);
                at += found + 1;
                if bytes[tag..filled].starts_with(TAG)
                    && let Some(range) = range_in(&bytes[tag..filled.min(tag + LONGEST)])
                    && ranges.len() < MAX_MERGES
                {
                    ranges.push(range);
                }
            }
            if read == 0 {
                return Self::of(ranges.into_iter());
            }
            // The letters before the one that is looked for belong to it.
            let kept = whole.saturating_sub(3);
            bytes.copy_within(kept..filled, 0);
            filled -= kept;
        }
    }

    /// What begins in a row: columns and last rows. Rows must be asked for in their order.
    pub(super) fn begin(&mut self, row: u64) -> Vec<(usize, u64)> {
        while self.merges.get(self.at).is_some_and(|merge| u64::from(merge.row) < row) {
            self.at += 1;
        }
        let here = self.merges[self.at..].iter().take_while(|merge| u64::from(merge.row) == row);
        here.map(|merge| (merge.column as usize, u64::from(merge.last_row))).collect()
    }
}

/// The range of a tag such as `mergeCell ref="B9:C10"/>`: first row, last row, first column.
fn range_in(tag: &[u8]) -> Option<(u32, u32, u32)> {
    let tag = std::str::from_utf8(tag.split(|byte| *byte == b'>').next()?).ok()?;
    let range = tag.split_once("ref=")?.1.trim_start_matches(['"', '\'']);
    let range = range.split(['"', '\'']).next()?;
    let (from, to) = range.split_once(':')?;
    let row = |corner: &str| {
        corner.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '$').parse::<u32>().ok()
    };
    let column = super::xlsx::column_of(from.trim_start_matches('$'))?;
    Some((row(from)?, row(to)?, u32::try_from(column).ok()?))
}

/// The values that go on downwards.
#[derive(Default)]
pub(super) struct Filler {
    /// Column, last row, value.
    open: Vec<(usize, u64, SheetCell)>,
    /// Rows that got a value this way.
    pub(super) rows: u64,
}

impl Filler {
    /// Gives a row the values that are merged down to it. A cell with a text of its own keeps it.
    pub(super) fn fill(&mut self, row: &mut SheetRow) {
        self.open.retain(|(_, last, _)| *last >= row.line);
        let mut filled = false;
        for (column, _, value) in &self.open {
            if row.cells.len() <= *column {
                row.cells.resize(column + 1, SheetCell::default());
            }
            if row.cells[*column].is_blank() {
                row.cells[*column] = value.clone();
                filled = true;
            }
        }
        self.rows += u64::from(filled);
        for (column, last) in &row.merged_down {
            if let Some(value) = row.cells.get(*column).filter(|value| !value.is_blank()) {
                self.open.retain(|(there, ..)| there != column);
                self.open.push((*column, *last, value.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_ranges_are_found_wherever_they_stand_in_the_stream() {
        let mut xml = "<worksheet><sheetData>".to_owned();
        xml.push_str(&"<row><c r=\"A1\"><v>growing</v></c></row>".repeat(5000));
        xml.push_str("</sheetData><mergeCells>");
        for row in 0..3000 {
            xml.push_str(&format!("<x:mergeCell ref=\"$BC${}:$BD${}\"/>", row * 3 + 1, row * 3 + 2));
        }
        xml.push_str("<mergeCell ref='A7:F7'/><mergeCell/><mergeCell ref=\"7:9\"/><mergeCell ref=\"\"");
        let mut merges = Merges::of_sheet(xml.as_bytes());
        assert_eq!(merges.merges.len(), 3000);
        assert_eq!(merges.begin(1), [(54, 2)]);
        assert_eq!(merges.begin(2), []);
        assert_eq!(merges.begin(2998 * 3 + 1), [(54, 2998 * 3 + 2)]);
    }

    #[test]
    fn a_value_goes_down_to_the_last_row_of_its_cell() {
        let row = |line: u64, texts: [&str; 2]| SheetRow {
            line,
            cells: texts.into_iter().map(SheetCell::text).collect(),
            merged_down: if line == 5 { vec![(0, 8)] } else { Vec::new() },
        };
        let mut filler = Filler::default();
        let mut read = |line, texts| {
            let mut row = row(line, texts);
            filler.fill(&mut row);
            row.cells[0].text.clone()
        };
        assert_eq!(read(5, ["黄河路", "1"]), "黄河路");
        assert_eq!(read(6, ["", "2"]), "黄河路");
        assert_eq!(read(7, ["西四路", "3"]), "西四路");
        // Row 8 is blank and was never read.
        assert_eq!(read(9, ["", "5"]), "");
        assert_eq!(filler.rows, 1);
    }
}
