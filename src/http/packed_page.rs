//! A page that is gzipped once though every reader's copy differs: the text before, between and after the places
//! of a key is compressed beforehand, and the key laid between as it is.

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Identification, deflate, no flags, no time, no extra, unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block (RFC 1951, 3.2.6).
const END: [u8; 2] = [3, 0];

/// Text between two keys.
struct Piece {
    plain: String,
    /// Ends on a whole byte, and refers to nothing before it.
    deflated: Vec<u8>,
    crc: Crc,
}

pub(super) struct PackedPage(Vec<Piece>);

impl PackedPage {
    /// A page with a key wherever `mark` stands.
    pub(super) fn new(html: &str, mark: &str) -> Self {
        Self(html.split(mark).map(Piece::new).collect())
    }

    pub(super) fn plain(&self, key: &str) -> String {
        let pieces: Vec<&str> = self.0.iter().map(|piece| piece.plain.as_str()).collect();
        pieces.join(key)
    }

    /// One gzip member of the same text. A key is at most 65,535 bytes long.
    pub(super) fn gzipped(&self, key: &str) -> Vec<u8> {
        let length = u16::try_from(key.len()).unwrap_or_default();
        let mut key_crc = Crc::new();
        key_crc.update(key.as_bytes());
        let mut crc = Crc::new();
        let mut out = Vec::with_capacity(self.packed_bytes() + self.0.len() * (key.len() + 5) + 20);
        out.extend(HEADER);
        for (at, piece) in self.0.iter().enumerate() {
            if at > 0 {
                // A stored block: its head ends on a whole byte (RFC 1951, 3.2.4).
                out.push(0);
                out.extend(length.to_le_bytes());
                out.extend((!length).to_le_bytes());
                out.extend(key.as_bytes());
                crc.combine(&key_crc);
            }
            out.extend(&piece.deflated);
            crc.combine(&piece.crc);
        }
        out.extend(END);
        out.extend(crc.sum().to_le_bytes());
        out.extend(crc.amount().to_le_bytes());
        out
    }

    fn packed_bytes(&self) -> usize {
        self.0.iter().map(|piece| piece.deflated.len()).sum()
    }

    /// What it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.packed_bytes() + self.0.iter().map(|piece| piece.plain.len()).sum::<usize>()
    }
}

impl Piece {
    fn new(text: &str) -> Self {
        let mut compress = Compress::new(Compression::new(6), false);
        let mut deflated = Vec::with_capacity(text.len() / 2 + 64);
        loop {
            let read = compress.total_in() as usize;
            let room = deflated.len();
            // Memory is all that it needs.
            let _ = compress.compress_vec(&text.as_bytes()[read..], &mut deflated, FlushCompress::Sync);
            let is_done = compress.total_in() as usize == text.len() && deflated.len() < deflated.capacity();
            if is_done {
                break;
            }
            deflated.reserve(room + 256);
        }
        let mut crc = Crc::new();
        crc.update(text.as_bytes());
        Self { plain: text.to_owned(), deflated, crc }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    const MARK: &str = "{key}";

    proptest! {
        #[test]
        fn a_packed_page_unpacks_to_itself_with_the_key_in_its_places(
            pieces in proptest::collection::vec(".{0,400}|[a-z ]{0,3000}", 1..5), key in "[0-9a-f-]{0,36}"
        ) {
            let html = pieces.join(MARK);
            let page = PackedPage::new(&html, MARK);
            let wanted = html.replace(MARK, &key);
            prop_assert_eq!(&page.plain(&key), &wanted);
            let packed = page.gzipped(&key);
            let mut decoder = GzDecoder::new(packed.as_slice());
            let mut unpacked = String::new();
            decoder.read_to_string(&mut unpacked).unwrap();
            prop_assert_eq!(&unpacked, &wanted);
            let mut rest = Vec::new();
            decoder.into_inner().read_to_end(&mut rest).unwrap();
            prop_assert!(rest.is_empty(), "one member and nothing behind it");
        }
    }
}
