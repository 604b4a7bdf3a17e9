//! Saved profiles 导入方案: how the files of a source are read, under a name, in versions that never change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::ids::Millis;

/// Characters that a name may have.
pub const NAME_LIMIT: usize = 60;
/// Characters of the text, and of why it was saved.
pub const TEXT_LIMIT: usize = 200_000;
pub const WHY_LIMIT: usize = 500;

/// Name of a profile: one line, without `@` and `/`, which addresses need.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileName(String);

impl ProfileName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ProfileName {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let name = text.trim();
        let wrong = |c: char| c.is_control() || matches!(c, '@' | '/' | '\\' | '?' | '#' | '%' | '"');
        let fits = !name.is_empty()
            && name.chars().count() <= NAME_LIMIT
            && !name.starts_with('.')
            && !name.contains(wrong);
        match fits {
            true => Ok(Self(name.to_owned())),
            false => Err(Refusal::new("profile.name")
                .at("name")
                .with("read", text.chars().take(NAME_LIMIT).collect::<String>())
                .with("most", NAME_LIMIT)),
        }
    }
}

/// `NAME` or `NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRef {
    pub name: ProfileName,
    /// `None` = the newest.
    pub version: Option<i64>,
}

impl FromStr for ProfileRef {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (name, version) = match text.rsplit_once('@') {
            None => (text, None),
            Some((name, version)) => {
                let read = version.parse::<i64>().ok().filter(|version| *version > 0);
                let wrong = || Refusal::new("profile.version").at("version").with("read", version);
                (name, Some(read.ok_or_else(wrong)?))
            }
        };
        Ok(Self { name: name.parse()?, version })
    }
}

/// One version of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedProfile {
    pub name: ProfileName,
    pub version: i64,
    /// TOML, as it was saved.
    pub text: String,
    pub why: String,
    /// `system`, or `user:<uuid>`.
    pub actor: String,
    pub saved_at: Millis,
    /// `None` while it is offered.
    pub removed_at: Option<Millis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_with_or_without_its_version() {
        let read = |text: &str| text.parse::<ProfileRef>().map(|one| (one.name.to_string(), one.version));
        assert_eq!(read("东营普查 2026"), Ok(("东营普查 2026".into(), None)));
        assert_eq!(read("cambridge@3"), Ok(("cambridge".into(), Some(3))));
        for text in ["", " ", "a/b", "@3", "a@b@2", "x@", "x@0", "x@-1", "x@a", ".x", "a\nb", &"x".repeat(61)]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
