//! 会商: what a joint meeting decided about cases, covers or roads, and how long that overrides the routing of cases.
//! Also quarters, by which exemplary cases are listed.

use std::fmt;
use std::str::FromStr;

use super::Refusal;
use super::ids::{CaseId, CoverId, Millis, PartyId};
use super::names::named_enum;

named_enum! {
    /// What a meeting decided about. The first that fits a case is what counts for it.
    SubjectKind as "subject_kind" {
        Case = "case",
        Cover = "cover",
        /// A road within a district.
        Road = "road",
    }
}

/// A thing that a meeting decided about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Case(CaseId),
    Cover(CoverId),
    Road { district: String, road: String },
}

impl Subject {
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Subject::Case(_) => SubjectKind::Case,
            Subject::Cover(_) => SubjectKind::Cover,
            Subject::Road { .. } => SubjectKind::Road,
        }
    }
}

/// What is asked of the decisions in force: where a case is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionQuery<'a> {
    /// `None` = a case that is only being made.
    pub case: Option<CaseId>,
    pub cover: Option<CoverId>,
    pub district: &'a str,
    pub road: Option<&'a str>,
}

/// Who leads by a decision that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Number of the meeting.
    pub meeting: String,
    pub lead: PartyId,
    /// Until when it is to be done; from then on it overrides nothing.
    pub due_at: Millis,
}

/// A quarter of a year: `2026-Q4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarter {
    pub year: i32,
    /// 1 to 4.
    pub quarter: u8,
}

impl Quarter {
    /// The one in which a month (1 to 12) lies.
    pub const fn of(year: i32, month: u8) -> Self {
        Self { year, quarter: month.saturating_sub(1) / 3 + 1 }
    }

    /// The one before, or after.
    pub const fn step(self, by: i32) -> Self {
        let at = self.year * 4 + self.quarter as i32 - 1 + by;
        Self { year: at.div_euclid(4), quarter: at.rem_euclid(4) as u8 + 1 }
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-Q{}", self.year, self.quarter)
    }
}

impl FromStr for Quarter {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let parsed = text.split_once("-Q").and_then(|(year, quarter)| {
            Some(Self { year: year.parse().ok()?, quarter: quarter.parse().ok()? })
        });
        let fits = |quarter: &Self| {
            (1970..=2200).contains(&quarter.year)
                && (1..=4).contains(&quarter.quarter)
                && quarter.to_string() == text
        };
        let read: String = text.chars().take(60).collect();
        parsed.filter(fits).ok_or_else(|| Refusal::new("quarter.unknown").at("quarter").with("read", read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_follow_each_other_over_the_year() {
        let last: Quarter = "2026-Q4".parse().unwrap();
        assert_eq!(last.step(1).to_string(), "2027-Q1");
        assert_eq!(last.step(-4).to_string(), "2025-Q4");
        assert_eq!([1, 3, 4, 12].map(|month| Quarter::of(2026, month).quarter), [1, 1, 2, 4]);
        for wrong in ["2026-Q5", "2026-Q0", "2026-4", "2026-Q04", "x", ""] {
            assert_eq!(wrong.parse::<Quarter>().unwrap_err().code, "quarter.unknown", "{wrong:?}");
        }
    }
}
