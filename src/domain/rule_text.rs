//! What all rules have in common that a city writes as TOML.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::Refusal;

/// Longest text of a rules file, in bytes.
pub const RULES_BYTES: usize = 200_000;
/// Most rules in one text.
const RULES_LIMIT: usize = 500;
const ID_LIMIT: usize = 40;

/// Reads rules and refuses those that `check` finds a fault in.
pub(super) fn read<T: DeserializeOwned>(
    text: &str,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, Refusal> {
    let refuse = |reason: String| Refusal::new("rules.unusable").at("text").with("reason", reason);
    if text.len() > RULES_BYTES {
        let refusal = Refusal::new("text.too_long").at("text").with("count", text.len());
        return Err(refusal.with("most", RULES_BYTES));
    }
    let rules: T = toml::from_str(text).map_err(|error| refuse(error.to_string().trim().to_owned()))?;
    check(&rules).map_err(refuse)?;
    Ok(rules)
}

/// Each rule has an id of its own, by which versions are compared and files say why.
pub(super) fn check_ids<'r>(ids: impl Iterator<Item = &'r str>) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for id in ids {
        if id.is_empty() || id.len() > ID_LIMIT || id.contains('\0') {
            return Err(format!("the id of a rule has 1 to {ID_LIMIT} characters"));
        }
        if !known.insert(id) {
            return Err(format!("rule {id} stands there twice"));
        }
    }
    if known.len() > RULES_LIMIT {
        return Err(format!("{} rules; {RULES_LIMIT} are the most", known.len()));
    }
    Ok(())
}
