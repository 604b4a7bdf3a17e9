//! 规则: a city's limits and routing rules are kept as versions, each with the moment from which it holds; before one
//! is kept, a dry run says what it would mean for the cases that are open.

use super::case_flow::routing_facts;
use super::cases::ground_of;
use super::deadlines::DryRun;
use super::reports::clean_text;
use super::rule_book::WeatherMode;
use super::tasks::{self, NewTask};
use super::{ActiveRules, Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::case::CaseState;
use crate::domain::ids::Millis;
use crate::domain::limits::LimitRules;
use crate::domain::role::Actor;
use crate::domain::routing::{Routed, RoutingRules};
use crate::domain::rule_set::{RuleKind, RuleVersion};
use crate::domain::task::TaskKind;
use crate::store::cases::WaitingCase;
use crate::store::feed::{self, News};
use crate::store::{Tx, cases, people, rules};

const NOTE_LIMIT: usize = 500;
const WEATHER_LIMIT: usize = 60;
/// Longest weather mode.
const WEATHER_MS: i64 = 31 * 86_400_000;
const YEAR_MS: i64 = 365 * 86_400_000;
/// Crews have two days for it, or less where the weather does not last.
const WEATHER_DUE_MS: i64 = 2 * 86_400_000;
/// Most covers that are visited for one weather.
const WEATHER_TASKS: i64 = 2000;
/// Cases at the desk that a dry run of routing rules looks at.
const LOOKED_AT: i64 = 1000;

/// A version that somebody wants to keep.
#[derive(Debug, Clone)]
pub struct NewRules {
    pub kind: RuleKind,
    pub text: String,
    /// `None` = from now on.
    pub valid_from: Option<Millis>,
    pub note: String,
    /// The newest version that they saw; another one is a conflict.
    pub seen: i64,
}

/// A case at the desk that other routing rules would send elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteChange {
    pub number: String,
    pub now: Routed,
    pub then: Routed,
}

/// What a text would mean.
#[derive(Debug, Clone, PartialEq)]
pub enum RulesLook {
    Limits(DryRun),
    Routing { at_desk: usize, changes: Vec<RouteChange> },
}

impl Registry {
    /// Every version of every kind, oldest first.
    pub async fn list_rule_versions(&self) -> Result<Vec<RuleVersion>, RegistryError> {
        Ok(rules::list_versions(&mut self.store.read().await?).await?)
    }

    /// The rules that hold at a moment.
    pub async fn rules_at(&self, at: Millis) -> Result<ActiveRules, RegistryError> {
        self.rule_book.active(&mut self.store.read().await?, at).await
    }

    /// What a text would mean for the cases that are open; nothing is changed.
    pub async fn look_at_rules(&self, kind: RuleKind, text: &str) -> Result<RulesLook, RegistryError> {
        let mut tx = self.store.read().await?;
        match kind {
            RuleKind::Limits => Ok(RulesLook::Limits(self.try_limits(&LimitRules::from_toml(text)?).await?)),
            RuleKind::Routing => {
                let routing = RoutingRules::from_toml(text)?;
                let active = self.rule_book.active(&mut tx, self.now()).await?;
                refuse_unknown_parties(&active, &routing)?;
                let then = active.with_routing(routing);
                let (mut at_desk, mut changes) = (0, Vec::new());
                for WaitingCase { case, .. } in cases::list_open_after(&mut tx, "", LOOKED_AT).await? {
                    if !matches!(
                        case.state,
                        CaseState::Reported | CaseState::Filed | CaseState::Returned | CaseState::Reopened
                    ) {
                        continue;
                    }
                    at_desk += 1;
                    let (ground, _) = ground_of(&mut tx, &case).await?;
                    let facts = routing_facts(&case, &ground, &active);
                    let before = self.rule_book.route(&mut tx, &active, &facts).await?;
                    let after = self.rule_book.route(&mut tx, &then, &facts).await?;
                    if before.to != after.to {
                        changes.push(RouteChange { number: case.number, now: before.to, then: after.to });
                    }
                }
                Ok(RulesLook::Routing { at_desk, changes })
            }
        }
    }

    /// Keeps a version; the one before holds until it begins. Answers its number.
    pub async fn keep_rules(&self, new: NewRules, actor: &Actor) -> Result<i64, RegistryError> {
        new.kind.check(&new.text)?;
        let note = clean_text(&new.note, "note", NOTE_LIMIT)?;
        if note.is_empty() {
            return Err(Refusal::new("rules.needs_note").at("note").into());
        }
        let now = self.now();
        if new.valid_from.is_some_and(|from| from < now) {
            return Err(Refusal::new("rules.past").at("valid_from").into());
        }
        let (registry, actor) = (self.clone(), actor.word());
        self.store
            .write::<i64, RegistryError, _>(move |tx| {
                let (registry, new, note, actor) = (registry.clone(), new.clone(), note.clone(), actor.clone());
                Box::pin(async move {
                    let version = next_version(tx, &registry, &new).await?;
                    let kept = RuleVersion {
                        kind: new.kind,
                        version,
                        valid_from: new.valid_from.unwrap_or(now),
                        text: new.text,
                        note,
                        actor,
                        created_at: now,
                    };
                    rules::add_version(tx, &kept).await?;
                    let body = serde_json::json!({"kind": kept.kind, "version": version, "valid_from": kept.valid_from.to_rfc3339()});
                    let events = vec![("rules.changed".to_owned(), body.to_string())];
                    feed::record(tx, now, News { events, changed: Vec::new() }).await?;
                    Ok(version)
                })
            })
            .await
    }

    /// 天气模式: on from now until a moment, or off. Turned on, it sends crews to covers without fall nets and to those
    /// that overflowed or stood in water within a year.
    pub async fn set_weather(
        &self,
        words: &str,
        until: Option<Millis>,
        actor: &Actor,
    ) -> Result<Option<WeatherMode>, RegistryError> {
        let now = self.now();
        let words = clean_text(words, "words", WEATHER_LIMIT)?;
        let mode = match until {
            None => None,
            Some(_) if words.is_empty() => {
                return Err(Refusal::new("weather.needs_words").at("words").into());
            }
            Some(until) if until <= now || until.0 - now.0 > WEATHER_MS => {
                return Err(Refusal::new("weather.until")
                    .at("until")
                    .with("days", WEATHER_MS / 86_400_000)
                    .into());
            }
            Some(until) => Some(WeatherMode { words, since: now, until, actor: actor.word() }),
        };
        let kept = mode.clone();
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let kept = kept.clone();
                Box::pin(async move {
                    let text = kept.as_ref().map(serde_json::to_string).transpose();
                    let text = text.expect("a weather mode is a plain struct").unwrap_or_default();
                    people::put_setting(tx, rules::WEATHER, &text).await?;
                    if let Some(mode) = &kept {
                        send_crews(tx, mode).await?;
                    }
                    let name = if kept.is_some() { "weather.on" } else { "weather.off" };
                    let events = vec![(name.to_owned(), serde_json::json!({"mode": kept}).to_string())];
                    Ok(feed::record(tx, now, News { events, changed: Vec::new() }).await?)
                })
            })
            .await?;
        Ok(mode)
    }
}

async fn send_crews(tx: &mut Tx, mode: &WeatherMode) -> Result<(), RegistryError> {
    let now = mode.since;
    let covers = cases::list_weather_covers(tx, Millis(now.0 - YEAR_MS), WEATHER_TASKS).await?;
    let due_at = Millis(mode.until.0.min(now.0 + WEATHER_DUE_MS));
    let visit = |cover| NewTask { kind: TaskKind::Weather, case: None, cover, from_at: now, due_at };
    let visits: Vec<NewTask> = covers.into_iter().map(visit).collect();
    tasks::schedule(tx, &visits, now).await.map(drop)
}

async fn next_version(tx: &mut Tx, registry: &Registry, new: &NewRules) -> Result<i64, RegistryError> {
    let versions = rules::list_versions(tx).await?;
    let newest = versions.iter().filter(|rules| rules.kind == new.kind).map(|rules| rules.version).max();
    let newest = newest.unwrap_or(0);
    if newest != new.seen {
        return Err(RegistryError::Conflict(Refusal::new("rules.changed_meanwhile").with("version", newest)));
    }
    if new.kind == RuleKind::Routing {
        let active = registry.rule_book.active(tx, registry.now()).await?;
        refuse_unknown_parties(&active, &RoutingRules::from_toml(&new.text)?)?;
    }
    Ok(newest + 1)
}

fn refuse_unknown_parties(active: &ActiveRules, routing: &RoutingRules) -> Result<(), RegistryError> {
    match routing.party_names().into_iter().find(|name| active.find_party(name).is_none()) {
        Some(name) => Err(Refusal::new("rules.unknown_party").at("text").with("read", name).into()),
        None => Ok(()),
    }
}
