//! 立案、处置和结案标准: how long a hazard may take by cover class and filing condition, what closes it and
//! what a party has to bring, with the calendars by which that is counted (domain.md §1.5–1.6, §3). A city's
//! rules are a TOML text; `labels/limits.toml` is the built-in one and explains each line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::case::{Case, CaseState};
use super::clock::{Limit, WorkTime};
use super::cover::CoverClass;
use super::hazard::Hazard;
use super::ids::CaseId;
use super::names::named_enum;
use super::rule_text;

/// The calendar that is always there.
pub const CITY: &str = "city";

/// The same words in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    pub zh: String,
    pub en: String,
}

named_enum! {
    /// What a party brings when it hands in.
    HandInEvidence as "hand_in_evidence" {
        /// At least one photo of what was there.
        Before = "before",
        /// At least one photo of what is there now.
        After = "after",
        /// Where the phone was.
        Position = "position",
    }
}

/// One row: a filing condition of some hazards and classes with its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRow {
    pub id: String,
    /// Empty = every hazard.
    #[serde(default)]
    pub hazards: BTreeSet<Hazard>,
    /// Empty = every class.
    #[serde(default)]
    pub classes: BTreeSet<CoverClass>,
    /// 立案条件
    pub condition: Words,
    /// 处置时限; where there is `repair`, until it is made safe.
    pub limit: Limit,
    /// From made safe to repaired.
    pub repair: Option<Limit>,
    #[serde(default = "city")]
    pub calendar: String,
    /// 结案条件
    pub closing: Words,
    #[serde(default)]
    pub evidence: BTreeSet<HandInEvidence>,
}

fn city() -> String {
    CITY.to_owned()
}

impl LimitRow {
    fn fits(&self, hazard: Hazard, class: Option<CoverClass>) -> bool {
        (self.hazards.is_empty() || self.hazards.contains(&hazard))
            && (self.classes.is_empty() || class.is_some_and(|class| self.classes.contains(&class)))
    }
}

/// Limits of the steps that are the desk's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskLimits {
    pub file: Limit,
    pub dispatch: Limit,
    /// For the parties of a claim pool.
    pub claim: Limit,
    pub check: Limit,
    pub close: Limit,
    pub urgent: UrgentLimits,
}

/// The same for emergencies, which are filed by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrgentLimits {
    pub dispatch: Limit,
    pub claim: Limit,
    pub check: Limit,
    pub close: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtensionRule {
    pub most: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspensionRule {
    pub most: u32,
    /// Longest one.
    pub days: u32,
}

/// 回头看: of a hundred closed cases, how many are looked at again after so many days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookBackRule {
    pub days: u32,
    pub share: u32,
    pub emergencies: u32,
}

/// A city's rules of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRules {
    pub calendars: BTreeMap<String, WorkTime>,
    pub desk: DeskLimits,
    pub extension: ExtensionRule,
    pub suspension: SuspensionRule,
    pub limits: Vec<LimitRow>,
    #[serde(default)]
    pub look_back: Vec<LookBackRule>,
}

/// The text of the built-in rules.
pub const BUILT_IN: &str = include_str!("../../labels/limits.toml");

static RULES: LazyLock<Arc<LimitRules>> =
    LazyLock::new(|| Arc::new(LimitRules::from_toml(BUILT_IN).expect("a test reads the built-in rules")));

impl LimitRules {
    pub fn built_in() -> &'static Arc<Self> {
        &RULES
    }

    /// Reads a rules file and refuses one by which some case would have no limit.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        rule_text::read(text, Self::check)
    }

    fn check(&self) -> Result<(), String> {
        let Some(_) = self.calendars.get(CITY) else {
            return Err("there is no [calendars.city]".to_owned());
        };
        if let Some((name, _)) = self.calendars.iter().find(|(_, calendar)| !calendar.has_hours()) {
            return Err(format!("calendar {name} has no hours in which people work"));
        }
        rule_text::check_ids(self.limits.iter().map(|row| row.id.as_str()))?;
        for row in &self.limits {
            if !self.calendars.contains_key(&row.calendar) {
                return Err(format!("row {}: there is no calendar {}", row.id, row.calendar));
            }
        }
        let is_last_resort = |row: &LimitRow| row.hazards.is_empty() && row.classes.is_empty();
        if !self.limits.iter().any(is_last_resort) {
            return Err("there is no row without hazards and classes, for all that fits no other".to_owned());
        }
        if self.extension.most > 10 || self.suspension.most > 10 || !(1..=366).contains(&self.suspension.days)
        {
            return Err(
                "extension.most and suspension.most lie between 0 and 10, suspension.days between 1 and 366"
                    .to_owned(),
            );
        }
        for rule in &self.look_back {
            if !(1..=3660).contains(&rule.days) || rule.share > 100 || rule.emergencies > 100 {
                return Err("look_back: days from 1 to 3660, share and emergencies from 0 to 100".to_owned());
            }
        }
        Ok(())
    }

    /// The rows under which a hazard of a class can be filed, the usual one first.
    pub fn rows(&self, hazard: Hazard, class: Option<CoverClass>) -> impl Iterator<Item = &LimitRow> {
        self.limits.iter().filter(move |row| row.fits(hazard, class))
    }

    /// The row of this id, if it fits.
    pub fn find_row(&self, id: &str, hazard: Hazard, class: Option<CoverClass>) -> Option<&LimitRow> {
        self.rows(hazard, class).find(|row| row.id == id)
    }

    /// The row by which a case is filed: the one that the desk chose while it is there, otherwise the first.
    pub fn row_of(&self, case: &Case, class: Option<CoverClass>) -> &LimitRow {
        let chosen =
            case.clock.condition.as_deref().and_then(|id| self.limits.iter().find(|row| row.id == id));
        let usual = || self.rows(case.hazard, class).next().or(self.limits.last());
        chosen.or_else(usual).expect("rules without rows are refused")
    }

    /// The calendar of this name; the city's where it is gone.
    pub fn calendar(&self, name: &str) -> &WorkTime {
        let city = || self.calendars.get(CITY);
        self.calendars.get(name).or_else(city).expect("rules without a city calendar are refused")
    }

    /// How long the desk, or a claim pool, may take for the step at which a case stands; `None` where the
    /// step is a party's or the case is over.
    pub fn desk_limit(&self, state: CaseState, emergency: bool) -> Option<Limit> {
        let (desk, urgent) = (&self.desk, &self.desk.urgent);
        let pick = |usual, hurried| Some(if emergency { hurried } else { usual });
        match state {
            CaseState::Reported => Some(desk.file),
            // Work that failed its check is nobody's where a crew had mended what no party looks after.
            CaseState::Filed | CaseState::Returned | CaseState::Reopened | CaseState::Handling => {
                pick(desk.dispatch, urgent.dispatch)
            }
            CaseState::Handled => pick(desk.check, urgent.check),
            CaseState::Checked => pick(desk.close, urgent.close),
            _ => None,
        }
    }

    pub fn claim_limit(&self, emergency: bool) -> Limit {
        if emergency { self.desk.urgent.claim } else { self.desk.claim }
    }

    /// The look-backs that closing a case brings about. Which cases are drawn hangs on their ids alone, so
    /// that nobody can choose and a repeated call draws alike.
    pub fn look_backs(&self, case: CaseId, emergency: bool) -> impl Iterator<Item = &LookBackRule> {
        self.look_back.iter().filter(move |rule| {
            let share = if emergency { rule.emergencies } else { rule.share };
            draw(case, rule.days) < u64::from(share)
        })
    }
}

/// A number from 0 to 99 that looks random: FNV-1a over id and days.
fn draw(case: CaseId, days: u32) -> u64 {
    let bytes = case.0.into_bytes().into_iter().chain(days.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_have_a_row_for_every_hazard_of_every_class() {
        let rules = LimitRules::from_toml(BUILT_IN).unwrap();
        for hazard in Hazard::ALL {
            for class in CoverClass::ALL.iter().copied().map(Some).chain([None]) {
                assert!(rules.rows(*hazard, class).next().is_some(), "{hazard} {class:?}");
            }
        }
        let first = |hazard, class| rules.rows(hazard, class).next().unwrap();
        assert_eq!(first(Hazard::Missing, Some(CoverClass::Sewage)).limit.to_string(), "2 h");
        assert_eq!(first(Hazard::Broken, Some(CoverClass::Sewage)).limit.to_string(), "4 work_h");
        assert_eq!(first(Hazard::Broken, Some(CoverClass::Heating)).limit.to_string(), "1 work_days");
        assert_eq!(
            first(Hazard::Missing, Some(CoverClass::StreetLight)).repair.unwrap().to_string(),
            "3 days"
        );
    }

    #[test]
    fn rules_by_which_a_case_would_have_no_limit_are_refused() {
        let broken = |from: &str, to: &str| {
            assert!(BUILT_IN.contains(from), "{from}");
            LimitRules::from_toml(&BUILT_IN.replacen(from, to, 1)).unwrap_err().to_string()
        };
        assert!(broken("[calendars.city]", "[calendars.town]").contains("calendars.city"));
        assert!(broken("id = \"other\"", "id = \"other\"\nhazards = [\"other\"]").contains("no row"));
        assert!(broken("id = \"open\"", "id = \"light-open\"").contains("twice"));
        assert!(broken("limit = \"2 h\"", "limit = \"2 hours\"").contains("4 work_h"));
        assert!(broken("most = 2", "most = 2\nmots = 3").contains("mots"));
        assert!(broken("share = 20", "share = 120").contains("look_back"));
    }

    #[test]
    fn about_as_many_cases_are_looked_at_again_as_the_rule_says() {
        let rules = LimitRules::built_in();
        let drawn = |emergency| {
            let cases = (0..10_000).map(|_| CaseId::fresh());
            cases.filter(|case| rules.look_backs(*case, emergency).any(|rule| rule.days == 30)).count()
        };
        assert!((1_800..2_200).contains(&drawn(false)), "{}", drawn(false));
        assert_eq!(drawn(true), 10_000);
    }
}
