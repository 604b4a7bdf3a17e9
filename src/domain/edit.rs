//! What staff may change about a cover by hand, and the rules that hold for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::code::Scheme;
use super::cover::{CoverClass, CoverFile, CoverState, LoadClass, Material, Placement, Shape};
use super::ids::{CaseId, CoverId, PartyId, PhotoId};
use super::names::named_enum;
use super::position::{Position, distance_m};

named_enum! {
    /// 退役原因: why a cover is no longer in use.
    RetireReason as "retire_reason" {
        /// 已拆除: cover and shaft are gone.
        Removed = "removed",
        /// 已填埋: the shaft is filled.
        Filled = "filled",
        /// 已更换: another cover lies there now.
        Replaced = "replaced",
        /// 重复登记: the same cover is in the registry twice.
        Duplicate = "duplicate",
        /// 查无此井: it was written down by mistake.
        NeverThere = "never_there",
    }
}

named_enum! {
    /// What becomes of the plates of a cover that is retired.
    PlatesGo as "plates_go" {
        /// They are withdrawn for good.
        Withdrawn = "withdrawn",
        /// Those that hang on the spot speak for the successor from now on.
        ToSuccessor = "to_successor",
    }
}

named_enum! {
    /// Whether a cover gets a new code where what its code says has changed.
    CodeChoice as "code_choice" { ByScheme = "by_scheme", Keep = "keep", New = "new" }
}

named_enum! {
    /// How two manholes are one.
    MergeKind as "merge_kind" {
        /// One shaft with several covers: all of them stay in use.
        Both = "both",
        /// One shaft and one cover, written down twice.
        Same = "same",
    }
}

named_enum! {
    /// Where a change of many covers stands.
    BulkState as "bulk_state" {
        /// Covers are being looked at; nothing was changed.
        Previewing = "previewing",
        Previewed = "previewed",
        Applying = "applying",
        Applied = "applied",
        Undoing = "undoing",
        Undone = "undone",
    }
}

named_enum! {
    /// Where a cover stands in a change of many.
    BulkRowState as "bulk_row_state" {
        /// Would be changed.
        Waiting = "waiting",
        Refused = "refused",
        Applied = "applied",
        /// Was so already when its turn came.
        Settled = "settled",
        Undone = "undone",
        /// Stays as it is, because somebody changed it since.
        Kept = "kept",
    }
}

/// Changes by hand. The outer `Option` says whether a field is touched, the inner one whether
/// anything is known of it from now on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoverEdit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<CoverClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<CoverState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    /// Of one cover only: no two manholes lie in the same place.
    #[serde(skip)]
    pub position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub road: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub address: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub placement: Option<Option<Placement>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub material: Option<Option<Material>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub shape: Option<Option<Shape>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub load_class: Option<Option<LoadClass>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub owner: Option<Option<PartyId>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub maintainer: Option<Option<PartyId>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "touched")]
    pub supervisor: Option<Option<PartyId>>,
    /// Columns of the census that no profile line names, by name; `None` takes one away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Option<String>>,
}

/// `null` is a value here: a field that is there was touched.
pub fn touched<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl CoverEdit {
    /// Whether it touches nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it says where something lies.
    pub fn moves(&self) -> bool {
        self.position.is_some() || self.district.is_some()
    }
}

/// Why a cover was left alone, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRefusal {
    pub code: String,
    pub params: Vec<(String, String)>,
}

impl From<&Refusal> for StoredRefusal {
    fn from(refusal: &Refusal) -> Self {
        let params = refusal.params.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Self { code: refusal.code.to_owned(), params: params.collect() }
    }
}

/// What belongs to a cover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belongings {
    /// Tokens as they are stored.
    pub plates: Vec<i64>,
    pub cases: Vec<CaseId>,
    pub photos: Vec<PhotoId>,
}

/// What came with the absorbed manhole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub covers: Vec<CoverId>,
    /// What the cover that was the same gave to the one that was kept.
    pub given: Belongings,
}

/// Fields that belong to the manhole and so to all of its covers.
pub const PLACE_FIELDS: &[&str] = &["district", "road", "address", "placement", "position"];

/// Beyond this a position has not been corrected but moved, which wants a word.
pub const FAR_M: f64 = 50.0;

/// Why a new position needs a reason: it is less sure than the one known, or far from it.
pub fn check_position(before: &Position, after: &Position, reason: &str) -> Result<(), Refusal> {
    if before == after || !reason.is_empty() {
        return Ok(());
    }
    let meters = |accuracy: Option<f64>| accuracy.map_or_else(|| "?".to_owned(), |m| m.to_string());
    if !before.gives_way_to(after) {
        return Err(Refusal::new("position.worse")
            .at("reason")
            .with("known", meters(before.accuracy_m))
            .with("new", meters(after.accuracy_m)));
    }
    let moved = distance_m((before.lon, before.lat), (after.lon, after.lat));
    if moved > FAR_M {
        return Err(Refusal::new("position.far").at("reason").with("meters", format!("{moved:.0}")));
    }
    Ok(())
}

/// Whether a cover that becomes `after` gets a new code: as the person says, else as the scheme
/// says. Refuses where neither says anything.
pub fn wants_new_code(
    before: &CoverFile,
    after: &CoverFile,
    choice: CodeChoice,
    scheme: &Scheme,
) -> Result<bool, Refusal> {
    let class = before.survey.class != after.survey.class;
    let district = before.survey.district != after.survey.district;
    match choice {
        _ if !class && !district => Ok(false),
        CodeChoice::Keep => Ok(false),
        CodeChoice::New => Ok(true),
        CodeChoice::ByScheme => scheme.wants_new_code(class, district).ok_or_else(|| {
            Refusal::new("code.choice").at("code").with("code", scheme.grouped(&before.code.digits))
        }),
    }
}
