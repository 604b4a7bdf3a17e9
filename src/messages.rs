//! Every word that people read, in Chinese and English. Catalogues are TOML files compiled into
//! the program; which one is used is decided by a cookie set by hand, else by the browser.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use crate::domain::Refusal;

/// The languages of the pages. Chinese comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    #[default]
    Zh,
    En,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::Zh, Language::En];

    /// As in `lang="…"` and in the cookie.
    pub const fn tag(self) -> &'static str {
        match self {
            Language::Zh => "zh-CN",
            Language::En => "en",
        }
    }

    /// The language of a tag such as `en-GB` or `zh-Hans`; `None` when we do not speak it.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("zh") {
            Some(Language::Zh)
        } else if primary.eq_ignore_ascii_case("en") {
            Some(Language::En)
        } else {
            None
        }
    }

    /// By hand (the cookie's value) first, then by the browser's `Accept-Language`, then Chinese.
    pub fn from_header(accepted: Option<&str>, by_hand: Option<&str>) -> Self {
        by_hand.and_then(Self::of_tag).or_else(|| accepted.and_then(most_wanted)).unwrap_or_default()
    }
}

/// The language of an `Accept-Language` header with the highest weight; the first of equals.
fn most_wanted(header: &str) -> Option<Language> {
    let mut best: Option<(Language, f32)> = None;
    for range in header.split(',').take(20) {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|part| part.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()))
            .unwrap_or(1.0);
        if let Some(language) = Language::of_tag(tag)
            && weight > best.map_or(0.0, |(_, best)| best)
        {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// All texts of one language, by dotted key.
#[derive(Debug)]
pub struct Catalogue {
    language: Language,
    texts: BTreeMap<String, String>,
}

static CHINESE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::read(Language::Zh, include_str!("../locales/zh-CN.toml")));
static ENGLISH: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::read(Language::En, include_str!("../locales/en.toml")));

impl Catalogue {
    /// The catalogue of a language, parsed once.
    pub fn of(language: Language) -> &'static Catalogue {
        match language {
            Language::Zh => &CHINESE,
            Language::En => &ENGLISH,
        }
    }

    fn read(language: Language, text: &str) -> Self {
        let table: toml::Table = toml::from_str(text).expect("the catalogues are read by a test");
        let mut texts = BTreeMap::new();
        flatten("", &table, &mut texts);
        Self { language, texts }
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// The text of a key; the key itself when there is none, which a test rules out.
    pub fn text<'a>(&'a self, key: &'a str) -> &'a str {
        self.texts.get(key).map_or(key, String::as_str)
    }

    /// The shown word for a stored one, e.g. `word("class", CoverClass::Gas)`; a word that no list
    /// knows is shown as stored.
    pub fn word(&self, list: &str, stored: impl Display) -> String {
        let stored = stored.to_string();
        self.texts.get(&format!("{list}.{stored}")).cloned().unwrap_or(stored)
    }

    /// A text with its `{name}` places filled.
    pub fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        fill(self.text(key), values.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))))
    }

    /// A text with one place filled, for templates.
    pub fn fill_one(&self, key: &str, name: &str, value: impl Display) -> String {
        self.fill(key, &[(name, &value.to_string())])
    }

    /// What speaks for the reading of a column, or against, with stored words as people say them.
    pub fn mapping_note(&self, code: &str, facts: &[(&str, &str)]) -> String {
        let values = facts.iter().map(|(name, value)| match *name {
            list @ ("import_field" | "class") => (*name, Cow::Owned(self.word(list, value))),
            _ => (*name, Cow::Borrowed(*value)),
        });
        fill(self.text(&format!("mapping.{code}")), values)
    }

    /// The sentence of a refusal, with stored words as they are: for programs.
    pub fn refusal(&self, refusal: &Refusal) -> String {
        let values = refusal.params.iter().map(|(name, value)| match (refusal.code, *name) {
            // What was found in a photo is no word that a program sends.
            ("photo.hidden_content", "found") => (*name, self.shown(refusal.code, name, value)),
            _ => (*name, Cow::Borrowed(value.as_str())),
        });
        fill(self.text(&format!("refusal.{}", refusal.code)), values)
    }

    /// The sentence of a refusal that was stored by its code and facts, for programs.
    pub fn stored_refusal(&self, code: &str, params: &[(String, String)]) -> String {
        let values = params.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())));
        fill(self.text(&format!("refusal.{code}")), values)
    }

    /// The same with stored words as people say them: for pages.
    pub fn stored_refusal_in_words(&self, code: &str, params: &[(String, String)]) -> String {
        let values =
            params.iter().map(|(name, value)| (name.as_str(), self.shown(code, name, value.as_str())));
        fill(self.text(&format!("refusal.{code}")), values)
    }

    /// The sentence of a refusal, with stored words as people say them: for pages and the terminal.
    pub fn refusal_in_words(&self, refusal: &Refusal) -> String {
        let values =
            refusal.params.iter().map(|(name, value)| (*name, self.shown(refusal.code, name, value)));
        fill(self.text(&format!("refusal.{}", refusal.code)), values)
    }

    /// Stored words inside a refusal, as people say them.
    fn shown<'a>(&self, code: &str, name: &str, value: &'a str) -> Cow<'a, str> {
        let list = match (code, name) {
            ("plate.step", "from" | "to") => "plate_state",
            ("case.move_not_allowed", "fits") | (_, "move") => "move",
            ("case.role" | "http.role", "fits") | (_, "role") => "role",
            ("claim.changed_since", "field") => "fact",
            ("form.missing" | "form.number" | "form.unknown_field", "field") => "field",
            ("retire.needs_successor" | "import.retired", "reason") => "retire_reason",
            ("photo.hidden_content", "found") => "hidden_content",
            ("code.class_differs", "code" | "row") => "class",
            (_, "census_stage") => "census_stage",
            (_, "area_column") => "area_column",
            (_, "state") => "case_state",
            (_, "bulk_state") => "bulk_state",
            (_, "campaign_state") => "campaign_state",
            (_, "task_kind") => "task_kind",
            ("task.result", "read") => "task_result",
            (_, "claim_state") => "claim_state",
            (_, "notice_state") => "notice_state",
            (_, "notice_move") => "notice_move",
            ("notice.role", "fits") => "role",
            ("sensor.move", "fits") | (_, "sensor_state") => "sensor_state",
            ("sensor.role", "fits") => "role",
            (_, "sensor_move") => "sensor_move",
            (_, "class" | "is_class") => "class",
            (_, "left_type" | "right_type" | "fits_type") => "cql2_type",
            _ => return Cow::Borrowed(value),
        };
        let words: Vec<String> = value.split(", ").map(|word| self.word(list, word)).collect();
        Cow::Owned(words.join(self.text("list.comma")))
    }

    /// Every key with its text.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    pub fn has(&self, key: &str) -> bool {
        self.texts.contains_key(key)
    }
}

fn flatten(prefix: &str, table: &toml::Table, texts: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, texts),
            toml::Value::String(text) => {
                texts.insert(key, text.clone());
            }
            other => {
                texts.insert(key, other.to_string());
            }
        }
    }
}

/// Fills `{name}` places in one pass, so that a value which holds braces is left alone.
fn fill<'v>(template: &str, values: impl Iterator<Item = (&'v str, Cow<'v, str>)>) -> String {
    let values: Vec<_> = values.collect();
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        match after.find('}').map(|close| (&after[..close], &after[close + 1..])) {
            Some((name, behind)) if values.iter().any(|(known, _)| *known == name) => {
                let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref());
                out.push_str(value.unwrap_or_default());
                rest = behind;
            }
            _ => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
