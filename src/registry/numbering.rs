//! 编号: the running numbers that a census uses up. A chunk is numbered before its transaction, from
//! what the run knows of every sequence; the transaction takes the numbers, and numbers the chunk anew
//! where somebody else took some in between. So no number is lost and none is given twice.

use std::collections::{BTreeMap, HashMap};

use super::RegistryError;
use crate::domain::code::{CodeParts, ComponentCode, Scheme};
use crate::domain::cover::{Candidate, CoverClass};
use crate::store::covers::{self, SequenceMove};
use crate::store::{StoreError, Tx};

/// What the run knows of the sequences: last number by scheme, district and class.
pub(super) struct Sequences {
    last: HashMap<(String, String, CoverClass), i64>,
}

/// What a chunk asks of the sequences.
pub(super) struct Demand {
    /// Sequences that codes of the census' own have passed.
    lifts: Vec<SequenceMove>,
    /// How many numbers are taken of which.
    takes: Vec<SequenceMove>,
}

impl Demand {
    /// `rows` are the new covers in their order, each with the parts of the code that it brings.
    pub(super) fn of<'r>(
        rows: impl Iterator<Item = (&'r Candidate, Option<&'r CodeParts>)>,
        scheme: &Scheme,
    ) -> Self {
        let mut lifts: BTreeMap<(&str, &str, CoverClass), i64> = BTreeMap::new();
        let mut takes: BTreeMap<(&str, CoverClass), i64> = BTreeMap::new();
        for (row, parts) in rows {
            match (&row.code, parts) {
                (Some(code), Some(parts)) => {
                    let highest = lifts.entry((&code.scheme, &parts.district, parts.class)).or_default();
                    *highest = (*highest).max(parts.sequence as i64);
                }
                (Some(_), None) => {}
                (None, _) => *takes.entry((&row.survey.district, row.survey.class)).or_default() += 1,
            }
        }
        let one = |scheme: &str, district: &str, class, number| SequenceMove {
            scheme: scheme.to_owned(),
            district: district.to_owned(),
            class,
            number,
        };
        Self {
            lifts: lifts.into_iter().map(|((s, d, class), number)| one(s, d, class, number)).collect(),
            takes: takes.into_iter().map(|((d, class), count)| one(&scheme.id, d, class, count)).collect(),
        }
    }

    /// Takes the numbers; answers the last one of each sequence taken from.
    pub(super) async fn take(&self, tx: &mut Tx) -> Result<Vec<i64>, StoreError> {
        covers::lift_sequences(tx, &self.lifts).await?;
        covers::advance_sequences(tx, &self.takes).await
    }

    /// The codes of the new covers in their order: those they bring, the others numbered on up to `lasts`.
    pub(super) fn number<'r>(
        &self,
        rows: impl Iterator<Item = &'r Candidate>,
        scheme: &Scheme,
        lasts: &[i64],
    ) -> Result<Vec<ComponentCode>, RegistryError> {
        let mut next: HashMap<(&str, CoverClass), u64> = HashMap::new();
        for (taken, last) in self.takes.iter().zip(lasts) {
            next.insert((&taken.district, taken.class), (last - taken.number + 1) as u64);
        }
        rows.map(|row| {
            if let Some(code) = &row.code {
                return Ok(code.clone());
            }
            let sequence = next.entry((row.survey.district.as_str(), row.survey.class)).or_insert(1);
            let code = scheme.compose(&row.survey.district, row.survey.class, *sequence)?;
            *sequence += 1;
            Ok(code)
        })
        .collect()
    }
}

impl Sequences {
    pub(super) async fn read(tx: &mut Tx) -> Result<Self, RegistryError> {
        let known = covers::list_sequences(tx).await?;
        let last = known.into_iter().map(|one| ((one.scheme, one.district, one.class), one.number));
        Ok(Self { last: last.collect() })
    }

    /// What `Demand::take` will answer unless somebody else comes first.
    pub(super) fn foresee(&mut self, demand: &Demand) -> Vec<i64> {
        for lift in &demand.lifts {
            let last = self.last_of(lift);
            *last = (*last).max(lift.number);
        }
        let takes = demand.takes.iter().map(|taken| {
            let last = self.last_of(taken);
            *last += taken.number;
            *last
        });
        takes.collect()
    }

    fn last_of(&mut self, of: &SequenceMove) -> &mut i64 {
        self.last.entry((of.scheme.clone(), of.district.clone(), of.class)).or_default()
    }
}
