//! 铭牌批次: what an order of plates asks for, how far it has come, and the words on its plates.

use serde::{Deserialize, Serialize};

use super::area::AreaKind;
use super::cover::CoverClass;
use super::ids::BatchId;
use super::names::named_enum;
use super::plate::Finish;

named_enum! {
    /// How far an order has come.
    #[derive(Default)]
    BatchState as "batch_state" {
        /// Its lines are still being written; nobody sees it, and one that stays so is forgotten.
        Drafted = "drafted",
        /// Its files are made one after the other; those that are done have their plates.
        UnderWay = "under_way",
        /// Every file is made and proved.
        #[default]
        Released = "released",
    }
}

named_enum! {
    /// What people do with many plates at once.
    PlateAction as "plate_action" {
        Printed = "printed",
        Spoil = "spoil",
        Reprint = "reprint",
        Issue = "issue",
        Return = "return",
    }
}

/// What was ordered, as it is shown and compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Ordered {
    /// To be bound in the field.
    Blank { count: i64 },
    /// Covers that were named one by one.
    Covers { count: i64 },
    /// Covers without a live plate that fit; `None` narrows nothing.
    Filter { district: Option<String>, class: Option<String>, road: Option<String>, state: Option<String> },
    /// The same within an area that the city keeps.
    Area { kind: AreaKind, code: String, class: Option<String> },
    /// The same within an outline that came with the order; its bounds are west, south, east, north.
    Outline { bounds: [f64; 4], class: Option<String> },
    /// In place of plates that were issued before.
    Successors { of: BatchId, count: i64 },
}

/// What a plate says beside its token, frozen when it was ordered, so that a print again is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlateWords {
    /// The code in its groups; `None` on a blank plate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    pub class: CoverClass,
    pub label: String,
    pub owner: String,
    pub hotline: String,
    pub road: String,
    /// Error correction that was asked for, 'M', 'Q' or 'H'; `None` = what suits the face.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<char>,
}

/// Labels of the city's own as they were when the batch was ordered, and what its blank plates say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchLabels {
    /// Text of the face's file; `None` = one that comes with the program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub face: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sheet: Option<String>,
    /// Colors of the classes; `None` = those that come with the program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub palette: Option<String>,
    /// How the plates are made.
    #[serde(default)]
    pub finish: Finish,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blank: Option<PlateWords>,
}

/// What a printer does wrong, measured on its calibration page and taken back on every sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrinterRecord {
    pub name: String,
    /// In millimetres, to the right and down.
    pub offset_x: f64,
    pub offset_y: f64,
    pub scale: f64,
}

/// Ordinals of a batch, each range with both its ends: `1-50, 60, 71-80`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordinals(Vec<(i64, i64)>);

/// Most ranges that one order names.
const MOST_RANGES: usize = 2000;

impl Ordinals {
    /// One range, both ends included.
    pub fn between(first: i64, last: i64) -> Self {
        Self(vec![(first, last)])
    }

    /// Single ones in any order; neighbors become ranges.
    pub fn of(ordinals: impl IntoIterator<Item = i64>) -> Self {
        Self::merged(ordinals.into_iter().map(|ordinal| (ordinal, ordinal)).collect())
    }

    /// In rising order, none touching another.
    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.0
    }

    pub fn holds(&self, ordinal: i64) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= ordinal);
        behind > 0 && self.0[behind - 1].1 >= ordinal
    }

    fn merged(mut ranges: Vec<(i64, i64)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }
}

impl std::str::FromStr for Ordinals {
    type Err = super::Refusal;

    /// Reads what people write: commas of either kind, blanks, `-`, `–` or `~` between two ends.
    fn from_str(text: &str) -> Result<Self, super::Refusal> {
        let refuse = |read: &str| {
            super::Refusal::new("batch.ordinals")
                .at("ordinals")
                .with("read", read.chars().take(40).collect::<String>())
        };
        let mut ranges = Vec::new();
        for part in text.split([',', '，', '、', ';', '；', '\n']).map(str::trim) {
            if part.is_empty() {
                continue;
            }
            let mut ends = part.split(['-', '–', '~', '～', '—']).map(str::trim);
            let number = |end: Option<&str>| {
                end.and_then(|end| end.parse::<i64>().ok()).filter(|number| (1..=1_000_000).contains(number))
            };
            let first = number(ends.next()).ok_or_else(|| refuse(part))?;
            let last = match ends.next() {
                None => first,
                end => number(end).filter(|last| *last >= first).ok_or_else(|| refuse(part))?,
            };
            if ends.next().is_some() || ranges.len() == MOST_RANGES {
                return Err(refuse(part));
            }
            ranges.push((first, last));
        }
        if ranges.is_empty() {
            return Err(refuse(text));
        }
        Ok(Self::merged(ranges))
    }
}

impl std::fmt::Display for Ordinals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            match first == last {
                true => write!(f, "{first}")?,
                false => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Ordinals>().map(|ordinals| ordinals.to_string());
        assert_eq!(read("60, 1–50，51"), Ok("1-51,60".to_owned()));
        assert_eq!(read(" 7 "), Ok("7".to_owned()));
        assert_eq!(read("3~5\n4-9"), Ok("3-9".to_owned()));
        for wrong in ["", "0", "9-3", "1-2-3", "x", "-4", "1000001"] {
            assert_eq!(read(wrong).unwrap_err().code, "batch.ordinals", "{wrong}");
        }
        let some: Ordinals = "2-4,9".parse().unwrap();
        let held: Vec<i64> = (0..=10).filter(|ordinal| some.holds(*ordinal)).collect();
        assert_eq!(held, [2, 3, 4, 9]);
        assert_eq!(Ordinals::of([9, 3, 2, 4]), some);
    }
}
