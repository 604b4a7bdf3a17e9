//! Validators of tiles: a browser that has the same bytes is told 304, also when the map has changed
//! elsewhere.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// 64 bits of the SHA-256, quotes included: it changes exactly when the bytes do.
pub fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", digest(bytes))
}

/// Whether an `If-None-Match` header names these bytes.
pub fn is_known(if_none_match: &str, bytes: &[u8]) -> bool {
    let digest = digest(bytes);
    if_none_match.split(',').map(str::trim).any(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || opaque == digest
    })
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8].iter().fold(String::with_capacity(16), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_known_again() {
        let tag = etag(b"tile");
        assert_eq!(tag.len(), 18, "{tag}");
        assert!(is_known(&tag, b"tile"));
        assert!(is_known(&format!("\"other\", W/{}", etag(b"tile")), b"tile"));
        assert!(is_known("*", b"tile"));
        assert!(!is_known(&tag, b"another tile"));
        assert!(!is_known("", b"tile") && !is_known("\"\"", b"tile"));
    }
}
