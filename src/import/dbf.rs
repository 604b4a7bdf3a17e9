//! dBASE tables as raw bytes: every value is decoded here, so that none is replaced in silence.

use std::cell::Cell;
use std::io::Read;

use super::encoding::{Encoding, EncodingFound, FoundBy, check_declared, detect};
use crate::domain::Refusal;

/// Fields and bytes of a record that a table can have.
const MAX_FIELDS: usize = 2048;
/// How much text is weighed for the encoding, and how much of the table is searched for it.
const SAMPLE: usize = 64 * 1024;
const SEARCHED: usize = 64 << 20;

pub(super) struct Table<R> {
    input: R,
    pub(super) fields: Vec<FieldSpec>,
    /// Records that the header promises.
    pub(super) promised: u64,
    language_driver: u8,
    record: Vec<u8>,
    /// Texts that fill their field and end in half a character.
    cut: Cell<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct FieldSpec {
    pub(super) name: Vec<u8>,
    kind: u8,
    at: usize,
    len: usize,
}

/// What reading a record came to.
pub(super) enum Next {
    Record,
    Deleted,
    End,
    /// The file ends in the middle of a record, or before those that its header promises.
    CutOff,
}

impl<R: Read> Table<R> {
    pub(super) fn open(mut input: R) -> Result<Self, Refusal> {
        let damaged = || Refusal::new("shape.table_damaged");
        let mut head = [0; 32];
        read_whole(&mut input, &mut head)?.then_some(()).ok_or_else(damaged)?;
        let promised = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let header_len = usize::from(u16::from_le_bytes([head[8], head[9]]));
        let record_len = usize::from(u16::from_le_bytes([head[10], head[11]]));
        let mut rest = vec![0; header_len.checked_sub(32).ok_or_else(damaged)?];
        read_whole(&mut input, &mut rest)?.then_some(()).ok_or_else(damaged)?;
        let mut fields = Vec::new();
        let mut at = 1;
        for spec in rest.chunks_exact(32).take_while(|spec| spec[0] != 0x0D).take(MAX_FIELDS) {
            let name = spec[..11].split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
            let (kind, mut len) = (spec[11], usize::from(spec[16]));
            if kind == b'C' {
                len += usize::from(spec[17]) << 8; // longer texts use the byte of the decimals
            }
            fields.push(FieldSpec { name, kind, at, len });
            at += len;
        }
        if fields.is_empty() || at > record_len {
            return Err(damaged());
        }
        Ok(Self {
            input,
            fields,
            promised,
            language_driver: head[29],
            record: vec![0; record_len],
            cut: Cell::new(0),
        })
    }

    /// Reads the next record over the one at hand.
    pub(super) fn next(&mut self) -> Result<Next, Refusal> {
        let mut filled = 0;
        while filled < self.record.len() {
            match self.input.read(&mut self.record[filled..]) {
                Ok(0) if filled == 0 => return Ok(Next::End),
                // The mark at the end of the file.
                Ok(0) if filled == 1 && self.record[0] == 0x1A => return Ok(Next::End),
                Ok(0) => return Ok(Next::CutOff),
                Ok(count) => {
                    filled += count;
                    if self.record[0] == 0x1A {
                        return Ok(Next::End);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(super::unreadable(&error)),
            }
        }
        Ok(if self.record[0] == b'*' { Next::Deleted } else { Next::Record })
    }

    fn raw(&self, field: &FieldSpec) -> &[u8] {
        &self.record[field.at..field.at + field.len]
    }

    /// The text of a field of the record at hand; `Err` = its bytes, which are none.
    pub(super) fn text(&self, field: &FieldSpec, encoding: Encoding) -> Result<String, &[u8]> {
        let raw = self.raw(field);
        let number = |at: usize| {
            raw.get(at..at + 4).map(|bytes| i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let eight = || raw.try_into().ok().map(f64::from_le_bytes);
        Ok(match field.kind {
            b'I' | b'+' => number(0).map(|number| number.to_string()).unwrap_or_default(),
            b'O' | b'B' if field.len == 8 => eight().map(|number| number.to_string()).unwrap_or_default(),
            b'T' | b'@' if field.len == 8 => match (number(0), number(4)) {
                (Some(day), Some(ms)) if day > 0 => moment(day, ms).unwrap_or_default(),
                _ => String::new(),
            },
            b'D' => {
                let text = String::from_utf8_lossy(raw).trim().to_owned();
                match text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
                    true if text == "00000000" => String::new(),
                    true => format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]),
                    false => self.plain(raw, encoding)?,
                }
            }
            b'N' | b'F' if raw.iter().all(|byte| matches!(byte, b'*' | b' ' | 0)) => String::new(),
            b'L' => match raw.first() {
                Some(b'T' | b't' | b'Y' | b'y') => "true".into(),
                Some(b'F' | b'f' | b'N' | b'n') => "false".into(),
                _ => String::new(),
            },
            _ => self.plain(raw, encoding)?,
        })
    }

    fn plain<'r>(&self, raw: &'r [u8], encoding: Encoding) -> Result<String, &'r [u8]> {
        // What is behind a zero is whatever the program had in memory.
        let text = raw.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
        if let Some(text) = encoding.decode(text) {
            return Ok(text);
        }
        // A text that did not fit was cut by its bytes, in the middle of a character.
        let is_full = raw.last().is_some_and(|byte| !matches!(byte, 0 | b' '));
        let whole = (1..=3.min(text.len())).find_map(|lost| encoding.decode(&text[..text.len() - lost]));
        match whole.filter(|_| is_full) {
            Some(whole) => {
                self.cut.set(self.cut.get() + 1);
                Ok(whole)
            }
            None => Err(text),
        }
    }

    /// How many texts were cut by the program that wrote the table, as far as it shows.
    pub(super) fn cut_texts(&self) -> u64 {
        self.cut.get()
    }

    /// Name of a field as text. One that was cut in the middle of a character loses that.
    pub(super) fn name(&self, field: &FieldSpec, encoding: Encoding) -> String {
        (0..=3.min(field.name.len()))
            .find_map(|cut| encoding.decode(&field.name[..field.name.len() - cut]))
            .unwrap_or_else(|| String::from_utf8_lossy(&field.name).into_owned())
    }

    /// Finds the encoding of the texts; `self` is used up by the search.
    pub(super) fn find_encoding(mut self, cpg: Option<&str>) -> EncodingFound {
        let mut sample: Vec<u8> = Vec::new();
        for field in &self.fields {
            sample.extend_from_slice(&field.name);
            sample.push(b'\n');
        }
        let mut searched = 0;
        while sample.len() < SAMPLE && searched < SEARCHED {
            match self.next() {
                Ok(Next::Record) => {
                    for field in self.fields.iter().filter(|field| field.kind == b'C') {
                        let raw = self.raw(field).trim_ascii();
                        if !raw.is_ascii() {
                            sample.extend_from_slice(raw);
                            sample.push(b'\n');
                        }
                    }
                }
                Ok(Next::Deleted) => {}
                Ok(Next::End | Next::CutOff) | Err(_) => break,
            }
            searched += self.record.len();
        }
        let declared = cpg
            .and_then(Encoding::known_label)
            .or_else(|| Encoding::of_language_driver(self.language_driver));
        match declared {
            Some(declared) => check_declared(declared, &sample, true),
            None => detect(&sample, true),
        }
    }
}

/// Fills a buffer; `false` = the input ends before.
pub(super) fn read_whole(input: &mut impl Read, into: &mut [u8]) -> Result<bool, Refusal> {
    match input.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(super::unreadable(&error)),
    }
}

fn moment(julian_day: i32, ms: i32) -> Option<String> {
    let date = time::Date::from_julian_day(julian_day).ok()?;
    let seconds = ms.checked_div(1000)?;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(format!(
        "{:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    ))
}

/// What the user said stands.
pub(super) fn told(encoding: Encoding) -> EncodingFound {
    EncodingFound::certain(encoding, FoundBy::Told)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of one field of texts, each as wide as the field.
    fn table(width: u8, texts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; 32];
        bytes[4..8].copy_from_slice(&(texts.len() as u32).to_le_bytes());
        bytes[8..10].copy_from_slice(&65u16.to_le_bytes());
        bytes[10..12].copy_from_slice(&(u16::from(width) + 1).to_le_bytes());
        let mut field = [0; 32];
        field[..4].copy_from_slice(b"road");
        field[11] = b'C';
        field[16] = width;
        bytes.extend(field);
        bytes.push(0x0D);
        for text in texts {
            bytes.push(b' ');
            bytes.extend_from_slice(text);
            bytes.extend(std::iter::repeat_n(b' ', usize::from(width) - text.len()));
        }
        bytes
    }

    #[test]
    fn a_text_cut_in_the_middle_of_a_character_is_kept_as_far_as_it_goes() {
        let (gbk, ..) = encoding_rs::GB18030.encode("黄河路南");
        let utf8 = "黄河路南".as_bytes();
        for (encoding, width, texts, expected) in [
            (Encoding::Gb18030, 7, [&gbk[..7], &gbk[..3], b"7\xFF"], [Ok("黄河路"), Err(()), Err(())]),
            (Encoding::Utf8, 10, [&utf8[..10], &utf8[..8], &utf8[..6]], [Ok("黄河路"), Err(()), Ok("黄河")]),
            (
                Encoding::Utf8,
                8,
                [&utf8[..8], b"", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"],
                [Ok("黄河"), Ok(""), Err(())],
            ),
        ] {
            let bytes = table(width, &texts);
            let mut table = Table::open(&bytes[..]).unwrap();
            let field = table.fields[0].clone();
            for expected in expected {
                assert!(matches!(table.next().unwrap(), Next::Record));
                let read = table.text(&field, encoding);
                assert_eq!(read.as_deref().map_err(|_| ()), expected, "{encoding} {width}");
            }
            assert_eq!(table.cut_texts(), 1);
        }
    }
}
