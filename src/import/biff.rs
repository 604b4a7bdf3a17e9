//! The records of an old workbook's stream: what they are made of, and texts that go over several.

use std::io::Read;

use super::encoding::Encoding;
use super::shared_texts::SharedTexts;
use crate::domain::Refusal;

/// Kinds of records that are read.
pub(super) mod kind {
    pub const FORMULA: u16 = 0x0006;
    pub const EOF: u16 = 0x000A;
    pub const DATE_MODE: u16 = 0x0022;
    pub const FILE_PASS: u16 = 0x002F;
    pub const CONTINUE: u16 = 0x003C;
    pub const CODE_PAGE: u16 = 0x0042;
    pub const BOUND_SHEET: u16 = 0x0085;
    pub const MUL_RK: u16 = 0x00BD;
    pub const RICH_STRING: u16 = 0x00D6;
    pub const XF: u16 = 0x00E0;
    pub const MERGED_CELLS: u16 = 0x00E5;
    pub const SST: u16 = 0x00FC;
    pub const LABEL_SST: u16 = 0x00FD;
    pub const NUMBER: u16 = 0x0203;
    pub const LABEL: u16 = 0x0204;
    pub const BOOL_ERR: u16 = 0x0205;
    pub const STRING: u16 = 0x0207;
    pub const RK: u16 = 0x027E;
    pub const FORMAT: u16 = 0x041E;
    pub const BOF: u16 = 0x0809;
}

pub(super) fn broken(reason: impl std::fmt::Display) -> Refusal {
    Refusal::new("sheet.unreadable").with("reason", reason)
}

/// A record's body, read field by field. What is not there reads as zero.
#[derive(Clone, Copy)]
pub(super) struct Body<'b>(pub(super) &'b [u8]);

impl Body<'_> {
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or_default()
    }

    pub(super) fn short(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at + 1)])
    }

    pub(super) fn long(&self, at: usize) -> u32 {
        u32::from(self.short(at)) | u32::from(self.short(at + 2)) << 16
    }

    pub(super) fn double(&self, at: usize) -> f64 {
        f64::from_bits(u64::from(self.long(at)) | u64::from(self.long(at + 4)) << 32)
    }

    /// A number packed into four bytes: the upper half of a double or thirty bits, perhaps a hundredth.
    pub(super) fn rk(&self, at: usize) -> f64 {
        let packed = self.long(at);
        let number = match packed & 2 {
            0 => f64::from_bits(u64::from(packed & 0xFFFF_FFFC) << 32),
            _ => f64::from(packed as i32 >> 2),
        };
        if packed & 1 == 0 { number } else { number / 100.0 }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

pub(super) struct Records<R> {
    input: R,
    /// Kind and length of the record after the one at hand.
    ahead: Option<(u16, usize)>,
    pub(super) body: Vec<u8>,
    /// Where the next record begins.
    pub(super) offset: u64,
}

impl<R: Read> Records<R> {
    /// `offset`: where in the stream the input begins.
    pub(super) fn new(input: R, offset: u64) -> Result<Self, Refusal> {
        let mut records = Self { input, ahead: None, body: Vec::new(), offset };
        records.look_ahead()?;
        Ok(records)
    }

    fn look_ahead(&mut self) -> Result<(), Refusal> {
        let mut head = [0; 4];
        let mut filled = 0;
        while filled < 4 {
            match self.input.read(&mut head[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(super::unreadable(&error)),
            }
        }
        let [kind_low, kind_high, low, high] = head;
        self.ahead = (filled == 4).then(|| {
            (u16::from_le_bytes([kind_low, kind_high]), usize::from(u16::from_le_bytes([low, high])))
        });
        Ok(())
    }

    /// Reads the next record into `body`; answers its kind. `None` = the stream ends.
    pub(super) fn next(&mut self) -> Result<Option<u16>, Refusal> {
        let Some((kind, length)) = self.ahead else { return Ok(None) };
        self.body.resize(length, 0);
        match self.input.read_exact(&mut self.body) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(Refusal::new("sheet.truncated"));
            }
            Err(error) => return Err(super::unreadable(&error)),
        }
        self.offset += 4 + length as u64;
        self.look_ahead()?;
        Ok(Some(kind))
    }

    /// Reads on where the record at hand goes on in another one; `false` = it does not.
    fn go_on(&mut self) -> Result<bool, Refusal> {
        match self.ahead {
            Some((kind::CONTINUE, _)) => Ok(self.next()?.is_some()),
            _ => Ok(false),
        }
    }
}

/// Reads texts through a record and those that continue it.
pub(super) struct Texts<'r, R> {
    records: &'r mut Records<R>,
    at: usize,
    units: Vec<u16>,
}

impl<'r, R: Read> Texts<'r, R> {
    pub(super) fn new(records: &'r mut Records<R>, at: usize) -> Self {
        Self { records, at, units: Vec::new() }
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        while self.at >= self.records.body.len() {
            if !self.records.go_on()? {
                return Err(Refusal::new("sheet.truncated"));
            }
            self.at = 0;
        }
        self.at += 1;
        Ok(self.records.body[self.at - 1])
    }

    fn short(&mut self) -> Result<u16, Refusal> {
        Ok(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn skip(&mut self, mut count: usize) -> Result<(), Refusal> {
        while count > 0 {
            let here = self.records.body.len().saturating_sub(self.at).min(count);
            self.at += here;
            count -= here;
            if count > 0 {
                self.byte()?;
                count -= 1;
            }
        }
        Ok(())
    }

    /// A text with its length before it. In a record that continues it, the characters may change
    /// from one byte to two.
    pub(super) fn text(&mut self) -> Result<String, Refusal> {
        let mut count = usize::from(self.short()?);
        let flags = self.byte()?;
        let runs = if flags & 8 == 0 { 0 } else { usize::from(self.short()?) };
        let extra = match flags & 4 {
            0 => 0,
            _ => usize::from(self.short()?) | usize::from(self.short()?) << 16,
        };
        let mut wide = flags & 1 != 0;
        self.units.clear();
        while count > 0 {
            if self.at >= self.records.body.len() {
                if !self.records.go_on()? {
                    return Err(Refusal::new("sheet.truncated"));
                }
                self.at = 0;
                wide = self.byte()? & 1 != 0;
                continue;
            }
            let unit = if wide { self.short()? } else { u16::from(self.byte()?) };
            self.units.push(unit);
            count -= 1;
        }
        self.skip(4 * runs)?;
        self.skip(extra)?;
        Ok(String::from_utf16_lossy(&self.units))
    }
}

/// The table of shared texts that begins in the record at hand.
pub(super) fn read_shared<R: Read>(
    records: &mut Records<R>,
    shared: &mut SharedTexts,
) -> Result<(), Refusal> {
    let count = Body(&records.body).long(4);
    let mut texts = Texts::new(records, 8);
    for _ in 0..count {
        let text = texts.text()?;
        shared.push(&text)?;
    }
    Ok(())
}

/// A text of Excel 5 and 95: bytes in the code page of the workbook.
pub(super) fn old_text(bytes: &[u8], code_page: u16) -> String {
    let encoding = Encoding::known_label(&code_page.to_string()).unwrap_or(Encoding::Windows1252);
    encoding.decode(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_le_bytes(), &(body.len() as u16).to_le_bytes(), body].concat()
    }

    #[test]
    fn texts_go_on_in_the_next_record_and_may_change_their_width_there() {
        let wide: Vec<u8> = "盖板".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let bytes = [
            // Two texts: "ab" + 盖板, cut after "ab", and "z" with a run and an extra of three bytes.
            record(kind::SST, &[9, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, b'a', b'b']),
            record(kind::CONTINUE, &[&[1][..], &wide, &[1, 0, 12, 1, 0, 3, 0, 0, 0, b'z', 0, 0]].concat()),
            record(kind::CONTINUE, &[0, 0, 7, 7, 7]),
            record(kind::EOF, &[]),
        ]
        .concat();
        let mut records = Records::new(&bytes[..], 0).unwrap();
        assert_eq!(records.next().unwrap(), Some(kind::SST));
        let mut shared = SharedTexts::new(std::path::Path::new("."));
        read_shared(&mut records, &mut shared).unwrap();
        let mut read = String::new();
        assert!(shared.read(0, &mut read).unwrap() && shared.read(1, &mut read).unwrap());
        assert_eq!(read, "ab盖板z");
        assert_eq!(records.next().unwrap(), Some(kind::EOF));
        assert_eq!(records.next().unwrap(), None);
    }

    #[test]
    fn packed_numbers_are_unpacked() {
        let rk = |packed: u32| Body(&packed.to_le_bytes()).rk(0);
        assert_eq!(rk(0x3FF0_0000), 1.0);
        assert_eq!(rk(0x3FF0_0001), 0.01);
        assert_eq!(rk((1234 << 2) | 2), 1234.0);
        assert_eq!(rk((1234 << 2) | 3), 12.34);
        assert_eq!(rk(((-5_i32 as u32) << 2) | 2), -5.0);
        assert_eq!(Body(&[]).double(3), 0.0);
    }
}
