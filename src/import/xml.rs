//! XML as a stream of events, each bounded, so that no text fills the memory. Entities beyond the
//! five and numbers are left as written; none is ever expanded.

use std::io::{BufRead, BufReader, Read};

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::archive::TooLarge;
use crate::domain::Refusal;

/// A tag or a text longer than this ends the reading.
pub(super) const MAX_EVENT: usize = 4 << 20;

pub(super) struct Xml<R: Read> {
    reader: Reader<Meter<BufReader<R>>>,
    buffer: Vec<u8>,
}

/// Gives at most so many bytes before it is set again.
struct Meter<R> {
    input: R,
    left: usize,
    too_long: bool,
}

impl<R: BufRead> Read for Meter<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Meter<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            self.too_long = true;
            return Err(std::io::Error::other("a text without end"));
        }
        let available = self.input.fill_buf()?;
        let count = available.len().min(self.left);
        Ok(&available[..count])
    }

    fn consume(&mut self, count: usize) {
        self.left -= count;
        self.input.consume(count);
    }
}

impl<R: Read> Xml<R> {
    pub(super) fn new(input: R) -> Self {
        let input = BufReader::with_capacity(1 << 16, input);
        let mut reader = Reader::from_reader(Meter { input, left: MAX_EVENT, too_long: false });
        // `<a/>` comes as a start and an end.
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new() }
    }

    pub(super) fn input_ref(&self) -> &R {
        self.reader.get_ref().input.get_ref()
    }

    pub(super) fn next(&mut self) -> Result<Event<'_>, Refusal> {
        self.buffer.clear();
        self.reader.get_mut().left = MAX_EVENT;
        match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => Ok(event),
            Err(quick_xml::Error::Io(error)) => {
                let too_large = error.get_ref().is_some_and(|inner| inner.is::<TooLarge>());
                Err(if self.reader.get_ref().too_long {
                    Refusal::new("xml.too_long")
                } else if too_large {
                    Refusal::new("archive.too_large")
                } else {
                    Refusal::new("file.unreadable").with("reason", error)
                })
            }
            Err(error) => Err(Refusal::new("xml.unreadable").with("reason", error)),
        }
    }
}

/// The value of an attribute by its local name.
pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    start
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)
        .map(|attribute| match quick_xml::escape::unescape(&attribute.value) {
            Ok(text) => text.into_owned(),
            Err(_) => attribute.value.clone().into_owned(),
        })
}

/// Appends the character of a reference such as `&lt;` or `&#x4E95;`; an unknown one as written.
pub(super) fn push_reference(text: &mut String, reference: &BytesRef<'_>) {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => text.push(character),
        _ => {
            let name = reference.xml10_content();
            match &*name {
                "lt" => text.push('<'),
                "gt" => text.push('>'),
                "amp" => text.push('&'),
                "quot" => text.push('"'),
                "apos" => text.push('\''),
                _ => {
                    text.push('&');
                    text.push_str(&name);
                    text.push(';');
                }
            }
        }
    }
}
