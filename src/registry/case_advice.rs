//! What somebody who deals with a case wants to know: by which row it is filed, who should get it and why, how much
//! it hurries and why, and what else is open close by.

use super::case_flow::{decision_on, routing_facts, triage_facts};
use super::cases::{CaseFile, ground_of};
use super::{Registry, RegistryError};
use crate::domain::case::{Case, CaseSource};
use crate::domain::cover::{CoverClass, Placement};
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CaseId, Millis};
use crate::domain::limits::{LimitRow, Words};
use crate::domain::meeting::Decision;
use crate::domain::position::distance_m;
use crate::domain::routing::{KnownParty, Misfit, Route, Routed, RoutingFacts, Template};
use crate::domain::triage::{TriageFactor, TriageFacts};
use crate::spatial::BBox;
use crate::store::Tx;
use crate::store::cases::{self, NearCase};

/// Open cases so near and so fresh may be the same (domain.md §1.5).
pub const SIMILAR_M: f64 = 50.0;
pub const SIMILAR_MS: i64 = 24 * 3_600_000;

/// An open case close by.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarCase {
    pub near: NearCase,
    pub distance_m: f64,
}

/// Who gets a case by the rules, with the words of the rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteAdvice {
    /// Id and words of the rule that holds; `None` where none does.
    pub rule: Option<(String, Words)>,
    pub to: Routed,
    pub party: Option<KnownParty>,
    pub automatic: bool,
    /// Id and words of each rule before it, and why it does not hold.
    pub passed: Vec<(String, Words, Misfit)>,
    pub rules_version: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CaseAdvice {
    /// The row by which it is filed.
    pub row: LimitRow,
    /// Every row that fits.
    pub rows: Vec<LimitRow>,
    pub route: RouteAdvice,
    /// What a joint meeting decided, with the name of the party that leads; it goes before the rules.
    pub decision: Option<(Decision, String)>,
    pub triage: Vec<(TriageFactor, i64)>,
    pub pools: Vec<(String, Words)>,
    pub templates: Vec<Template>,
    pub similar: Vec<SimilarCase>,
    /// The case before of which this is the hazard again.
    pub recurs: Option<String>,
    /// To whom it is offered, where it waits in a claim pool.
    pub offered_to: Vec<KnownParty>,
}

impl Registry {
    /// What the rules say of a case, and what is open close by.
    pub async fn advise_case(&self, file: &CaseFile) -> Result<CaseAdvice, RegistryError> {
        let (case, now) = (&file.case, self.now());
        let mut tx = self.store.read().await?;
        let rules = self.rule_book.active(&mut tx, now).await?;
        let (ground, place) = ground_of(&mut tx, case).await?;
        let facts = routing_facts(case, &ground, &rules);
        let route = self.rule_book.route(&mut tx, &rules, &facts).await?;
        let recurs = match case.recurs {
            Some(before) => cases::find_case(&mut tx, before).await?.map(|before| before.number),
            None => None,
        };
        let decision = decision_on(&mut tx, case, &ground, now).await?;
        let decision = decision.map(|decision| {
            let lead = rules.known(Some(decision.lead)).map_or_else(String::new, |party| party.name);
            (decision, lead)
        });
        Ok(CaseAdvice {
            decision,
            row: rules.limits.row_of(case, ground.class).clone(),
            rows: rules.limits.rows(case.hazard, ground.class).cloned().collect(),
            route: advice_of(&rules, route),
            triage: rules.routing.triage.explain(&triage_facts(case, ground.placement, &rules)),
            pools: rules
                .routing
                .pools
                .iter()
                .map(|(name, pool)| (name.clone(), pool.words.clone()))
                .collect(),
            templates: rules.routing.templates.clone(),
            similar: similar_to(&mut tx, place, Some(case.id), case.created_at).await?,
            recurs,
            offered_to: case.offered_to.iter().filter_map(|party| rules.known(Some(*party))).collect(),
        })
    }

    /// Open cases within 50 m that came within a day of `at`.
    pub async fn list_similar_cases(
        &self,
        place: (f64, f64),
        at: Millis,
    ) -> Result<Vec<SimilarCase>, RegistryError> {
        similar_to(&mut self.store.read().await?, place, None, at).await
    }

    /// 规则试算: what would happen to such a report at such a time, without any of it happening.
    pub async fn try_rules(&self, trial: &RuleTrial) -> Result<RuleVerdict, RegistryError> {
        let mut tx = self.store.read().await?;
        let rules = self.rule_book.active(&mut tx, trial.at).await?;
        let emergency = trial.hazard.is_emergency();
        let facts = RoutingFacts {
            hazard: trial.hazard,
            class: trial.class,
            district: trial.district.clone(),
            source: trial.source,
            placement: trial.placement,
            owner: rules.known(trial.owner.as_deref().and_then(|name| rules.find_party(name))),
            maintainer: rules.known(trial.maintainer.as_deref().and_then(|name| rules.find_party(name))),
            supervisor: None,
            emergency,
            out_of_hours: rules.out_of_hours(),
            weather: rules.weather.is_some(),
        };
        let route = self.rule_book.route(&mut tx, &rules, &facts).await?;
        let row = rules.limits.rows(trial.hazard, trial.class).next().or(rules.limits.limits.last());
        let row = row.expect("rules without rows are refused").clone();
        let due_at = rules.limits.calendar(&row.calendar).advance(trial.at, row.limit);
        let weighed = TriageFacts {
            hazard: trial.hazard,
            placement: trial.placement,
            out_of_hours: rules.out_of_hours(),
            weather: rules.weather.is_some(),
            reports: 1,
            recurs: false,
        };
        Ok(RuleVerdict {
            emergency,
            out_of_hours: rules.out_of_hours(),
            triage: rules.routing.triage.explain(&weighed),
            route: advice_of(&rules, route),
            due_at,
            row,
            limits_version: rules.limits_version,
        })
    }
}

/// A report that somebody imagines.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTrial {
    pub hazard: Hazard,
    pub class: Option<CoverClass>,
    pub district: String,
    pub placement: Option<Placement>,
    pub source: CaseSource,
    /// Names.
    pub owner: Option<String>,
    pub maintainer: Option<String>,
    pub at: Millis,
}

/// What the rules would make of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleVerdict {
    pub emergency: bool,
    pub out_of_hours: bool,
    pub row: LimitRow,
    /// Until when a party would have to hand in that got it at once.
    pub due_at: Option<Millis>,
    pub route: RouteAdvice,
    pub triage: Vec<(TriageFactor, i64)>,
    pub limits_version: i64,
}

fn advice_of(rules: &super::ActiveRules, route: Route) -> RouteAdvice {
    let named = |at: usize| rules.routing.rules.get(at).map(|rule| (rule.id.clone(), rule.words.clone()));
    let passed = route.passed.iter().enumerate();
    RouteAdvice {
        rule: route.rule.and_then(named),
        party: match &route.to {
            Routed::Party(party) => rules.known(Some(*party)),
            _ => None,
        },
        to: route.to.clone(),
        automatic: route.automatic,
        passed: passed.filter_map(|(at, misfit)| named(at).map(|(id, words)| (id, words, *misfit))).collect(),
        rules_version: rules.routing_version,
    }
}

async fn similar_to(
    tx: &mut Tx,
    (lon, lat): (f64, f64),
    but: Option<CaseId>,
    at: Millis,
) -> Result<Vec<SimilarCase>, RegistryError> {
    let ranges: Vec<(i64, i64)> = BBox::around(lon, lat, SIMILAR_M)
        .key_ranges()
        .into_iter()
        .map(|range| (range.first, range.last))
        .collect();
    let window = (Millis(at.0 - SIMILAR_MS), Millis(at.0 + SIMILAR_MS));
    let near = cases::list_near_cases(tx, &ranges, window).await?;
    let mut similar: Vec<SimilarCase> = near
        .into_iter()
        .filter(|near| Some(near.case.id) != but)
        .map(|near| SimilarCase { distance_m: distance_m((lon, lat), (near.lon, near.lat)), near })
        .filter(|similar| similar.distance_m <= SIMILAR_M)
        .collect();
    similar.sort_by(|one, other| one.distance_m.total_cmp(&other.distance_m));
    Ok(similar)
}

/// Whether a case is past the end of its step.
pub fn is_overdue(case: &Case, now: Millis) -> bool {
    case.due_at.is_some_and(|due| due < now)
}
