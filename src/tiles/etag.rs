//! Validators of tiles: a browser that has the same bytes is told 304, also when the snapshot has
//! moved on elsewhere.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// `"{version}-{digest}"`, quotes included: the snapshot's version and 64 bits of the SHA-256.
pub fn etag(version: i64, bytes: &[u8]) -> String {
    format!("\"{version}-{}\"", digest(bytes))
}

/// Whether an `If-None-Match` header names these bytes. The version is not compared: it says when a
/// tile was made, the digest what is in it.
pub fn is_known(if_none_match: &str, bytes: &[u8]) -> bool {
    let digest = digest(bytes);
    if_none_match.split(',').map(str::trim).any(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || opaque.rsplit_once('-').is_some_and(|(_, known)| known == digest)
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
    fn the_same_bytes_are_known_again_at_a_later_version() {
        let tag = etag(41, b"tile");
        assert!(tag.starts_with("\"41-") && tag.len() == 21, "{tag}");
        assert!(is_known(&tag, b"tile"));
        assert!(is_known(&format!("\"other\", W/{}", etag(7, b"tile")), b"tile"));
        assert!(is_known("*", b"tile"));
        assert!(!is_known(&tag, b"another tile"));
        assert!(!is_known("", b"tile") && !is_known("\"\"", b"tile"));
    }
}
