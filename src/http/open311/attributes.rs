//! What a request may say beside its text.

use crate::messages::Catalogue;

pub(super) const PLATE: &str = "PLATE";
pub(super) const DANGER: &str = "DANGER";
pub(super) const TRAFFIC: &str = "TRAFFIC";

/// An attribute of every service.
pub(super) struct Attribute {
    pub code: &'static str,
    /// Keys of the texts: what is asked, and how it is answered.
    pub question: &'static str,
    pub hint: &'static str,
    /// What fits; nothing for free text.
    pub keys: &'static [&'static str],
    /// Where the catalogue has the words of the keys.
    list: &'static str,
}

pub(super) const ATTRIBUTES: [Attribute; 3] = [
    Attribute { code: PLATE, question: "open311.plate", hint: "open311.plate_hint", keys: &[], list: "" },
    Attribute {
        code: DANGER,
        question: "open311.danger",
        hint: "open311.danger_hint",
        keys: &["yes", "no", "unsure"],
        list: "open311_danger",
    },
    Attribute {
        code: TRAFFIC,
        question: "open311.traffic",
        hint: "open311.traffic_hint",
        keys: &["carriageway", "footway", "cycleway", "yard"],
        list: "placement",
    },
];

impl Attribute {
    /// A key as people say it.
    pub(super) fn word(&self, words: &Catalogue, key: &str) -> String {
        words.word(self.list, key)
    }
}
