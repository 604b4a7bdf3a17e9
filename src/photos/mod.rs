//! Photos from strangers: bounded and checked before anything is decoded, kept unchanged in
//! private, shown to the public as a fresh JPEG without metadata. Content-addressed files on disk,
//! safe before the caller writes the row that names them. Knows `domain` only.
//!
//! Everything here blocks; a caller in async code uses its blocking pool and lets in only a few at a
//! time, because one photo may take [`PhotoLimits::memory`] bytes.

mod container;
mod digest;
mod error;
mod rendition;
mod store;
#[cfg(test)]
mod tests;

pub use container::MediaType;
pub use digest::PhotoDigest;
pub use error::PhotoError;
pub use rendition::{PUBLIC_QUALITY, PUBLIC_SIDE};
pub use store::{PhotoStore, StoredPhoto, Verified};

/// What a photo may cost. All are checked on the header, before decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoLimits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Width times height.
    pub pixels: u64,
    /// Pixels along either side.
    pub side: u32,
    /// Bytes that the decoder may fill.
    pub memory: u64,
}

impl Default for PhotoLimits {
    /// 12 MiB; 50 × 2²⁰ pixels, because phones sold as "50 megapixels" take up to 50.3 million;
    /// 20 000 pixels a side; 256 MiB.
    fn default() -> Self {
        Self { bytes: 12 << 20, pixels: 50 << 20, side: 20_000, memory: 256 << 20 }
    }
}
