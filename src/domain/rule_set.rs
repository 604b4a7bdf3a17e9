//! 规则版本: a city's rules as they were at each time. A version is never edited: another one takes its place from a
//! day on.

use super::Refusal;
use super::ids::Millis;
use super::limits::{self, LimitRules};
use super::names::named_enum;
use super::routing::{self, RoutingRules};

named_enum! {
    /// What is ruled.
    RuleKind as "rule_kind" {
        /// Limits, calendars, look-backs.
        Limits = "limits",
        /// Dispatch, pools, triage, templates.
        Routing = "routing",
    }
}

impl RuleKind {
    /// The text that holds where a city never said anything.
    pub const fn built_in(self) -> &'static str {
        match self {
            RuleKind::Limits => limits::BUILT_IN,
            RuleKind::Routing => routing::BUILT_IN,
        }
    }

    /// Refuses a text that cannot be these rules.
    pub fn check(self, text: &str) -> Result<(), Refusal> {
        match self {
            RuleKind::Limits => LimitRules::from_toml(text).map(drop),
            RuleKind::Routing => RoutingRules::from_toml(text).map(drop),
        }
    }
}

/// One version of some rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVersion {
    pub kind: RuleKind,
    /// From 1; 0 are the built-in ones.
    pub version: i64,
    pub valid_from: Millis,
    pub text: String,
    /// Why, in the words of who made it.
    pub note: String,
    /// `user:<uuid>`
    pub actor: String,
    pub created_at: Millis,
}

/// The version in force: of those that began, the one that began last; of two the one made last.
pub fn in_force<'r>(
    versions: impl IntoIterator<Item = &'r RuleVersion>,
    kind: RuleKind,
    now: Millis,
) -> Option<&'r RuleVersion> {
    versions
        .into_iter()
        .filter(|rules| rules.kind == kind && rules.valid_from <= now)
        .max_by_key(|rules| (rules.valid_from, rules.version))
}
