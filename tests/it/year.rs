//! A year of a small city, over HTTP: people report, the desk files and sends on, a party that is lazy handles, somebody
//! else checks, storms come and holidays pass. What must hold is asked every evening.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use lidmark::domain::case::{Case, CaseState};
use lidmark::domain::case_clock::NextStep;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::role::Role;
use lidmark::registry::CaseFilter;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::contract::house::{Answer, As, Ask, House, jpeg};
use crate::registry::ground::MONDAY;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const DAYS: i64 = 365;
/// Reports of an ordinary day; a storm brings four times as many.
const REPORTS: usize = 1;
const CITIZEN: As = As::Nobody;
const DISPATCHER: As = As::Staff(Role::Dispatcher);
const SUPERVISOR: As = As::Staff(Role::Supervisor);
const HANDLER: As = As::Staff(Role::Handler);

async fn expect(call: Ask<'_>, status: u16) -> Answer {
    let answer = call.send_unchecked().await;
    assert_eq!(answer.status, status, "{}", answer.text());
    answer
}

struct City<'h> {
    house: &'h House,
    random: SmallRng,
    /// Tracking links of everybody who reported.
    links: Vec<String>,
    photo: Vec<u8>,
}

impl City<'_> {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn at(&self, day: i64, hour: i64) {
        // The town's clock begins at eight in the morning.
        self.house.town.clock.store(MONDAY + day * DAY + (hour - 8) * HOUR, Ordering::SeqCst);
    }

    async fn open_cases(&self) -> Vec<Case> {
        let states = CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect();
        let filter = CaseFilter { states, limit: 200, ..CaseFilter::default() };
        let lines = self.house.town.registry.list_cases(filter, &lidmark::domain::role::Actor::System).await;
        lines.unwrap().into_iter().map(|line| line.case).collect()
    }

    async fn report(&mut self) {
        let hazard = *Hazard::ALL.choose(&mut self.random).unwrap();
        let token = self.house.plates.choose(&mut self.random).unwrap().to_string();
        let body = json!({"token": token, "hazard": hazard, "description": "路过看到"});
        let call = self.house.post(CITIZEN, "/api/v1/reports").keyed().json(body);
        let said = expect(call, 201).await.json();
        self.links.push(said["link"].as_str().unwrap().to_owned());
    }

    /// A move that the table allows; somebody may have been faster, or the rules of time say no.
    async fn make(&self, who: As, case: &Case, body: Value) -> u16 {
        let path = format!("/api/v1/cases/{}/moves", case.number);
        let answer = self.house.post(who, &path).keyed().json(body).send_unchecked().await;
        assert!(matches!(answer.status, 200 | 403 | 409 | 422), "{path}: {}", answer.text());
        answer.status
    }

    async fn hand_in(&self, case: &Case, made: &str) {
        let path = format!("/api/v1/cases/{}/moves", case.number);
        let fields = [("move", made), ("lon", "118.59"), ("lat", "37.46"), ("accuracy_m", "8")];
        let call =
            self.house.post(HANDLER, &path).keyed().multipart(&fields, std::slice::from_ref(&self.photo));
        let answer = call.send_unchecked().await;
        // Some rows want to see what was there before.
        assert!(matches!(answer.status, 200 | 409 | 422), "{path}: {}", answer.text());
        if answer.code() == "case.needs_before" {
            let path = format!("/desk/cases/{}", case.number);
            expect(self.house.get(HANDLER, &path), 200).await;
        }
    }

    async fn desk(&mut self) {
        for case in self.open_cases().await {
            match case.state {
                CaseState::Reported if self.chance(10) => {
                    self.make(DISPATCHER, &case, json!({"move": "reject", "reason": "现场无此问题"})).await;
                }
                CaseState::Reported if self.chance(90) => {
                    self.make(DISPATCHER, &case, json!({"move": "file"})).await;
                }
                CaseState::Filed | CaseState::Returned | CaseState::Reopened => {
                    let party = self.house.town.water;
                    self.make(DISPATCHER, &case, json!({"move": "dispatch", "party": party})).await;
                }
                CaseState::Handled if self.chance(80) => {
                    let verdict = match self.chance(12) {
                        true => json!({"move": "send_back", "reason": "仍有异响"}),
                        false => json!({"move": "check"}),
                    };
                    self.make(DISPATCHER, &case, verdict).await;
                }
                CaseState::Checked => {
                    let path = format!("/api/v1/cases/{}/moves", case.number);
                    let photo = std::slice::from_ref(&self.photo);
                    let close =
                        self.house.post(SUPERVISOR, &path).keyed().multipart(&[("move", "close")], photo);
                    expect(close, 200).await;
                }
                _ => {}
            }
        }
        let asks = expect(self.house.get(SUPERVISOR, "/api/v1/asks"), 200).await.json();
        for ask in asks["asks"].as_array().unwrap() {
            let (verdict, who) = match (ask["kind"].as_str(), ask["state"].as_str()) {
                (Some("appeal"), Some("open")) => ("endorse", DISPATCHER),
                (Some("question"), _) => ("answer", DISPATCHER),
                _ if self.chance(70) => ("grant", SUPERVISOR),
                _ => ("deny", SUPERVISOR),
            };
            let path = format!("/api/v1/asks/{}", ask["id"].as_str().unwrap());
            let body = json!({"verdict": verdict, "text": "已阅"});
            let answer = self.house.post(who, &path).keyed().json(body).send_unchecked().await;
            // An extension may have come too late while it waited.
            assert!(matches!(answer.status, 204 | 409), "{path}: {}", answer.text());
        }
    }

    async fn party(&mut self, until: &str) {
        for case in self.open_cases().await {
            match case.state {
                CaseState::Dispatched if self.chance(60) => {
                    let made = match self.chance(6) {
                        true => json!({"move": "refuse", "reason": "不属我单位"}),
                        false => json!({"move": "accept"}),
                    };
                    self.make(HANDLER, &case, made).await;
                }
                CaseState::Handling if self.chance(45) => self.hand_in(&case, "hand_in").await,
                CaseState::Handling if self.chance(10) => self.hand_in(&case, "make_safe").await,
                CaseState::Handling | CaseState::Handled if self.chance(15) => {
                    let kind =
                        *["extension", "suspension", "appeal", "question"].choose(&mut self.random).unwrap();
                    let path = format!("/api/v1/cases/{}/asks", case.number);
                    let body = json!({"kind": kind, "reason": "等配件", "until": until});
                    let answer = self.house.post(HANDLER, &path).keyed().json(body).send_unchecked().await;
                    assert!(matches!(answer.status, 201 | 409), "{path}: {}", answer.text());
                }
                _ => {}
            }
        }
    }

    /// What must hold every evening.
    async fn look(&self, day: i64) {
        let registry = &self.house.town.registry;
        let (now, open) = (registry.now(), self.open_cases().await);
        assert!(open.len() < 200, "the list above holds all of them");
        let rules = registry.rules_at(now).await.unwrap();
        for case in &open {
            assert_ne!(case.next_step(), NextStep::Nobody, "day {day}: {} is nobody's", case.number);
            let due = case.due_at.unwrap_or_else(|| panic!("day {day}: {} never ends", case.number));
            let mut anew = case.clone();
            anew.reckon(&rules.limits);
            assert_eq!((anew.due_at, anew.remind_at), (case.due_at, case.remind_at), "{}", case.number);
            if due < now {
                assert!(case.clock.reminded >= 100, "day {day}: nobody heard that {} is late", case.number);
            }
            if case.state == CaseState::Suspended {
                assert!(case.until.is_some_and(|until| until > now), "day {day}: {}", case.number);
            }
        }
        let counts = registry.counts().await.unwrap().cases;
        let counted: i64 = counts
            .iter()
            .filter(|(state, _)| state.parse::<CaseState>().unwrap().is_open())
            .map(|(_, count)| count)
            .sum();
        assert_eq!(counted, open.len() as i64, "day {day}");
        if day % 30 == 29 {
            assert_eq!(registry.check_tables().await.unwrap().findings, [], "day {day}");
            let said = registry.list_waiting_events("gateway", 1_000_000).await.unwrap();
            let heard = said.iter().filter(|event| match event.event.as_str() {
                "report.joined" => true,
                // Filing by hand is told as a move.
                "case.reported" | "case.filed" => !event.body.contains("\"move\""),
                _ => false,
            });
            assert_eq!(heard.count(), self.links.len(), "day {day}: one event a report");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_a_city_leaves_no_case_without_somebody_and_no_clock_wrong() {
    let house = House::open().await;
    let mut city =
        City { house: &house, random: SmallRng::seed_from_u64(2026), links: Vec::new(), photo: jpeg(77) };
    let sweep = async || house.town.registry.sweep_cases().await.unwrap();
    for day in 0..DAYS {
        let is_storm = day % 60 > 56;
        city.at(day, 3);
        sweep().await;
        for _ in 0..if is_storm { 4 * REPORTS } else { REPORTS } {
            city.report().await;
        }
        city.at(day, 9);
        sweep().await;
        // The desk keeps the weekend free; a holiday is like a weekend to it.
        if day % 7 < 5 && !(210..218).contains(&day) {
            city.desk().await;
        }
        city.at(day, 15);
        let until = lidmark::domain::ids::Millis(MONDAY + (day + 9) * DAY).to_rfc3339();
        city.party(&until).await;
        city.at(day, 21);
        sweep().await;
        city.look(day).await;
    }
    for link in &city.links {
        let path = link.replacen("/r/", "/api/v1/reports/", 1);
        expect(house.get(CITIZEN, &path), 200).await;
    }
    let closed = CaseFilter { states: vec![CaseState::Closed], limit: 200, ..CaseFilter::default() };
    let lines = house.town.registry.list_cases(closed, &lidmark::domain::role::Actor::System).await.unwrap();
    let strikes: BTreeSet<_> = lines.iter().filter_map(|line| line.case.strike_number.clone()).collect();
    assert_eq!(strikes.len(), lines.len(), "each closed case was struck off under a number of its own");
    assert!(lines.len() > 100, "{}", lines.len());
}
