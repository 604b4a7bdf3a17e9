//! One record off the front of a text. Records are cut here rather than by the `csv` crate, because
//! after a quote that is never closed that crate gives the rest of the file as one field, in
//! silence. Here such a line is one problem, and reading goes on with the next physical line.

use super::csv_dialect::{Dialect, Quoting};

/// A record longer than this is a problem, so that garbage cannot fill the memory.
pub(super) const MAX_RECORD: usize = 1 << 20;

/// The fields of one record, unquoted, one after the other.
#[derive(Default, Clone)]
pub(super) struct Record {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
    /// Fields that stood in quotes.
    pub(super) quoted: usize,
}

impl Record {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.quoted = 0;
    }

    /// A line with nothing on it: not a row.
    pub(super) fn is_empty_line(&self) -> bool {
        self.ends.len() == 1 && self.bytes.is_empty()
    }

    pub(super) fn field(&self, at: usize) -> &[u8] {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[from..self.ends[at]]
    }
}

/// What cutting a record came to.
pub(super) enum Cut {
    /// A record of this many bytes, its end of line included.
    Record(usize),
    NeedMore,
    /// A quote that is not closed, or closed in the middle of a field.
    BadQuote,
    TooLong,
}

/// Cuts one record off the front of `data`. A line ends with LF, CR LF or CR.
pub(super) fn cut(data: &[u8], ended: bool, dialect: Dialect, record: &mut Record) -> Cut {
    record.clear();
    let Dialect { delimiter, quoting } = dialect;
    let escapes = quoting == Quoting::Backslash;
    let mut at = 0;
    loop {
        if let Some(sign) = quoting.sign().filter(|sign| data.get(at) == Some(sign)) {
            at += 1;
            record.quoted += 1;
            loop {
                let stop = data[at..].iter().position(|byte| *byte == sign || escapes && *byte == b'\\');
                let Some(stop) = stop else {
                    return if ended || data.len() > MAX_RECORD { Cut::BadQuote } else { Cut::NeedMore };
                };
                record.bytes.extend_from_slice(&data[at..at + stop]);
                at += stop + 1;
                if data[at - 1] != sign {
                    match data.get(at) {
                        Some(byte) if *byte == sign || *byte == b'\\' => {
                            record.bytes.push(*byte);
                            at += 1;
                        }
                        Some(_) => record.bytes.push(b'\\'),
                        None if ended => return Cut::BadQuote,
                        None => return Cut::NeedMore,
                    }
                    continue;
                }
                match data.get(at) {
                    Some(byte) if *byte == sign => {
                        record.bytes.push(sign);
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
pub(super) fn first_line(data: &[u8]) -> usize {
    match data.iter().position(|byte| *byte == b'\n' || *byte == b'\r') {
        Some(at) if data[at] == b'\r' && data.get(at + 1) == Some(&b'\n') => at + 2,
        Some(at) => at + 1,
        None => data.len(),
    }
}

pub(super) fn count_lines(data: &[u8]) -> u64 {
    let mut lines = 0;
    for (at, byte) in data.iter().enumerate() {
        lines += u64::from(*byte == b'\n' || (*byte == b'\r' && data.get(at + 1) != Some(&b'\n')));
    }
    lines
}
