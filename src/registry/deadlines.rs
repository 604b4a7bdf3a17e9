//! The minute loop over open cases: reminders, pauses that are over, claim pools that nobody answered, and the
//! deadlines of all open cases anew when rules changed. What it did is in the rows, so that it can be killed, run
//! twice or be late, and the clock of the machine may jump.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::case_flow::{self, event_body, moved, state_event, triage_facts};
use super::cases::{ground_of, take_case};
use super::files::{self, NewEntry};
use super::{ActiveRules, Registry, RegistryError};
use crate::domain::case::{Case, CaseMove, CaseState};
use crate::domain::case_clock::{CaseClock, NextStep};
use crate::domain::cover::CoverClass;
use crate::domain::history::HistoryKind;
use crate::domain::ids::Millis;
use crate::domain::limits::LimitRules;
use crate::domain::role::Actor;
use crate::domain::routing::Routed;
use crate::store::cases::WaitingCase;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{Tx, cases, people};

/// Cases that are read, or reckoned anew in a transaction, at a time, so that reports do not wait for the sweep.
const TURN: i64 = 200;
/// Cases of a turn that are attended to in one transaction, for the same reason.
const TOGETHER: usize = 32;
/// Setting that names the rules by which open cases were reckoned last.
const RECKONED: &str = "cases_reckoned_by";

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub reminded: usize,
    /// 恢复: pauses that were over.
    pub resumed: usize,
    /// Claim pools that went to their fallback or back to the desk.
    pub unclaimed: usize,
    /// Cases that other rules or weather gave another deadline or urgency.
    pub reckoned: usize,
}

impl Registry {
    /// One round over what is due.
    pub async fn sweep_cases(&self) -> Result<Swept, RegistryError> {
        self.rule_book.count_lookers_after(&mut self.store.read().await?, self.now()).await?;
        let mut swept = Swept { reckoned: self.reckon_anew().await?, ..Swept::default() };
        loop {
            let now = self.now();
            let due = cases::list_due_reminders(&mut self.store.read().await?, now, TURN).await?;
            if due.is_empty() {
                return Ok(swept);
            }
            let before = swept;
            for together in due.chunks(TOGETHER) {
                for attended in self.attend_all(together, now).await? {
                    match attended {
                        Attended::Reminded => swept.reminded += 1,
                        Attended::Resumed => swept.resumed += 1,
                        Attended::Unclaimed => swept.unclaimed += 1,
                        Attended::Nothing => {}
                    }
                }
            }
            if swept == before {
                return Ok(swept);
            }
        }
    }

    /// Does what is due for some cases, in one transaction.
    async fn attend_all(&self, numbers: &[String], now: Millis) -> Result<Vec<Attended>, RegistryError> {
        let (registry, numbers) = (self.clone(), numbers.to_vec());
        self.store
            .write::<Vec<Attended>, RegistryError, _>(move |tx| {
                let (registry, numbers) = (registry.clone(), numbers.clone());
                Box::pin(async move {
                    let rules = registry.rule_book.active(tx, now).await?;
                    let (mut done, mut news) = (Vec::new(), News::default());
                    for number in &numbers {
                        done.push(attend(tx, &registry, &rules, (number, now), &mut news).await?);
                    }
                    feed::record(tx, now, news).await?;
                    Ok(done)
                })
            })
            .await
    }

    /// Computes anew until when all open cases may take and how much they hurry, where rules or weather are not those by
    /// which that was done last.
    async fn reckon_anew(&self) -> Result<usize, RegistryError> {
        let mut tx = self.store.read().await?;
        let rules = self.rule_book.active(&mut tx, self.now()).await?;
        let weather = rules.weather.as_ref().map_or(0, |mode| mode.since.0);
        let mark = format!("{} {} {weather}", rules.limits_version, rules.routing_version);
        if people::find_setting(&mut tx, RECKONED).await?.as_ref() == Some(&mark) {
            return Ok(0);
        }
        drop(tx);
        let (mut after, mut reckoned) = (String::new(), 0);
        loop {
            let (registry, from) = (self.clone(), after.clone());
            let (last, count) = self
                .store
                .write::<(Option<String>, usize), RegistryError, _>(move |tx| {
                    let (registry, from) = (registry.clone(), from.clone());
                    Box::pin(async move { reckon_page(tx, &registry, &from).await })
                })
                .await?;
            reckoned += count;
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let mark = mark.clone();
                Box::pin(async move { Ok(people::put_setting(tx, RECKONED, &mark).await?) })
            })
            .await?;
        Ok(reckoned)
    }
}

enum Attended {
    Nothing,
    Reminded,
    Resumed,
    Unclaimed,
}

/// What is to be told of it goes to the news.
async fn attend(
    tx: &mut Tx,
    registry: &Registry,
    rules: &ActiveRules,
    (number, now): (&str, Millis),
    news: &mut News,
) -> Result<Attended, RegistryError> {
    let (mut case, head) = take_case(tx, number, &Actor::System).await?;
    if case.remind_at.is_none_or(|at| at > now) {
        return Ok(Attended::Nothing);
    }
    let (version, from) = (case.version, case.state);
    let (mut events, mut entries) = (Vec::new(), Vec::new());
    let mut changed = vec![(ChangeKind::Case, case.id.0)];
    let attended = if case.state == CaseState::Suspended {
        case.state = CaseState::Handling;
        case.until = None;
        let (ground, _) = ground_of(tx, &case).await?;
        step(&mut case, now);
        case.tick(NextStep::Clock, CaseMove::Resume, ground.class, &rules.limits, now);
        entries.push(moved(&case, CaseMove::Resume, from, json!({"why": "over"})));
        events.push(state_event(&case));
        Attended::Resumed
    } else if case.next_step() == NextStep::Pool && case.due_at.is_some_and(|due| due <= now) {
        let made = unclaimed(tx, registry, rules, &mut case, now).await?;
        entries.push(moved(&case, made, from, json!({"why": "unclaimed", "party": case.party})));
        events.push(state_event(&case));
        changed.extend(case.cover.map(|cover| (ChangeKind::Cover, cover.0)));
        Attended::Unclaimed
    } else if let Some(percent) = case.due_reminder(&rules.limits, now) {
        case.clock.reminded = percent;
        case.reckon(&rules.limits);
        case.version += 1;
        let mut body = event_body(&case);
        body["percent"] = json!(percent);
        // The file keeps that it was late, whatever becomes of it.
        if percent >= 100 {
            let body =
                json!({"case": case.number, "percent": percent, "state": case.state, "party": case.party});
            let (actor, kind) = (Actor::System.word(), HistoryKind::CaseOverdue);
            entries.push(NewEntry { actor, kind, case: Some(case.id), body });
        }
        let name = if percent >= 100 { "case.overdue" } else { "case.reminder" };
        events.push((name.to_owned(), body.to_string()));
        Attended::Reminded
    } else {
        // Rules or clock changed meanwhile: the row is put right.
        case.reckon(&rules.limits);
        case.version += 1;
        changed.clear();
        Attended::Nothing
    };
    if !cases::update_case(tx, &case, version).await? {
        return Ok(Attended::Nothing);
    }
    if !entries.is_empty() {
        files::append(tx, case.manhole, head, now, entries).await?;
    }
    news.events.extend(events);
    news.changed.extend(changed);
    Ok(attended)
}

fn step(case: &mut Case, now: Millis) {
    case.version += 1;
    case.updated_at = now;
}

/// Nobody claimed it in time: the fallback of the pool gets it, or where there is none the desk.
async fn unclaimed(
    tx: &mut Tx,
    registry: &Registry,
    rules: &ActiveRules,
    case: &mut Case,
    now: Millis,
) -> Result<CaseMove, RegistryError> {
    let (ground, _) = ground_of(tx, case).await?;
    let facts = case_flow::routing_facts(case, &ground, rules);
    let route = registry.rule_book.route(tx, rules, &facts).await?;
    let pool = match &route.to {
        Routed::Pool { name, .. } => rules.routing.pools.get(name),
        _ => None,
    };
    let fallback = pool.and_then(|pool| pool.fallback.as_deref()).and_then(|name| rules.find_party(name));
    step(case, now);
    case.offered_to.clear();
    let made = match fallback {
        Some(party) => {
            case.party = Some(party);
            case.counts.dispatches += 1;
            CaseMove::Dispatch
        }
        None => {
            case.state = CaseState::Returned;
            CaseMove::Refuse
        }
    };
    case.tick(NextStep::Pool, made, ground.class, &rules.limits, now);
    Ok(made)
}

/// One page of open cases after a number; answers the last number and how many deadlines moved.
async fn reckon_page(
    tx: &mut Tx,
    registry: &Registry,
    after: &str,
) -> Result<(Option<String>, usize), RegistryError> {
    let rules = registry.rule_book.active(tx, registry.now()).await?;
    let page = cases::list_open_after(tx, after, TURN).await?;
    let last = page.last().map(|waiting| waiting.case.number.clone());
    let mut news = News::default();
    for WaitingCase { mut case, class, placement } in page {
        let before = (case.due_at, case.remind_at, case.triage, case.clock.clone());
        adopt(&mut case, class, &rules);
        case.reckon(&rules.limits);
        case.triage = rules.routing.triage.score(&triage_facts(&case, placement, &rules));
        if (case.due_at, case.remind_at, case.triage, case.clock.clone()) != before {
            cases::put_reckoning(tx, &case).await?;
            news.changed.push((ChangeKind::Case, case.id.0));
        }
    }
    let count = news.changed.len();
    if count > 0 {
        feed::record(tx, registry.now(), news).await?;
    }
    Ok((last, count))
}

/// Gives a case of before there were clocks the one that it would have.
fn adopt(case: &mut Case, class: Option<CoverClass>, rules: &ActiveRules) {
    if let NextStep::Party(_) = case.next_step()
        && case.clock.handling.is_none()
    {
        let since = case.clock.since.unwrap_or(case.updated_at);
        case.clock = CaseClock { condition: case.clock.condition.clone(), ..CaseClock::default() };
        case.tick(NextStep::Desk, CaseMove::Dispatch, class, &rules.limits, since);
    }
}

/// How deadlines of open cases would move under other rules.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadlineChange {
    pub number: String,
    pub state: CaseState,
    pub now_due: Option<Millis>,
    pub then_due: Option<Millis>,
}

/// A row whose limit is another one, with the open cases that are filed under it. A party keeps the limit that it was
/// given; the others get the new one when they are dispatched.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    pub id: String,
    /// `None` = it is not there.
    pub before: Option<String>,
    pub after: Option<String>,
    pub open: usize,
}

/// What other rules would mean for the cases that are open.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DryRun {
    pub open: usize,
    pub changed: usize,
    /// Overdue at this moment that are not so now, and the other way round.
    pub newly_overdue: usize,
    pub no_longer_overdue: usize,
    /// The first of those that change.
    pub examples: Vec<DeadlineChange>,
    pub rows: Vec<RowChange>,
}

const EXAMPLES: usize = 50;

impl Registry {
    /// What these limits would mean for the cases that are open; nothing is changed.
    pub async fn try_limits(&self, limits: &LimitRules) -> Result<DryRun, RegistryError> {
        let now = self.now();
        let mut tx = self.store.read().await?;
        let rules = self.rule_book.active(&mut tx, now).await?;
        let mut filed: BTreeMap<String, usize> = BTreeMap::new();
        let (mut run, mut after) = (DryRun::default(), String::new());
        loop {
            let page = cases::list_open_after(&mut tx, &after, 1000).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.case.number);
            for WaitingCase { case, class, .. } in page {
                run.open += 1;
                *filed.entry(rules.limits.row_of(&case, class).id.clone()).or_default() += 1;
                let mut then = case.clone();
                then.reckon(limits);
                if then.due_at == case.due_at {
                    continue;
                }
                run.changed += 1;
                let late = |due: Option<Millis>| due.is_some_and(|due| due < now);
                run.newly_overdue += usize::from(late(then.due_at) && !late(case.due_at));
                run.no_longer_overdue += usize::from(!late(then.due_at) && late(case.due_at));
                if run.examples.len() < EXAMPLES {
                    let (now_due, then_due) = (case.due_at, then.due_at);
                    run.examples.push(DeadlineChange {
                        number: case.number,
                        state: case.state,
                        now_due,
                        then_due,
                    });
                }
            }
        }
        run.rows = row_changes(&rules.limits, limits, &filed);
        Ok(run)
    }
}

fn row_changes(before: &LimitRules, after: &LimitRules, filed: &BTreeMap<String, usize>) -> Vec<RowChange> {
    let words = |rules: &LimitRules, id: &str| {
        let row = rules.limits.iter().find(|row| row.id == id)?;
        Some(match row.repair {
            Some(repair) => format!("{} + {repair}", row.limit),
            None => row.limit.to_string(),
        })
    };
    let ids: BTreeSet<&String> = before.limits.iter().chain(&after.limits).map(|row| &row.id).collect();
    ids.into_iter()
        .map(|id| RowChange {
            id: id.clone(),
            before: words(before, id),
            after: words(after, id),
            open: filed.get(id).copied().unwrap_or(0),
        })
        .filter(|change| change.before != change.after)
        .collect()
}
