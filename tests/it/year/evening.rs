//! What must hold every evening, and what at the end of every month.

use std::collections::{BTreeMap, BTreeSet};

use lidmark::domain::case::CaseState;
use lidmark::domain::ids::Millis;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{CaseFilter, CaseLine};
use serde_json::{Value, json};

use super::city::{City, Who};
use super::slate::{DAY, HOUR, Turn, recount};

/// Who hears what leaves the registry.
const LISTENER: &str = "year";
const SUPERVISOR: Who = Who::Staff(Role::Supervisor);

/// Whether an event says where a case stands.
fn is_of_case(event: &str, body: &Value) -> bool {
    body["state"].is_string() && !event.starts_with("reward.")
}

impl City<'_> {
    pub async fn evening(&mut self) {
        self.carry_events().await;
        self.read_mail().await;
        self.listen().await;
        self.nobody_is_forgotten();
        self.counts_agree().await;
        self.wishes_are_on_the_desk().await;
        self.open_links(self.size.links).await;
        if self.day % self.size.reread == self.size.reread - 1 {
            self.reread().await;
        }
        if self.day % 30 == 29 {
            self.outside_is_right().await;
            self.month_ends().await;
        }
        self.tally.days += 1;
    }

    /// Every report is told once, and the last word on each case that moved today is what the slate says of it.
    async fn listen(&mut self) {
        let registry = &self.house.town.registry;
        let mut last: BTreeMap<String, (Value, Option<Value>)> = BTreeMap::new();
        loop {
            let said = registry.list_waiting_events(LISTENER, 1000).await.unwrap();
            let Some(newest) = said.last() else { break };
            for event in &said {
                self.outside.told(event.sequence);
                let body: Value = serde_json::from_str(&event.body).unwrap();
                let Some(number) = body["case"].as_str().filter(|_| is_of_case(&event.event, &body)) else {
                    continue;
                };
                match event.event.as_str() {
                    "report.joined" => self.unheard -= 1,
                    // Filing by hand is told as a move.
                    "case.reported" | "case.filed" if body["move"].is_null() => self.unheard -= 1,
                    "case.overdue" => {
                        self.cases.get_mut(number).unwrap().told_late = event.created_at;
                        self.tally.late.insert(number.to_owned());
                    }
                    _ => {}
                }
                last.insert(number.to_owned(), (body["state"].clone(), body.get("due_at").cloned()));
            }
            registry.mark_delivered(LISTENER, newest.sequence).await.unwrap();
        }
        assert_eq!(self.unheard, 0, "each report is told once");
        for (number, (state, due)) in last {
            let slate = &self.cases[&number];
            assert_eq!(state, json!(slate.state), "the last word on {number}: {slate:?}");
            // What comes in by a scan is told without its limit.
            if let Some(due) = due {
                let reckoned = slate.due().map(|at| Millis(at).to_rfc3339());
                assert_eq!(due, json!(reckoned), "the last word on {number}: {slate:?}");
            }
        }
    }

    /// No open case without somebody and an end, and whoever is late was told.
    fn nobody_is_forgotten(&self) {
        for number in &self.open {
            let slate = &self.cases[number];
            assert_ne!(slate.turn(), Turn::Nobody, "{number} is nobody's");
            let due = slate.due().unwrap_or_else(|| panic!("{number} never ends"));
            if due <= self.now {
                assert!(slate.told_late >= slate.since, "nobody heard that {number} is late: {slate:?}");
            }
        }
    }

    async fn counts_agree(&self) {
        let counts = self.house.town.registry.counts().await.unwrap();
        let counted: BTreeMap<String, i64> =
            counts.cases.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, recount(self.cases.values()));
    }

    /// What a party asked and nobody has answered is on the desk's list.
    async fn wishes_are_on_the_desk(&self) {
        let asks = self.get(SUPERVISOR, "/api/v1/asks").await.json();
        let listed: BTreeSet<&str> =
            asks["asks"].as_array().unwrap().iter().map(|ask| ask["id"].as_str().unwrap()).collect();
        assert_eq!(listed, self.wishes.keys().map(String::as_str).collect());
    }

    /// Reads every open case again: the rows say what the slates say. What a citizen reported and is not done with is
    /// among them, so it is on the list of whose turn it is.
    async fn reread(&self) {
        let rules = self.house.town.registry.rules_at(Millis(self.now)).await.unwrap();
        let mut rows = BTreeMap::new();
        let mut before = None;
        loop {
            let page = self.page_of_open(before.take()).await;
            before = page.last().map(|line| line.case.number.clone());
            if page.is_empty() {
                break;
            }
            rows.extend(page.into_iter().map(|line| (line.case.number.clone(), line.case)));
        }
        assert!(rows.keys().eq(self.open.iter()), "the open cases are those of the slates");
        for (number, case) in &rows {
            let slate = &self.cases[number];
            let pool: BTreeSet<_> = case.offered_to.iter().copied().collect();
            assert_eq!(
                (case.state, case.party, &pool, case.due_at, case.late_ms),
                (slate.state, slate.party, &slate.pool, slate.due().map(Millis), slate.late),
                "{number}: {slate:?}"
            );
            // By the program's own reckoning as well.
            let mut anew = case.clone();
            anew.reckon(&rules.limits);
            assert_eq!((anew.due_at, anew.remind_at), (case.due_at, case.remind_at), "{number}");
        }
        for (link, number) in &self.links {
            let root = self.root(number);
            assert!(
                self.cases[root].turn() == Turn::Nobody || rows.contains_key(root),
                "what {link} is about is on nobody's list: {number}, {root}"
            );
        }
    }

    async fn page_of_open(&self, before: Option<String>) -> Vec<CaseLine> {
        let states = CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect();
        let filter = CaseFilter { states, before, limit: 200, ..CaseFilter::default() };
        self.house.town.registry.list_cases(filter, &Actor::System).await.unwrap()
    }

    /// Each closed case was struck off under a number of its own.
    pub async fn strikes_are_numbered_once(&self) {
        let (mut strikes, mut struck, mut before) = (BTreeSet::new(), 0, None);
        loop {
            let filter =
                CaseFilter { states: vec![CaseState::Closed], before, limit: 200, ..CaseFilter::default() };
            let page = self.house.town.registry.list_cases(filter, &Actor::System).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.case.number.clone());
            struck += page.len();
            strikes.extend(page.into_iter().filter_map(|line| line.case.strike_number));
        }
        assert_eq!(strikes.len(), struck);
        assert_eq!(struck, self.cases.values().filter(|slate| slate.closed.is_some()).count());
    }

    /// History chains whole, tables as the files say, and the month's statistics what a plain count says.
    async fn month_ends(&self) {
        let found = self.house.town.registry.check_tables().await.unwrap().findings;
        assert_eq!(found, [], "the tables say what the files say");
        let cover = self.pick(&self.covers, "file");
        let file = self.get(SUPERVISOR, &format!("/api/v1/covers/{}/history", cover.code)).await.json();
        assert_eq!(file["chain"]["state"], "whole");

        let (from, until) = (self.day - 29, self.day);
        let date = |day: i64| Millis(super::MONDAY + day * DAY).to_rfc3339()[..10].to_owned();
        let path = format!("/api/v1/statistics?from={}&until={}", date(from), date(until));
        let sums = self.get(SUPERVISOR, &path).await.json()["now"].clone();
        let start = super::MONDAY + from * DAY - 8 * HOUR;
        let span = start..start + 30 * DAY;
        let count = |fits: &dyn Fn(&super::slate::Slate) -> bool| {
            self.cases.values().filter(|slate| fits(slate)).count() as u64
        };
        let opened = |slate: &super::slate::Slate| span.contains(&slate.opened);
        let is_void =
            |slate: &super::slate::Slate| matches!(slate.state, CaseState::Rejected | CaseState::Joined);
        let counted = [
            ("reported", count(&opened)),
            ("void", count(&|slate| opened(slate) && is_void(slate))),
            ("closed", count(&|slate| slate.closed.is_some_and(|at| span.contains(&at)))),
            ("open", self.open.len() as u64),
        ];
        for (name, plain) in counted {
            assert_eq!(sums[name].as_u64(), Some(plain), "{name} of the days from {from}: {sums}");
        }
    }
}
