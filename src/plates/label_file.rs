//! What the label files have in common: reading TOML and naming the line that does not fit.

use serde::de::DeserializeOwned;

use crate::domain::Refusal;

/// A label file while it is checked; every refusal names the kind of file and the line.
pub(super) struct LabelFile<'a> {
    pub(super) kind: &'static str,
    pub(super) text: &'a str,
}

impl LabelFile<'_> {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        toml::from_str(self.text)
            .map_err(|error| self.refuse(error.span().map_or(0, |span| span.start), error.message()))
    }

    /// `offset` is the byte in the file where the part begins that does not fit.
    pub(super) fn refuse(&self, offset: usize, reason: impl std::fmt::Display) -> Refusal {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Refusal::new("plates.file").with("kind", self.kind).with("line", line).with("reason", reason)
    }
}
