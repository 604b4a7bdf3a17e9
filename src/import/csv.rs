//! CSV → cells: lines into records, records into cells by the header, wherever it stands.

use std::collections::VecDeque;
use std::io::Read;

use super::csv_cut::{Cut, Record, count_lines, cut, first_line};
use super::csv_dialect::{Dialect, Quoting, find_dialect};
use super::encoding::Encoding;
use super::header::{Header, LOOK_AHEAD, find_header};
use super::mapping::{Cell, Columns, Mapper};
use super::text::Text;
use super::{Findings, Item, Problem, RowReader, Scope, Told, refuse_by_magic, shown_bytes};
use crate::domain::Refusal;

const CHUNK: usize = 64 * 1024;

pub(super) struct CsvReader<R> {
    input: Text<R>,
    /// What is read at once.
    chunk: Vec<u8>,
    buffer: Vec<u8>,
    /// Where the next record starts in `buffer`.
    start: usize,
    input_ended: bool,
    /// What went wrong with the input itself, to be told once the bytes before it are used up.
    input_failed: Option<std::io::Error>,
    /// Physical line of `start`, from 1.
    line: u64,
    /// What was told of the signs.
    told: (Option<u8>, Option<Quoting>),
    dialect: Option<Dialect>,
    header: Option<Header>,
    columns: Option<Columns>,
    done: bool,
    record: Record,
    /// Records that were looked at for the header and are rows.
    ahead: VecDeque<Result<(u64, Record), BadLine>>,
}

/// A line that could not be cut into fields.
struct BadLine {
    line: u64,
    read: String,
    code: &'static str,
}

impl BadLine {
    fn refusal(&self) -> Refusal {
        Refusal::new(self.code)
    }
}

impl<R: Read> CsvReader<R> {
    pub(super) fn new(input: R, told: &Told, delimiter: Option<u8>) -> Self {
        Self {
            input: Text::new(input, told.encoding),
            chunk: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            input_ended: false,
            input_failed: None,
            line: 1,
            told: (told.delimiter.or(delimiter), told.quoting),
            dialect: None,
            header: None,
            columns: None,
            done: false,
            record: Record::default(),
            ahead: VecDeque::new(),
        }
    }

    fn read_header(&mut self, mapper: &Mapper<'_>) -> Result<Columns, Problem> {
        while self.buffer.len() < CHUNK && self.fill() {}
        if let Some(refusal) = refuse_by_magic(self.input.head()) {
            return Err(Problem::of_file(1, "", refusal));
        }
        let head = &self.buffer[..self.buffer.len().min(CHUNK)];
        let whole = self.input_ended && self.buffer.len() <= CHUNK;
        self.dialect = Some(find_dialect(head, whole, self.told.0, self.told.1));
        while self.ahead.len() < LOOK_AHEAD {
            match self.next_record() {
                Some(Ok(line)) => self.ahead.push_back(Ok((line, self.record.clone()))),
                Some(Err(bad)) => self.ahead.push_back(Err(bad)),
                None => break,
            }
        }
        let Some(first) = self.ahead.front() else {
            let refusal = match self.input_failed.take() {
                Some(failed) => super::unreadable(&failed),
                None => Refusal::new("file.empty"),
            };
            return Err(Problem::of_file(1, "", refusal));
        };
        let texts: Vec<(u64, Vec<String>)> = self
            .ahead
            .iter()
            .filter_map(|row| row.as_ref().ok())
            .filter_map(|(line, record)| Some((*line, texts(record)?)))
            .collect();
        let unread = match first {
            Err(bad) => Some(Problem::of_file(bad.line, &bad.read, bad.refusal())),
            Ok((line, record)) if texts.first().is_none_or(|(first, _)| first != line) => {
                Some(self.not_text(*line, record, None, Scope::File))
            }
            Ok(_) => None,
        };
        let found = find_header(&texts, mapper, false);
        let Some((header, columns)) = found else {
            return Err(unread.unwrap_or_else(|| Problem::of_file(1, "", Refusal::new("file.empty"))));
        };
        if let Err(flaw) = columns {
            // Of a first line that is no text, that is what there is to say.
            return Err(unread.unwrap_or_else(|| flaw.into_problem(header.line, Scope::File)));
        }
        while self.ahead.front().is_some_and(|row| match row {
            Ok((line, _)) => *line <= header.last_line,
            Err(bad) => bad.line <= header.last_line,
        }) {
            self.ahead.pop_front();
        }
        let line = header.line;
        self.header = Some(header);
        columns.map_err(|flaw| flaw.into_problem(line, Scope::File))
    }

    /// Cuts the next record that is not an empty line; answers its physical line.
    fn next_record(&mut self) -> Option<Result<u64, BadLine>> {
        let dialect = self.dialect.unwrap_or(Dialect { delimiter: b',', quoting: Quoting::Double });
        loop {
            let rest = &self.buffer[self.start..];
            if rest.is_empty() && !self.fill() {
                return None;
            }
            let rest = &self.buffer[self.start..];
            let line = self.line;
            match cut(rest, self.input_ended, dialect, &mut self.record) {
                Cut::NeedMore => {
                    self.fill();
                }
                Cut::Record(len) => {
                    self.line += count_lines(&rest[..len]);
                    self.start += len;
                    if !self.record.is_empty_line() {
                        return Some(Ok(line));
                    }
                }
                Cut::BadQuote => {
                    let read = shown_bytes(&rest[..first_line(rest)]);
                    self.skip_line();
                    return Some(Err(BadLine { line, read, code: "csv.quote" }));
                }
                Cut::TooLong => {
                    let read = shown_bytes(rest);
                    self.skip_line();
                    return Some(Err(BadLine { line, read, code: "row.too_long" }));
                }
            }
        }
    }

    /// Goes to the next physical line, whatever quotes say.
    fn skip_line(&mut self) {
        loop {
            let rest = &self.buffer[self.start..];
            match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                // Whether a LF follows is not yet known.
                Some(at) if rest[at] == b'\r' && at + 1 == rest.len() && self.fill() => {}
                Some(_) => {
                    self.start += first_line(&self.buffer[self.start..]);
                    self.line += 1;
                    return;
                }
                None => {
                    self.start = self.buffer.len();
                    if !self.fill() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads on; `false` when nothing more comes.
    fn fill(&mut self) -> bool {
        if self.input_ended {
            return false;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        match read_more(&mut self.input, &mut self.chunk, &mut self.buffer) {
            Ok(0) => self.input_ended = true,
            Ok(_) => return true,
            Err(error) => {
                self.input_ended = true;
                self.input_failed = Some(error);
            }
        }
        false
    }

    fn read_record(&self, record: &Record, line: u64, mapper: &Mapper<'_>) -> Option<Item> {
        let columns = self.columns.as_ref()?;
        let Ok(text) = std::str::from_utf8(&record.bytes) else {
            return Some(Err(self.not_text(line, record, Some(columns), Scope::Row)));
        };
        let surplus_is_blank =
            || (columns.len()..record.ends.len()).all(|at| record.field(at).trim_ascii().is_empty());
        if record.ends.len() < columns.len() || !surplus_is_blank() {
            let refusal =
                Refusal::new("row.ragged").with("count", record.ends.len()).with("fits", columns.len());
            let cells: Vec<_> =
                (0..record.ends.len()).map(|at| String::from_utf8_lossy(record.field(at))).collect();
            return Some(Err(Problem::of_row(line, &cells.join(", "), refusal)));
        }
        let mut from = 0;
        let cells = columns.iter().zip(&record.ends).map(|((name, meaning), end)| {
            let text = text.get(from..*end).unwrap_or_default();
            from = *end;
            Cell { name, meaning, text, inexact: false }
        });
        Some(mapper.candidate(line, cells, None).map_err(|flaw| flaw.into_problem(line, Scope::Row)))
    }

    /// Bytes that are no text in the encoding that the file has elsewhere.
    fn not_text(&self, line: u64, record: &Record, columns: Option<&Columns>, scope: Scope) -> Problem {
        let valid = std::str::from_utf8(&record.bytes).map_or_else(|error| error.valid_up_to(), str::len);
        let at = record.ends.iter().position(|end| valid < *end).unwrap_or(0);
        let encoding = self.input.found().map_or(Encoding::Utf8, |found| found.encoding);
        let refusal = Refusal::new("text.misfit").with("column", at + 1).with("encoding", encoding);
        let mut problem = Problem::new(line, scope, &shown_bytes(record.field(at)), refusal);
        problem.column = columns.and_then(|columns| columns.name(at)).map(str::to_owned);
        problem
    }
}

impl<R: Read> RowReader for CsvReader<R> {
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
        let bad = match self.ahead.pop_front() {
            Some(Ok((line, record))) => return self.read_record(&record, line, mapper),
            Some(Err(bad)) => bad,
            None => match self.next_record() {
                Some(Ok(line)) => return self.read_record(&self.record, line, mapper),
                Some(Err(bad)) => bad,
                None => {
                    self.done = true;
                    let failed = self.input_failed.take()?;
                    let refusal = super::unreadable(&failed);
                    return Some(Err(Problem::of_file(self.line, "", refusal)));
                }
            },
        };
        Some(Err(Problem::of_row(bad.line, &bad.read, bad.refusal())))
    }

    fn tell(&self, findings: &mut Findings) {
        findings.encoding = self.input.found();
        findings.delimiter = self.dialect.map(|dialect| char::from(dialect.delimiter));
        findings.quoting = self.dialect.map(|dialect| dialect.quoting);
        if let Some(header) = &self.header {
            header.tell(findings);
        }
    }
}

/// The fields as texts; `None` when one is none.
fn texts(record: &Record) -> Option<Vec<String>> {
    (0..record.ends.len())
        .map(|at| std::str::from_utf8(record.field(at)).ok().map(|text| text.trim().to_owned()))
        .collect()
}

/// Appends what the input has to offer, by way of `chunk`; answers how many bytes that were.
pub(super) fn read_more(
    input: &mut impl Read,
    chunk: &mut Vec<u8>,
    buffer: &mut Vec<u8>,
) -> std::io::Result<usize> {
    // Cleared once and not for every read: some inputs give a byte at a time.
    chunk.resize(CHUNK, 0);
    loop {
        match input.read(chunk) {
            Ok(count) => {
                buffer.extend_from_slice(&chunk[..count]);
                return Ok(count);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::csv_cut::MAX_RECORD;
    use super::*;
    use proptest::prelude::*;

    /// Reads one byte at a time, the worst a network can do.
    struct Drip<'d>(&'d [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn records(input: impl Read) -> Vec<(u64, Result<Vec<String>, &'static str>)> {
        let mut reader = CsvReader::new(input, &Told::default(), Some(b','));
        let mut out = Vec::new();
        while let Some(record) = reader.next_record() {
            out.push(match record {
                Ok(line) => {
                    let fields = (0..reader.record.ends.len())
                        .map(|at| String::from_utf8_lossy(reader.record.field(at)).into_owned())
                        .collect();
                    (line, Ok(fields))
                }
                Err(bad) => (bad.line, Err(bad.code)),
            });
        }
        out
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_one_line() {
        let text = b"a,b\n1,\"two\n3,4\n5,\"six \"x\"\n\n\"7\n7\",8\n";
        let row = |fields: &[&str]| Ok(fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>());
        let expected = vec![
            (1, row(&["a", "b"])),
            (2, Err("csv.quote")),
            (3, row(&["3", "4"])),
            (4, Err("csv.quote")),
            (6, row(&["7\n7", "8"])),
        ];
        assert_eq!(records(&text[..]), expected);
        assert_eq!(records(Drip(text)), expected);
    }

    #[test]
    fn a_line_without_end_is_skipped_and_reading_goes_on() {
        let mut text = vec![b'x'; 3 * MAX_RECORD];
        text.extend_from_slice(b"\na,b");
        let found = records(&text[..]);
        assert_eq!(found[0], (1, Err("row.too_long")));
        assert_eq!(found[1], (2, Ok(vec!["a".into(), "b".into()])));
        assert_eq!(found.len(), 2);
    }

    proptest! {
        #[test]
        fn well_formed_records_read_as_the_csv_crate_reads_them(
            rows in prop::collection::vec(prop::collection::vec("[a-z,\"\r\n 井]{0,6}", 2..5), 0..8),
            crlf in any::<bool>(),
        ) {
            let mut writer = csv::WriterBuilder::new()
                .flexible(true)
                .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
                .from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let found: Vec<_> = records(&text[..]).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(&found, &rows);
            let dripped: Vec<_> = records(Drip(&text)).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(&dripped, &rows);
        }
    }
}
