//! 派遣规则: who gets a case, by ordered rules of which the first that fits holds, in words that a person can check.
//! A city's rules are a TOML text; `labels/routing.toml` is the built-in one and explains each line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::case::{CaseMove, CaseSource};
use super::cover::{CoverClass, Placement};
use super::hazard::Hazard;
use super::ids::PartyId;
use super::limits::Words;
use super::names::named_enum;
use super::rule_text;
use super::triage::TriageRules;

named_enum! {
    /// When a rule holds, by the city's work calendar.
    When as "when" { WorkHours = "work_hours", OutOfHours = "out_of_hours" }
}

named_enum! {
    /// Which cases leave without somebody at the desk.
    Automatic as "automatic" {
        Never = "never",
        Emergencies = "emergencies",
        Always = "always",
    }
}

/// Where a rule sends a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Destination {
    Maintainer,
    Owner,
    Supervisor,
    /// By its name.
    Party(String),
    Pool(String),
    /// Somebody decides.
    Desk,
}

impl TryFrom<String> for Destination {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let named = |prefix: &str| text.strip_prefix(prefix).map(|name| name.trim().to_owned());
        Ok(match text.as_str() {
            "maintainer" => Self::Maintainer,
            "owner" => Self::Owner,
            "supervisor" => Self::Supervisor,
            "desk" => Self::Desk,
            _ => match (named("party "), named("pool ")) {
                (Some(name), _) if !name.is_empty() => Self::Party(name),
                (_, Some(name)) if !name.is_empty() => Self::Pool(name),
                _ => {
                    return Err(format!(
                        "{text} is nowhere to send a case; write maintainer, owner, supervisor, desk, party NAME or pool NAME"
                    ));
                }
            },
        })
    }
}

impl From<Destination> for String {
    fn from(to: Destination) -> Self {
        match to {
            Destination::Maintainer => "maintainer".to_owned(),
            Destination::Owner => "owner".to_owned(),
            Destination::Supervisor => "supervisor".to_owned(),
            Destination::Desk => "desk".to_owned(),
            Destination::Party(name) => format!("party {name}"),
            Destination::Pool(name) => format!("pool {name}"),
        }
    }
}

/// One rule. A condition that is left out holds always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingRule {
    pub id: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hazards: BTreeSet<Hazard>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<CoverClass>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub districts: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sources: BTreeSet<CaseSource>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub owners: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub maintainers: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub placements: BTreeSet<Placement>,
    pub owner_known: Option<bool>,
    pub maintainer_known: Option<bool>,
    pub emergency: Option<bool>,
    pub when: Option<When>,
    pub weather: Option<bool>,
    pub to: Destination,
    pub automatic: Automatic,
    pub words: Words,
}

/// 认领池
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Names; empty = all that look after covers of the class, or any.
    #[serde(default)]
    pub parties: BTreeSet<String>,
    /// Who gets it when nobody claims it.
    pub fallback: Option<String>,
    pub words: Words,
}

/// A sentence to choose instead of typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    #[serde(rename = "move")]
    pub made: CaseMove,
    pub zh: String,
    pub en: String,
}

/// A city's rules of who gets what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingRules {
    pub rules: Vec<RoutingRule>,
    #[serde(default)]
    pub pools: BTreeMap<String, Pool>,
    #[serde(default)]
    pub triage: TriageRules,
    #[serde(default)]
    pub templates: Vec<Template>,
}

/// A party as rules know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownParty {
    pub id: PartyId,
    pub name: String,
}

/// What is known of a case when it is dispatched.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutingFacts {
    pub hazard: Hazard,
    pub class: Option<CoverClass>,
    pub district: String,
    pub source: CaseSource,
    pub placement: Option<Placement>,
    pub owner: Option<KnownParty>,
    pub maintainer: Option<KnownParty>,
    pub supervisor: Option<KnownParty>,
    pub emergency: bool,
    pub out_of_hours: bool,
    /// Whether weather mode is on.
    pub weather: bool,
}

/// Why a rule does not hold: the first condition that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    Hazard,
    Class,
    District,
    Source,
    Owner,
    Maintainer,
    Placement,
    OwnerKnown,
    MaintainerKnown,
    Emergency,
    When,
    Weather,
    /// Its party is not known, or there is none of that name.
    NoParty,
}

impl Misfit {
    /// Key of its words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Misfit::Hazard => "hazard",
            Misfit::Class => "class",
            Misfit::District => "district",
            Misfit::Source => "source",
            Misfit::Owner => "owner",
            Misfit::Maintainer => "maintainer",
            Misfit::Placement => "placement",
            Misfit::OwnerKnown => "owner_known",
            Misfit::MaintainerKnown => "maintainer_known",
            Misfit::Emergency => "emergency",
            Misfit::When => "when",
            Misfit::Weather => "weather",
            Misfit::NoParty => "no_party",
        }
    }
}

/// Who gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    Party(PartyId),
    Pool { name: String, parties: Vec<PartyId> },
    Desk,
}

/// What the rules say of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Place of the rule that holds in the list; `None` where none does and the desk decides.
    pub rule: Option<usize>,
    pub to: Routed,
    /// Whether it leaves without a person.
    pub automatic: bool,
    /// Why each rule before it does not hold.
    pub passed: Vec<Misfit>,
}

/// The parties there are, for rules that name them and pools that leave them out.
pub trait Parties {
    fn find(&self, name: &str) -> Option<PartyId>;
    /// Those that own or maintain covers of this class; where there are none, of any.
    fn lookers_after(&self, class: Option<CoverClass>) -> Vec<PartyId>;
}

/// The text of the built-in rules.
pub const BUILT_IN: &str = include_str!("../../labels/routing.toml");

static RULES: LazyLock<Arc<RoutingRules>> =
    LazyLock::new(|| Arc::new(RoutingRules::from_toml(BUILT_IN).expect("a test reads the built-in rules")));

impl RoutingRules {
    pub fn built_in() -> &'static Arc<Self> {
        &RULES
    }

    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        rule_text::read(text, Self::check)
    }

    fn check(&self) -> Result<(), String> {
        rule_text::check_ids(self.rules.iter().map(|rule| rule.id.as_str()))?;
        for rule in &self.rules {
            if let Destination::Pool(name) = &rule.to
                && !self.pools.contains_key(name)
            {
                return Err(format!("rule {}: there is no [pools.{name}]", rule.id));
            }
        }
        self.triage.check()
    }

    /// Names of parties that stand in the rules, to be looked up when they are saved.
    pub fn party_names(&self) -> BTreeSet<&str> {
        let direct = self.rules.iter().filter_map(|rule| match &rule.to {
            Destination::Party(name) => Some(name.as_str()),
            _ => None,
        });
        let pools = self.pools.values();
        let pooled = pools.flat_map(|pool| pool.parties.iter().chain(&pool.fallback).map(String::as_str));
        direct.chain(pooled).collect()
    }

    /// Who gets a case: the first rule that holds.
    pub fn route(&self, facts: &RoutingFacts, parties: &impl Parties) -> Route {
        let mut passed = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let held = rule
                .misfit(facts)
                .map_or(Ok(()), Err)
                .and_then(|()| self.resolve(&rule.to, facts, parties).ok_or(Misfit::NoParty));
            match held {
                Err(misfit) => passed.push(misfit),
                Ok(to) => {
                    let automatic = to != Routed::Desk
                        && match rule.automatic {
                            Automatic::Never => false,
                            Automatic::Emergencies => facts.emergency,
                            Automatic::Always => true,
                        };
                    return Route { rule: Some(at), to, automatic, passed };
                }
            }
        }
        Route { rule: None, to: Routed::Desk, automatic: false, passed }
    }

    fn resolve(&self, to: &Destination, facts: &RoutingFacts, parties: &impl Parties) -> Option<Routed> {
        let known = |party: &Option<KnownParty>| party.as_ref().map(|party| Routed::Party(party.id));
        match to {
            Destination::Maintainer => known(&facts.maintainer),
            Destination::Owner => known(&facts.owner),
            Destination::Supervisor => known(&facts.supervisor),
            Destination::Party(name) => parties.find(name).map(Routed::Party),
            Destination::Pool(name) => {
                let parties = self.pool_parties(name, facts.class, parties);
                (!parties.is_empty()).then(|| Routed::Pool { name: name.clone(), parties })
            }
            Destination::Desk => Some(Routed::Desk),
        }
    }

    /// The parties of a pool, for a cover of this class.
    pub fn pool_parties(
        &self,
        name: &str,
        class: Option<CoverClass>,
        parties: &impl Parties,
    ) -> Vec<PartyId> {
        let Some(pool) = self.pools.get(name) else { return Vec::new() };
        match pool.parties.is_empty() {
            true => parties.lookers_after(class),
            false => pool.parties.iter().filter_map(|name| parties.find(name)).collect(),
        }
    }

    /// The sentences to choose from for a move.
    pub fn templates(&self, made: CaseMove) -> impl Iterator<Item = &Template> {
        self.templates.iter().filter(move |template| template.made == made)
    }
}

impl RoutingRule {
    /// The first condition that does not hold; `None` when all do.
    fn misfit(&self, facts: &RoutingFacts) -> Option<Misfit> {
        fn lacks<T: Ord>(list: &BTreeSet<T>, value: Option<&T>) -> bool {
            !list.is_empty() && value.is_none_or(|value| !list.contains(value))
        }
        let name = |party: &'_ Option<KnownParty>| party.as_ref().map(|party| party.name.clone());
        let differs = |wanted: Option<bool>, is: bool| wanted.is_some_and(|wanted| wanted != is);
        let when = if facts.out_of_hours { When::OutOfHours } else { When::WorkHours };
        [
            (lacks(&self.hazards, Some(&facts.hazard)), Misfit::Hazard),
            (lacks(&self.classes, facts.class.as_ref()), Misfit::Class),
            (lacks(&self.districts, Some(&facts.district)), Misfit::District),
            (lacks(&self.sources, Some(&facts.source)), Misfit::Source),
            (lacks(&self.owners, name(&facts.owner).as_ref()), Misfit::Owner),
            (lacks(&self.maintainers, name(&facts.maintainer).as_ref()), Misfit::Maintainer),
            (lacks(&self.placements, facts.placement.as_ref()), Misfit::Placement),
            (differs(self.owner_known, facts.owner.is_some()), Misfit::OwnerKnown),
            (differs(self.maintainer_known, facts.maintainer.is_some()), Misfit::MaintainerKnown),
            (differs(self.emergency, facts.emergency), Misfit::Emergency),
            (self.when.is_some_and(|wanted| wanted != when), Misfit::When),
            (differs(self.weather, facts.weather), Misfit::Weather),
        ]
        .into_iter()
        .find_map(|(fails, misfit)| fails.then_some(misfit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    struct Town;

    fn party(number: u128) -> PartyId {
        PartyId(Uuid::from_u128(number))
    }

    impl Parties for Town {
        fn find(&self, name: &str) -> Option<PartyId> {
            ["水务", "电力", "值班队"].iter().position(|known| *known == name).map(|at| party(at as u128 + 1))
        }
        fn lookers_after(&self, _: Option<CoverClass>) -> Vec<PartyId> {
            vec![party(1), party(2)]
        }
    }

    fn facts() -> RoutingFacts {
        RoutingFacts {
            hazard: Hazard::Missing,
            class: Some(CoverClass::Sewage),
            district: "370502".into(),
            source: CaseSource::CitizenScan,
            placement: None,
            owner: Some(KnownParty { id: party(1), name: "水务".into() }),
            maintainer: None,
            supervisor: None,
            emergency: true,
            out_of_hours: true,
            weather: false,
        }
    }

    #[test]
    fn by_the_built_in_rules_the_owner_gets_an_emergency_at_once_and_ownerless_covers_go_to_the_pool() {
        let rules = RoutingRules::built_in();
        let route = rules.route(&facts(), &Town);
        assert_eq!((route.to, route.automatic), (Routed::Party(party(1)), true));
        assert_eq!(route.passed, [Misfit::MaintainerKnown]);
        let calm = RoutingFacts { hazard: Hazard::Broken, emergency: false, ..facts() };
        assert!(!rules.route(&calm, &Town).automatic);
        let ownerless = RoutingFacts { owner: None, ..facts() };
        let route = rules.route(&ownerless, &Town);
        assert_eq!(route.to, Routed::Pool { name: "everybody".into(), parties: vec![party(1), party(2)] });
    }

    #[test]
    fn the_first_rule_that_holds_wins_and_each_before_says_why_it_does_not() {
        let night = r#"
            [[rules]]
            id = "water"
            classes = ["water_supply"]
            to = "party 水务"
            automatic = "always"
            words = { zh = "上水", en = "Water" }
            [[rules]]
            id = "nobody"
            to = "party 消失的单位"
            automatic = "always"
            words = { zh = "无", en = "None" }
            [[rules]]
            id = "night"
            emergency = true
            when = "out_of_hours"
            to = "party 值班队"
            automatic = "emergencies"
            words = { zh = "夜间应急归值班队", en = "Emergencies at night" }
        "#;
        let rules = RoutingRules::from_toml(night).unwrap();
        let route = rules.route(&facts(), &Town);
        assert_eq!((route.rule, route.to), (Some(2), Routed::Party(party(3))));
        assert_eq!(route.passed, [Misfit::Class, Misfit::NoParty]);
        let day = RoutingFacts { out_of_hours: false, ..facts() };
        let route = rules.route(&day, &Town);
        assert_eq!((route.rule, route.to), (None, Routed::Desk));
        assert_eq!(route.passed.last(), Some(&Misfit::When));
    }

    #[test]
    fn rules_that_lead_nowhere_are_refused() {
        let refused = |text: &str| RoutingRules::from_toml(text).unwrap_err().to_string();
        let rule = |to: &str| {
            format!("[[rules]]\nid='a'\nto='{to}'\nautomatic='never'\nwords={{zh='一',en='one'}}\n")
        };
        assert!(refused(&rule("pool none")).contains("pools.none"));
        assert!(refused(&rule("somewhere")).contains("party NAME"));
        assert!(refused(&format!("{}{}", rule("desk"), rule("desk"))).contains("twice"));
        assert!(refused(&rule("desk").replace("never", "nver")).contains("emergencies"));
        assert!(refused("rules = []\n[triage]\nrepeat = -1").contains("triage"));
    }
}
