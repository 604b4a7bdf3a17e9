//! 分级: how much a case hurries, as points that can be read out (category × placement × time × weather × repeat).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cover::Placement;
use super::hazard::Hazard;
use super::names::named_enum;

/// Points of each thing that makes a case hurry; what is left out counts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TriageRules {
    /// For each report beyond the first.
    pub repeat: i64,
    pub repeat_most: i64,
    pub out_of_hours: i64,
    pub weather: i64,
    pub recurrence: i64,
    pub hazards: BTreeMap<Hazard, i64>,
    pub placements: BTreeMap<Placement, i64>,
    pub weather_hazards: WeatherHazards,
}

/// The hazards that weather makes worse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WeatherHazards {
    pub hazards: BTreeSet<Hazard>,
}

named_enum! {
    /// What the points are for.
    TriageFactor as "triage_factor" {
        Hazard = "hazard",
        Placement = "placement",
        OutOfHours = "out_of_hours",
        Weather = "weather",
        Repeat = "repeat",
        Recurrence = "recurrence",
    }
}

/// What is known of a case when it is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriageFacts {
    pub hazard: Hazard,
    pub placement: Option<Placement>,
    pub out_of_hours: bool,
    /// Whether weather mode is on.
    pub weather: bool,
    pub reports: i64,
    pub recurs: bool,
}

impl TriageRules {
    /// The points of each factor that counts; their sum is the score.
    pub fn explain(&self, facts: &TriageFacts) -> Vec<(TriageFactor, i64)> {
        let of = |yes: bool, points: i64| if yes { points } else { 0 };
        let weather = facts.weather && self.weather_hazards.hazards.contains(&facts.hazard);
        let repeat =
            (facts.reports.saturating_sub(1).max(0)).saturating_mul(self.repeat).min(self.repeat_most);
        let placed = facts.placement.and_then(|placement| self.placements.get(&placement));
        [
            (TriageFactor::Hazard, self.hazards.get(&facts.hazard).copied().unwrap_or(0)),
            (TriageFactor::Placement, placed.copied().unwrap_or(0)),
            (TriageFactor::OutOfHours, of(facts.out_of_hours, self.out_of_hours)),
            (TriageFactor::Weather, of(weather, self.weather)),
            (TriageFactor::Repeat, repeat),
            (TriageFactor::Recurrence, of(facts.recurs, self.recurrence)),
        ]
        .into_iter()
        .filter(|(_, points)| *points != 0)
        .collect()
    }

    pub fn score(&self, facts: &TriageFacts) -> i64 {
        self.explain(facts).into_iter().map(|(_, points)| points).sum()
    }

    /// Refuses points with which a sum means nothing.
    pub(super) fn check(&self) -> Result<(), String> {
        let single = [self.repeat, self.repeat_most, self.out_of_hours, self.weather, self.recurrence];
        let all = single.iter().chain(self.hazards.values()).chain(self.placements.values());
        if all.into_iter().any(|points| !(0..=1000).contains(points)) {
            return Err("triage: points lie between 0 and 1000".to_owned());
        }
        Ok(())
    }
}
