//! 历史回放: entries of files read back. What they say is one reading, whether `lidmark check` asks what the last
//! word of a file is, or the map of the past what a cover was before the first word since.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::case::CaseState;
use crate::domain::history::HistoryKind;
use crate::store::past::LaterEntry;

/// A manhole's first entry.
#[derive(Deserialize)]
pub(super) struct FirstClaim {
    pub cover: Uuid,
    pub scheme: String,
    pub code: String,
    pub class: String,
    pub state: String,
    pub district: String,
    pub lon: f64,
    pub lat: f64,
    pub road: Option<String>,
    pub address: Option<String>,
}

/// A cover that was added.
#[derive(Deserialize)]
pub(super) struct AddedClaim {
    pub cover: Uuid,
    pub scheme: String,
    pub code: String,
    pub class: String,
    pub state: String,
}

/// What an entry changes.
#[derive(Deserialize)]
pub(super) struct ChangeClaim {
    pub cover: Option<Uuid>,
    /// The covers that got a new version.
    #[serde(default)]
    pub versions: BTreeMap<Uuid, i64>,
    /// Before and after.
    pub fields: BTreeMap<String, (Value, Value)>,
}

impl ChangeClaim {
    /// Whether covers leave for another manhole. A place among its fields is then that of the other file.
    pub(super) fn is_move(&self) -> bool {
        self.fields.contains_key("manhole")
    }
}

/// Where a case goes.
#[derive(Deserialize)]
pub(super) struct MoveClaim<'e> {
    #[serde(borrow, default)]
    pub from: Option<Cow<'e, str>>,
    #[serde(borrow)]
    pub to: Cow<'e, str>,
}

/// Kinds of which the map of the past must know.
pub(super) const TOLD: &[HistoryKind] = &[
    HistoryKind::Updated,
    HistoryKind::CodeChanged,
    HistoryKind::CoverAdded,
    HistoryKind::Retired,
    HistoryKind::Reinstated,
    HistoryKind::Merged,
    HistoryKind::MergedAway,
    HistoryKind::Unmerged,
    HistoryKind::Split,
    HistoryKind::ClaimSettled,
    HistoryKind::ClaimUndone,
    HistoryKind::Reported,
    HistoryKind::CaseMoved,
];

/// What a cover or a place was before entries changed it: of each field the value before its first change. What
/// no entry names is as it is now.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// With the version or the number of the entry that changed it, by which the first one is known.
    fields: Vec<(Box<str>, i64, Value)>,
    /// It came with one of these entries.
    pub is_new: bool,
    /// The first version that one of them made.
    pub version: Option<i64>,
}

impl Undo {
    fn note(&mut self, field: &str, order: i64, before: Value) {
        match self.fields.iter_mut().find(|(known, ..)| &**known == field) {
            Some((_, first, value)) if order < *first => (*first, *value) = (order, before),
            Some(_) => {}
            None => {
                // Most covers were changed in one or two fields.
                self.fields.reserve_exact(1);
                self.fields.push((field.into(), order, before));
            }
        }
    }

    pub(super) fn find(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, ..)| &**known == field).map(|(.., value)| value)
    }

    /// Columns of a census that no profile line names.
    pub(super) fn extra(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().filter_map(|(field, _, value)| Some((field.strip_prefix("extra.")?, value)))
    }
}

/// What happened since a moment, entry after entry.
#[derive(Debug, Default)]
pub(super) struct Since {
    pub covers: HashMap<Uuid, Undo>,
    /// By manhole.
    pub places: HashMap<Uuid, Undo>,
    /// The state of each case before its first move since; `None` = it was not there.
    pub cases: HashMap<Uuid, Option<CaseState>>,
    /// Entries that are not understood here.
    pub unread: usize,
}

impl Since {
    /// Takes in the next entry in the order of time.
    pub(super) fn read(&mut self, entry: &LaterEntry) {
        let is_read = match entry.kind {
            HistoryKind::Reported => {
                if let Some(case) = entry.case {
                    self.cases.entry(case.0).or_insert(None);
                }
                true
            }
            HistoryKind::CaseMoved => self.read_case(entry).is_some(),
            HistoryKind::CoverAdded => serde_json::from_str::<AddedClaim>(&entry.body)
                .map(|added| self.covers.entry(added.cover).or_default().is_new = true)
                .is_ok(),
            _ => serde_json::from_str(&entry.body).map(|change| self.read_change(entry, change)).is_ok(),
        };
        self.unread += usize::from(!is_read);
    }

    fn read_case(&mut self, entry: &LaterEntry) -> Option<()> {
        let case = entry.case?.0;
        if let Entry::Vacant(first) = self.cases.entry(case) {
            let moved: MoveClaim = serde_json::from_str(&entry.body).ok()?;
            first.insert(Some(moved.from?.parse().ok()?));
        }
        Some(())
    }

    fn read_change(&mut self, entry: &LaterEntry, change: ChangeClaim) {
        let is_move = change.is_move();
        let ChangeClaim { cover, versions, fields } = change;
        let version_of = |cover: &Uuid| versions.get(cover).copied().unwrap_or(i64::MAX);
        for (cover, version) in &versions {
            let undo = self.covers.entry(*cover).or_default();
            undo.version = Some(undo.version.map_or(*version, |first| first.min(*version)));
        }
        for (field, (before, _)) in fields {
            match field.as_str() {
                // It lies there in the file to which it went.
                "position" if is_move => {}
                "district" | "road" | "address" | "placement" | "position" => {
                    let place = self.places.entry(entry.key.manhole.0).or_default();
                    place.note(&field, entry.key.sequence, before);
                }
                "manhole" => {
                    for (cover, version) in &versions {
                        self.covers.entry(*cover).or_default().note("manhole", *version, before.clone());
                    }
                }
                _ => {
                    if let Some(cover) = cover {
                        self.covers.entry(cover).or_default().note(&field, version_of(&cover), before);
                    }
                }
            }
        }
    }
}
