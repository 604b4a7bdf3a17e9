//! Rows of a worksheet → cells, whatever program wrote it. The line is the row's number as the
//! program shows it; blank rows are no rows.

use std::collections::VecDeque;

use time::{Date, Duration, Time};

use super::header::{Header, LOOK_AHEAD, find_header};
use super::mapping::{Cell, Columns, Mapper};
use super::merged::Filler;
use super::{Findings, Item, Problem, RowReader, Scope};
use crate::domain::Refusal;

/// Columns that a sheet can have.
pub(super) const MAX_COLUMNS: usize = 16_384;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SheetCell {
    pub(super) text: String,
    /// A number beyond the fifteen digits that spreadsheets keep.
    pub(super) inexact: bool,
    /// A formula that came to nothing, such as `#REF!`.
    pub(super) error: bool,
}

impl SheetCell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn number(number: f64) -> Self {
        Self { text: number.to_string(), inexact: number.abs() >= 1e15, error: false }
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        let text = text.into();
        // "Not available" is a blank that somebody meant.
        if text == "#N/A" { Self::default() } else { Self { text, inexact: false, error: true } }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct SheetRow {
    pub(super) line: u64,
    pub(super) cells: Vec<SheetCell>,
    /// Columns whose cell is merged with those below it, with the last of these rows.
    pub(super) merged_down: Vec<(usize, u64)>,
}

impl SheetRow {
    pub(super) fn is_blank(&self) -> bool {
        self.cells.iter().all(SheetCell::is_blank)
    }
}

/// The rows of one sheet that are not blank.
pub(super) trait SheetRows {
    fn next_row(&mut self) -> Option<Result<SheetRow, Problem>>;
    /// Hears that only the numbers of the first rows are wanted.
    fn begin_sample(&mut self) {}
    /// Name of the sheet, and of the others.
    fn sheets(&self) -> (Option<String>, Vec<String>);
}

pub(super) struct SheetReader {
    rows: Box<dyn SheetRows>,
    header: Option<Header>,
    columns: Option<Columns>,
    ahead: VecDeque<Result<SheetRow, Problem>>,
    filler: Filler,
    done: bool,
}

impl SheetReader {
    pub(super) fn new(rows: Box<dyn SheetRows>) -> Self {
        Self {
            rows,
            header: None,
            columns: None,
            ahead: VecDeque::new(),
            filler: Filler::default(),
            done: false,
        }
    }

    fn read_header(&mut self, mapper: &Mapper<'_>) -> Result<Columns, Problem> {
        while self.ahead.len() < LOOK_AHEAD {
            let Some(row) = self.rows.next_row() else { break };
            let ends = row.is_err();
            self.ahead.push_back(row);
            if ends {
                break;
            }
        }
        let texts: Vec<(u64, Vec<String>)> = self
            .ahead
            .iter()
            .flatten()
            .map(|row| (row.line, row.cells.iter().map(|cell| cell.text.trim().to_owned()).collect()))
            .collect();
        let Some((header, columns)) = find_header(&texts, mapper, false) else {
            return Err(match self.ahead.pop_front() {
                Some(Err(problem)) => problem,
                _ => Problem::of_file(1, "", Refusal::new("file.empty")),
            });
        };
        while self.ahead.front().is_some_and(|row| matches!(row, Ok(row) if row.line <= header.last_line)) {
            self.ahead.pop_front();
        }
        let line = header.line;
        self.header = Some(header);
        columns.map_err(|flaw| flaw.into_problem(line, Scope::File))
    }
}

impl RowReader for SheetReader {
    fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        if self.done {
            return None;
        }
        if self.columns.is_none() {
            match self.read_header(mapper) {
                Ok(columns) => self.columns = Some(columns),
                Err(problem) => {
                    self.done = true;
                    return Some(Err(problem));
                }
            }
        }
        let mut row = match self.ahead.pop_front().or_else(|| self.rows.next_row()) {
            Some(Ok(row)) => row,
            Some(Err(problem)) => return Some(Err(problem)),
            None => {
                self.done = true;
                return None;
            }
        };
        self.filler.fill(&mut row);
        Some(read_row(&row, self.columns.as_ref()?, mapper))
    }

    fn begin_sample(&mut self) {
        self.rows.begin_sample();
    }

    fn tell(&self, findings: &mut Findings) {
        (findings.layer, findings.other_layers) = self.rows.sheets();
        findings.merged_down = self.filler.rows;
        if let Some(header) = &self.header {
            header.tell(findings);
        }
    }
}

fn read_row(row: &SheetRow, columns: &Columns, mapper: &Mapper<'_>) -> Item {
    let within = row.cells.len().min(columns.len());
    if let Some(at) = row.cells[within..].iter().rposition(|cell| !cell.is_blank()) {
        let refusal = Refusal::new("row.ragged").with("count", within + at + 1).with("fits", columns.len());
        return Err(Problem::of_row(row.line, &row.cells[within + at].text, refusal));
    }
    if let Some(at) = row.cells.iter().position(|cell| cell.error) {
        let text = &row.cells[at].text;
        let mut problem = Problem::of_row(row.line, text, Refusal::new("sheet.error").with("read", text));
        problem.column = columns.name(at).map(str::to_owned);
        return Err(problem);
    }
    let blank = SheetCell::default();
    let cells = columns.iter().enumerate().map(|(at, (name, meaning))| {
        let cell = row.cells.get(at).unwrap_or(&blank);
        Cell { name, meaning, text: &cell.text, inexact: cell.inexact }
    });
    mapper.candidate(row.line, cells, None).map_err(|flaw| flaw.into_problem(row.line, Scope::Row))
}

/// The day or moment of a spreadsheet's number, as ISO 8601. `None` = beyond all calendars.
pub(super) fn date_text(serial: f64, since_1904: bool) -> Option<String> {
    if !(0.0..3_000_000.0).contains(&serial) {
        return None;
    }
    let seconds = (serial * 86_400.0).round() as i64;
    let (days, clock) = (seconds.div_euclid(86_400), Duration::seconds(seconds.rem_euclid(86_400)));
    let time = Time::MIDNIGHT + clock;
    // Spreadsheets take 1900 for a leap year; before its false 29 February days count from one later.
    const DAY_1899_12_30: i64 = 2_415_019;
    const DAY_1904_01_01: i64 = 2_416_481;
    let zero = match since_1904 {
        true => DAY_1904_01_01,
        false => DAY_1899_12_30 + i64::from(days < 60),
    };
    if days == 0 && !since_1904 && seconds > 0 {
        return Some(time_text(time));
    }
    let date = Date::from_julian_day(i32::try_from(zero + days).ok()?).ok()?;
    let day = format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
    Some(if clock.is_zero() { day } else { format!("{day} {}", time_text(time)) })
}

fn time_text(time: Time) -> String {
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}
