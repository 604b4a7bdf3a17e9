//! What is said to a person whose input does not fit: a stable code and the facts the sentence needs.
//! The sentence itself lives in the message catalogues under `refusal.<code>`.

use std::borrow::Cow;
use std::fmt;

/// A refusal. It changed nothing; `code` is stable, `params` fill the sentence in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code, e.g. `token.check_character`. The catalogues hold one sentence for each.
    pub code: &'static str,
    /// The field or column that is meant, where there is one.
    pub field: Option<Cow<'static, str>>,
    /// Named facts for the sentence, e.g. `("read", "7K3Q")`.
    pub params: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(code: &'static str) -> Self {
        Self { code, field: None, params: Vec::new() }
    }

    /// Names the field or column that is meant.
    pub fn at(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a fact for the sentence.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.params.push((name, value.to_string()));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)?;
        for (name, value) in &self.params {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
