//! Bytes in any encoding → UTF-8. What is ASCII or UTF-8 already passes through untouched; a byte
//! that does not fit its encoding comes out as [`MISFIT`], which no UTF-8 holds, so that whoever
//! reads the row finds it there. Nothing is replaced in silence.

use std::io::Read;

use encoding_rs::{Decoder, DecoderResult};

use super::encoding::{Encoding, EncodingFound, FoundBy, detect, windows_1252};

/// Stands for bytes that are no text in the file's encoding.
pub(super) const MISFIT: u8 = 0xFF;
/// The same for readers that must be given UTF-8: a code point that is assigned to no character.
pub(super) const MISFIT_CHARACTER: char = '\u{FFFF}';
/// How much is weighed from the first byte beyond ASCII on.
const SAMPLE: usize = 64 * 1024;
const CHUNK: usize = 32 * 1024;

pub(super) struct Text<R> {
    input: R,
    told: Option<Encoding>,
    /// Whether even UTF-8 is checked here, because the reader behind cannot take other bytes.
    checked: bool,
    state: State,
    found: Option<EncodingFound>,
    /// What is read at once.
    chunk: Vec<u8>,
    /// Raw bytes not yet passed on.
    raw: Vec<u8>,
    raw_at: usize,
    /// Decoded bytes not yet passed on.
    out: Vec<u8>,
    out_at: usize,
    ended: bool,
    failed: Option<std::io::Error>,
    /// The first bytes of the file as they are.
    head: Vec<u8>,
}

enum State {
    Fresh,
    /// Only ASCII so far.
    Ascii,
    /// UTF-8, passed on as it is.
    Plain,
    Decoded(Box<Decoder>),
    Windows1252,
}

impl<R: Read> Text<R> {
    pub(super) fn new(input: R, told: Option<Encoding>) -> Self {
        Self {
            input,
            told,
            checked: false,
            state: State::Fresh,
            found: None,
            chunk: vec![0; CHUNK],
            raw: Vec::new(),
            raw_at: 0,
            out: Vec::new(),
            out_at: 0,
            ended: false,
            failed: None,
            head: Vec::new(),
        }
    }

    /// Everything that comes out is UTF-8; what fits nothing is [`MISFIT_CHARACTER`].
    pub(super) fn checked(input: R, told: Option<Encoding>) -> Self {
        Self { checked: true, ..Self::new(input, told) }
    }

    /// `None` before anything was read.
    pub(super) fn found(&self) -> Option<EncodingFound> {
        self.found
    }

    /// The first bytes as they stand in the file; there once something was read.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    fn begin(&mut self) {
        self.gather(8);
        self.head = self.raw.clone();
        let marks = [
            (&b"\xEF\xBB\xBF"[..], Encoding::Utf8),
            (b"\xFF\xFE", Encoding::Utf16Le),
            (b"\xFE\xFF", Encoding::Utf16Be),
        ];
        let mark = marks.into_iter().find(|(mark, _)| self.raw.starts_with(mark));
        if let Some((mark, encoding)) = mark
            && self.told.is_none_or(|told| told == encoding)
        {
            self.raw_at = mark.len();
            let by = if self.told.is_some() { FoundBy::Told } else { FoundBy::ByteOrderMark };
            self.settle(EncodingFound::certain(encoding, by));
        } else if let Some(told) = self.told {
            self.settle(EncodingFound::certain(told, FoundBy::Told));
        } else {
            self.found = Some(EncodingFound::certain(Encoding::Utf8, FoundBy::Ascii));
            self.state = State::Ascii;
        }
    }

    fn settle(&mut self, found: EncodingFound) {
        self.found = Some(found);
        self.state = match found.encoding.decoder() {
            _ if found.encoding == Encoding::Utf8 && !self.checked => State::Plain,
            Some(decoder) => State::Decoded(Box::new(decoder)),
            None => State::Windows1252,
        };
    }

    /// Reads until so many raw bytes wait, or nothing more comes.
    fn gather(&mut self, count: usize) {
        self.raw.drain(..self.raw_at);
        self.raw_at = 0;
        while self.raw.len() < count && !self.ended {
            match self.input.read(&mut self.chunk) {
                Ok(read) => {
                    self.raw.extend_from_slice(&self.chunk[..read]);
                    self.ended = read == 0;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    self.ended = true;
                }
            }
        }
    }

    /// Passes raw bytes on: those that wait, else new ones.
    fn pass(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let waiting = &self.raw[self.raw_at..];
        if !waiting.is_empty() {
            let count = waiting.len().min(into.len());
            into[..count].copy_from_slice(&waiting[..count]);
            self.raw_at += count;
            return Ok(count);
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.ended { Ok(0) } else { self.input.read(into) }
    }

    /// Passes ASCII on and, at the first other byte, finds out what it is.
    fn pass_ascii(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.pass(into)?;
        let Some(at) = into[..count].iter().position(|byte| !byte.is_ascii()) else { return Ok(count) };
        let mut raw = into[at..count].to_vec();
        raw.extend_from_slice(&self.raw[self.raw_at..]);
        self.raw = raw;
        self.raw_at = 0;
        self.gather(SAMPLE);
        let sample = &self.raw[..self.raw.len().min(SAMPLE)];
        let found = detect(sample, self.ended && self.raw.len() <= SAMPLE);
        self.settle(found);
        Ok(at)
    }

    /// Fills `out` anew; leaves it empty at the end.
    fn decode(&mut self) -> std::io::Result<()> {
        self.out.clear();
        self.out_at = 0;
        while self.out.is_empty() {
            if self.raw_at == self.raw.len() {
                self.gather(1);
            }
            if self.raw.is_empty()
                && let Some(error) = self.failed.take()
            {
                return Err(error);
            }
            let last = self.ended;
            let raw = &self.raw[self.raw_at..];
            let mut misfit = [0; 4];
            let misfit: &[u8] =
                if self.checked { MISFIT_CHARACTER.encode_utf8(&mut misfit).as_bytes() } else { &[MISFIT] };
            match &mut self.state {
                State::Decoded(decoder) => {
                    let room = decoder.max_utf8_buffer_length_without_replacement(raw.len());
                    self.out.resize(room.unwrap_or(4 * CHUNK).max(16), 0);
                    let (result, read, written) =
                        decoder.decode_to_utf8_without_replacement(raw, &mut self.out, last);
                    self.out.truncate(written);
                    self.raw_at += read;
                    if matches!(result, DecoderResult::Malformed(..)) {
                        self.out.extend_from_slice(misfit);
                    } else if last && self.raw_at == self.raw.len() {
                        // A decoder that has finished must not be asked again.
                        self.state = State::Plain;
                        return Ok(());
                    }
                }
                _ => {
                    for byte in raw {
                        match windows_1252(*byte) {
                            Some(character) => {
                                self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                            }
                            None => self.out.extend_from_slice(misfit),
                        }
                    }
                    self.raw_at = self.raw.len();
                    if last {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if matches!(self.state, State::Fresh) {
            self.begin();
        }
        if matches!(self.state, State::Ascii) {
            let count = self.pass_ascii(into)?;
            if count > 0 || matches!(self.state, State::Ascii) {
                return Ok(count);
            }
        }
        // What was decoded goes out first: a decoder that has finished leaves the state plain.
        if self.out_at == self.out.len() {
            if matches!(self.state, State::Plain) {
                return self.pass(into);
            }
            self.decode()?;
        }
        let waiting = &self.out[self.out_at..];
        let count = waiting.len().min(into.len());
        into[..count].copy_from_slice(&waiting[..count]);
        self.out_at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Sips<'d>(&'d [u8], usize);

    impl Read for Sips<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn decoded(bytes: &[u8], told: Option<Encoding>, sip: usize) -> (Vec<u8>, Option<EncodingFound>) {
        let mut text = Text::new(Sips(bytes, sip), told);
        let mut out = Vec::new();
        text.read_to_end(&mut out).unwrap();
        assert_eq!(text.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
        (out, text.found())
    }

    #[test]
    fn every_encoding_comes_out_as_the_same_text_however_the_bytes_arrive() {
        let text = format!("{}编号,道路\n1,黄河路污水井盖检查\n", "a,b\n".repeat(20_000));
        let utf16 = |to: fn(u16) -> [u8; 2]| {
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(to).collect()
        };
        let (gbk, ..) = encoding_rs::GB18030.encode(&text);
        let (big5, ..) = encoding_rs::BIG5.encode("編號,道路名稱\n人孔蓋普查\n");
        for (bytes, expected, encoding) in [
            (text.clone().into_bytes(), text.as_str(), Encoding::Utf8),
            ([b"\xEF\xBB\xBF", text.as_bytes()].concat(), &text, Encoding::Utf8),
            (gbk.into_owned(), &text, Encoding::Gb18030),
            (utf16(u16::to_le_bytes), &text, Encoding::Utf16Le),
            (utf16(u16::to_be_bytes), &text, Encoding::Utf16Be),
            (big5.into_owned(), "編號,道路名稱\n人孔蓋普查\n", Encoding::Big5),
        ] {
            for sip in [1, 7, 100_000] {
                let (out, found) = decoded(&bytes, None, sip);
                assert!(out == expected.as_bytes(), "{encoding} by {sip}");
                assert_eq!(found.unwrap().encoding, encoding);
            }
        }
    }

    #[test]
    fn bytes_that_do_not_fit_are_marked_and_swallow_nothing() {
        let (gbk, ..) = encoding_rs::GB18030.encode("黄河路污水井盖检查\n");
        let spoiled = [&gbk, &b"a\xFFb\n\xB5\n"[..], &gbk, b"\xB5"].concat();
        for sip in [1, 1000] {
            let (out, _) = decoded(&spoiled, None, sip);
            let line = "黄河路污水井盖检查\n".as_bytes();
            assert_eq!(out, [line, b"a\xFFb\n\xFF\n", line, b"\xFF"].concat());
        }
        let (out, _) = decoded(b"a\x81b\xE9", Some(Encoding::Windows1252), 1);
        assert_eq!(out, b"a\xFFb\xC3\xA9");
        let (out, _) = decoded(b"\xFF\xFEa\0b", None, 1);
        assert_eq!(out, b"a\xFF", "half a character at the end");
        let (out, found) = decoded("井".as_bytes(), Some(Encoding::Utf8), 1);
        assert_eq!((out.as_slice(), found.unwrap().by), ("井".as_bytes(), FoundBy::Told));
        let mut checked = Text::checked(&b"<a>\xFF</a>"[..], Some(Encoding::Utf8));
        let mut out = String::new();
        checked.read_to_string(&mut out).unwrap();
        assert_eq!(out, "<a>\u{FFFF}</a>");
    }
}
