//! CSV → cells. Records are cut here rather than by the `csv` crate, because after a quote that is
//! never closed that crate gives the rest of the file as one field, in silence. Here such a line is
//! one problem, and reading goes on with the next physical line.

use std::io::Read;

use super::mapping::{Cell, Columns, Mapper};
use super::{BOM, Problem, Scope, refuse_by_magic, shown_bytes};
use crate::domain::Refusal;
use crate::domain::cover::Candidate;

/// A record longer than this is a problem, so that garbage cannot fill the memory.
const MAX_RECORD: usize = 1 << 20;
const CHUNK: usize = 64 * 1024;

pub(super) struct CsvReader<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next record starts in `buffer`.
    start: usize,
    input_ended: bool,
    /// What went wrong with the input itself, to be told once the bytes before it are used up.
    input_failed: Option<std::io::Error>,
    /// Physical line of `start`, from 1.
    line: u64,
    delimiter: Option<u8>,
    columns: Option<Columns>,
    done: bool,
    record: Record,
}

/// The fields of one record, unquoted, one after the other.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Record {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// A line with nothing on it: not a row.
    fn is_empty_line(&self) -> bool {
        self.ends.len() == 1 && self.bytes.is_empty()
    }

    fn field(&self, at: usize) -> &[u8] {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[from..self.ends[at]]
    }
}

/// What cutting a record came to.
enum Cut {
    /// A record of this many bytes, its end of line included.
    Record(usize),
    NeedMore,
    /// A quote that is not closed, or closed in the middle of a field.
    BadQuote,
    TooLong,
}

/// A line that could not be cut into fields.
struct BadLine {
    line: u64,
    read: String,
    code: &'static str,
}

impl<R: Read> CsvReader<R> {
    pub(super) fn new(input: R, delimiter: Option<u8>) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            input_ended: false,
            input_failed: None,
            line: 1,
            delimiter,
            columns: None,
            done: false,
            record: Record::default(),
        }
    }

    pub(super) fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Result<Candidate, Problem>> {
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
        match self.next_record() {
            Some(Ok(line)) => {
                let columns = self.columns.as_ref()?;
                Some(read_record(&self.record, line, columns, mapper))
            }
            Some(Err(bad)) => Some(Err(Problem::of_row(bad.line, &bad.read, Refusal::new(bad.code)))),
            None => {
                self.done = true;
                let failed = self.input_failed.take()?;
                Some(Err(Problem::of_file(
                    self.line,
                    "",
                    Refusal::new("file.unreadable").with("reason", failed),
                )))
            }
        }
    }

    fn read_header(&mut self, mapper: &Mapper<'_>) -> Result<Columns, Problem> {
        while self.buffer.len() < CHUNK && self.fill() {}
        if let Some(refusal) = refuse_by_magic(&self.buffer) {
            return Err(Problem::of_file(1, "", refusal));
        }
        if self.buffer.starts_with(BOM) {
            self.start = BOM.len();
        }
        if self.delimiter.is_none() {
            self.delimiter = Some(guess_delimiter(&self.buffer[self.start..]));
        }
        let line = match self.next_record() {
            Some(Ok(line)) => line,
            Some(Err(bad)) => return Err(Problem::of_file(bad.line, &bad.read, Refusal::new(bad.code))),
            None => {
                let refusal = match self.input_failed.take() {
                    Some(failed) => Refusal::new("file.unreadable").with("reason", failed),
                    None => Refusal::new("file.empty"),
                };
                return Err(Problem::of_file(1, "", refusal));
            }
        };
        let mut names = Vec::with_capacity(self.record.ends.len());
        for at in 0..self.record.ends.len() {
            let name = self.record.field(at);
            match std::str::from_utf8(name) {
                Ok(name) => names.push(name.trim().to_owned()),
                Err(_) => {
                    let refusal = Refusal::new("text.not_utf8").with("column", at + 1);
                    return Err(Problem::of_file(line, &shown_bytes(name), refusal));
                }
            }
        }
        mapper.columns_of_header(names).map_err(|flaw| flaw.into_problem(line, Scope::File))
    }

    /// Cuts the next record that is not an empty line; answers its physical line.
    fn next_record(&mut self) -> Option<Result<u64, BadLine>> {
        let delimiter = self.delimiter.unwrap_or(b',');
        loop {
            let rest = &self.buffer[self.start..];
            if rest.is_empty() && !self.fill() {
                return None;
            }
            let rest = &self.buffer[self.start..];
            let line = self.line;
            match cut(rest, self.input_ended, delimiter, &mut self.record) {
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
        match read_more(&mut self.input, &mut self.buffer) {
            Ok(0) => self.input_ended = true,
            Ok(_) => return true,
            Err(error) => {
                self.input_ended = true;
                self.input_failed = Some(error);
            }
        }
        false
    }
}

/// Appends what the input has to offer; doubles the step with the buffer so that a long record is
/// not cut again and again.
pub(super) fn read_more(input: &mut impl Read, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    let old = buffer.len();
    buffer.resize(old + CHUNK.max(old), 0);
    loop {
        match input.read(&mut buffer[old..]) {
            Ok(count) => {
                buffer.truncate(old + count);
                return Ok(count);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                buffer.truncate(old);
                return Err(error);
            }
        }
    }
}

fn read_record(
    record: &Record,
    line: u64,
    columns: &Columns,
    mapper: &Mapper<'_>,
) -> Result<Candidate, Problem> {
    let text = match std::str::from_utf8(&record.bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = record.ends.iter().position(|end| error.valid_up_to() < *end).unwrap_or(0);
            let mut problem = Problem::of_row(
                line,
                &shown_bytes(record.field(at)),
                Refusal::new("text.not_utf8").with("column", at + 1),
            );
            problem.column = columns.name(at).map(str::to_owned);
            return Err(problem);
        }
    };
    let surplus_is_blank =
        || (columns.len()..record.ends.len()).all(|at| record.field(at).trim_ascii().is_empty());
    if record.ends.len() < columns.len() || !surplus_is_blank() {
        let refusal = Refusal::new("row.ragged").with("count", record.ends.len()).with("fits", columns.len());
        let cells: Vec<_> =
            (0..record.ends.len()).map(|at| String::from_utf8_lossy(record.field(at))).collect();
        return Err(Problem::of_row(line, &cells.join(", "), refusal));
    }
    let mut from = 0;
    let cells = columns.iter().zip(&record.ends).map(|((name, meaning), end)| {
        let text = text.get(from..*end).unwrap_or_default();
        from = *end;
        Cell { name, meaning, text }
    });
    mapper.candidate(line, cells, None).map_err(|flaw| flaw.into_problem(line, Scope::Row))
}

/// Cuts one record off the front of `data`. A line ends with LF, CR LF or CR.
fn cut(data: &[u8], ended: bool, delimiter: u8, record: &mut Record) -> Cut {
    record.clear();
    let mut at = 0;
    loop {
        if data.get(at) == Some(&b'"') {
            at += 1;
            loop {
                let Some(quote) = data[at..].iter().position(|byte| *byte == b'"') else {
                    return if ended || data.len() > MAX_RECORD { Cut::BadQuote } else { Cut::NeedMore };
                };
                record.bytes.extend_from_slice(&data[at..at + quote]);
                at += quote + 1;
                match data.get(at) {
                    Some(b'"') => {
                        record.bytes.push(b'"');
                        at += 1;
                    }
                    None if !ended => return Cut::NeedMore,
                    Some(byte) if *byte != delimiter && *byte != b'\n' && *byte != b'\r' => {
                        return Cut::BadQuote;
                    }
                    _ => break,
                }
            }
        } else {
            let rest = &data[at..];
            let len = rest
                .iter()
                .position(|byte| *byte == delimiter || *byte == b'\n' || *byte == b'\r')
                .unwrap_or(rest.len());
            record.bytes.extend_from_slice(&rest[..len]);
            at += len;
        }
        record.ends.push(record.bytes.len());
        if at > MAX_RECORD {
            return Cut::TooLong;
        }
        match data.get(at) {
            Some(b'\n') => return Cut::Record(at + 1),
            Some(b'\r') => match data.get(at + 1) {
                Some(b'\n') => return Cut::Record(at + 2),
                None if !ended => return Cut::NeedMore,
                _ => return Cut::Record(at + 1),
            },
            Some(_) => at += 1,
            None if ended => return Cut::Record(at),
            None => return Cut::NeedMore,
        }
    }
}

/// Bytes of the first physical line, its end included.
fn first_line(data: &[u8]) -> usize {
    match data.iter().position(|byte| *byte == b'\n' || *byte == b'\r') {
        Some(at) if data[at] == b'\r' && data.get(at + 1) == Some(&b'\n') => at + 2,
        Some(at) => at + 1,
        None => data.len(),
    }
}

fn count_lines(data: &[u8]) -> u64 {
    let mut lines = 0;
    for (at, byte) in data.iter().enumerate() {
        lines += u64::from(*byte == b'\n' || (*byte == b'\r' && data.get(at + 1) != Some(&b'\n')));
    }
    lines
}

/// What the header uses most, outside quotes, of comma, semicolon and tab.
fn guess_delimiter(head: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if !quoted => {
                for (delimiter, count) in &mut counts {
                    *count += usize::from(byte == delimiter);
                }
            }
            _ => {}
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| delimiter)
}

#[cfg(test)]
mod tests {
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
        let mut reader = CsvReader::new(input, Some(b','));
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
