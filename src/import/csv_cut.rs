//! One record off the front of a text. Records are cut here rather than by the `csv` crate, because
//! after a quote that is never closed that crate gives the rest of the file as one field, in
//! silence. Here such a line is one problem, and reading goes on with the next physical line.

/// A record longer than this is a problem, so that garbage cannot fill the memory.
pub(super) const MAX_RECORD: usize = 1 << 20;

/// The fields of one record, unquoted, one after the other.
#[derive(Default, Clone)]
pub(super) struct Record {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

impl Record {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
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
pub(super) fn cut(data: &[u8], ended: bool, delimiter: u8, record: &mut Record) -> Cut {
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

/// The delimiters that are looked for, the less usual ones last.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records that a delimiter is tried on.
const TRIED: usize = 50;

/// The delimiter with which most records have the same number of fields, and of those the one that
/// makes more of them. `whole` = the head ends where the file ends.
pub(super) fn guess_delimiter(head: &[u8], whole: bool) -> u8 {
    let mut best = (b',', (0, 0));
    for delimiter in DELIMITERS {
        let evenness = evenness(head, whole, delimiter);
        if evenness > best.1 {
            best = (delimiter, evenness);
        }
    }
    best.0
}

/// How many records have the most usual number of fields above 1, and that number.
fn evenness(head: &[u8], whole: bool, delimiter: u8) -> (usize, usize) {
    let mut record = Record::default();
    let mut counts: std::collections::BTreeMap<usize, usize> = std::collections::BTreeMap::new();
    let mut at = 0;
    let mut tried = 0;
    while at < head.len() && tried < TRIED {
        let rest = &head[at..];
        match cut(rest, whole, delimiter, &mut record) {
            Cut::Record(len) => {
                if record.ends.len() > 1 {
                    *counts.entry(record.ends.len()).or_default() += 1;
                }
                at += len;
            }
            // The head may be cut in the middle of its only line.
            Cut::NeedMore if tried == 0 => {
                let fields = rest.iter().filter(|byte| **byte == delimiter).count();
                return (usize::from(fields > 0), fields);
            }
            Cut::NeedMore => break,
            Cut::BadQuote | Cut::TooLong => at += first_line(rest),
        }
        tried += 1;
    }
    counts.into_iter().map(|(fields, records)| (records, fields)).max().unwrap_or_default()
}
