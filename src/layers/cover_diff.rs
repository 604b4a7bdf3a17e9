//! 变化: what differs between two maps of the same registry, cover by cover: which came, which went, which lie
//! elsewhere, which are something else.

use std::collections::{HashMap, HashSet};

use super::cover_fields::{CoverField, CoverReader};
use super::cover_search::CoverKey;
use crate::cql2::{Prepared, Value};
use crate::domain::ids::CoverId;
use crate::domain::names::named_enum;
use crate::domain::position::distance_m;
use crate::spatial::{Snapshot, SnapshotRow};

named_enum! {
    /// What became of a cover between two moments. One that was moved may have changed as well.
    DiffKind as "diff_kind" {
        /// In use at the later moment only.
        Added = "added",
        /// In use at the earlier moment only.
        Removed = "removed",
        Moved = "moved",
        Changed = "changed",
    }
}

/// A cover that is not the same in both maps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    pub kind: DiffKind,
    pub before: Option<SnapshotRow>,
    pub after: Option<SnapshotRow>,
}

/// Numbers that are read back from a file may differ in their last bit: this is a hundredth of a millimeter.
const SAME_DEGREES: f64 = 1e-10;

/// What a change is told of; what follows from others (names beside ids) is not told twice.
pub const DIFF_FIELDS: &[CoverField] = &[
    CoverField::Code,
    CoverField::Scheme,
    CoverField::Class,
    CoverField::State,
    CoverField::District,
    CoverField::Road,
    CoverField::Owner,
    CoverField::Maintainer,
    CoverField::Placement,
    CoverField::LoadClass,
    CoverField::Material,
    CoverField::Shape,
    CoverField::SurveyedOn,
    CoverField::Installed,
    CoverField::Completeness,
    CoverField::HasPlate,
    CoverField::OpenCase,
];

impl Difference {
    /// `None` = it is the same, or in neither.
    fn of(reader: &CoverReader<'_>, before: Option<SnapshotRow>, after: Option<SnapshotRow>) -> Option<Self> {
        let kind = match (&before, &after) {
            (None, None) => return None,
            (None, Some(_)) => DiffKind::Added,
            (Some(_), None) => DiffKind::Removed,
            (Some(was), Some(is)) if lies_elsewhere(was, is) => DiffKind::Moved,
            (Some(_), Some(_)) => DiffKind::Changed,
        };
        let difference = Self { kind, before, after };
        let mut fields = 0;
        if kind == DiffKind::Changed {
            difference.fields(reader, |_, _, _| fields += 1);
        }
        (kind != DiffKind::Changed || fields > 0).then_some(difference)
    }

    /// The row by which it is named: the later one, of what went the earlier one.
    pub fn row(&self) -> Option<&SnapshotRow> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Where it stands among others.
    pub fn key(&self) -> Option<CoverKey> {
        self.row().map(CoverKey::of)
    }

    /// How far it was moved.
    pub fn distance_m(&self) -> Option<f64> {
        let (was, is) = self.before.as_ref().zip(self.after.as_ref())?;
        (self.kind == DiffKind::Moved).then(|| distance_m((was.lon, was.lat), (is.lon, is.lat)))
    }

    /// Whether a filter means it as it was or as it is.
    pub fn is_meant(&self, reader: &CoverReader<'_>, filter: &Prepared) -> bool {
        [self.before, self.after].into_iter().flatten().any(|row| filter.matches(&reader.view(row)))
    }

    /// Calls `told` with each field that differs and its values, of a cover that is in both maps.
    pub fn fields(&self, reader: &CoverReader<'_>, mut told: impl FnMut(CoverField, &Value<'_>, &Value<'_>)) {
        let Some((was, is)) = self.before.zip(self.after) else { return };
        let (was, is) = (reader.view(was), reader.view(is));
        for field in DIFF_FIELDS {
            let (before, after) = (was.get(*field), is.get(*field));
            if before != after {
                told(*field, &before, &after);
            }
        }
    }
}

fn lies_elsewhere(was: &SnapshotRow, is: &SnapshotRow) -> bool {
    (was.lon - is.lon).abs() > SAME_DEGREES || (was.lat - is.lat).abs() > SAME_DEGREES
}

/// What differs among these covers, in the order of places. One pass over both maps, which have the numbers of one
/// lexicon; the reader is of either.
pub fn differences(
    reader: &CoverReader<'_>,
    (before, after): (&Snapshot, &Snapshot),
    among: &[CoverId],
) -> Vec<Difference> {
    let among: HashSet<CoverId> = among.iter().copied().collect();
    let mut pairs: HashMap<CoverId, (Option<SnapshotRow>, Option<SnapshotRow>)> = HashMap::new();
    for row in before.rows().filter(|row| among.contains(&row.cover)) {
        pairs.entry(row.cover).or_default().0 = Some(row);
    }
    for row in after.rows().filter(|row| among.contains(&row.cover)) {
        pairs.entry(row.cover).or_default().1 = Some(row);
    }
    let mut found: Vec<Difference> =
        pairs.into_values().filter_map(|(before, after)| Difference::of(reader, before, after)).collect();
    found.sort_unstable_by_key(Difference::key);
    found
}
