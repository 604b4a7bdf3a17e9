//! What the stories of this binary stand on: a private PostgreSQL, the real program, a real browser,
//! decoders, and the contract. Nothing in here is a test.

pub mod broker;
pub mod browser;
pub mod contract;
pub mod decode;
pub mod disk;
pub mod engines;
pub mod postgres;
pub mod server;
pub mod smtp;
pub mod wire;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use lidmark::plates::{HeldFonts, hold_fonts};

/// Whether a missing tool fails the run (`CI` is set) or skips the test that wants it.
pub fn must_be_complete() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// Says that a test is skipped for want of `what`, or fails it where `CI` is set.
pub fn skip_or_fail(what: &str) {
    assert!(
        !must_be_complete(),
        "{what} is missing and CI is set; `make deps` installs it from Debian's packages"
    );
    say(&format!("skipped: {what} is missing; `make deps` installs it"));
}

/// A line for the person who runs the tests.
#[expect(clippy::print_stderr, reason = "tests talk to the person who runs them")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Whether a program can be started by this name.
pub fn have(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$1\" >/dev/null 2>&1", "sh", program])
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether this process may become other users.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Unpacks the fonts once for all plates of a test.
pub fn keep_fonts() {
    static FONTS: OnceLock<HeldFonts> = OnceLock::new();
    FONTS.get_or_init(|| hold_fonts().expect("they are bundled"));
}

/// The folder of this checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
