//! The city of the year: its covers, its parties and their people, what happened to every case so far, and the way
//! in over HTTP.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use lidmark::domain::case::CaseMove;
use lidmark::domain::cover::{CoverClass, Party};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{CoverId, IdempotencyKey, Millis, PartyId};
use lidmark::domain::role::Role;
use lidmark::domain::token::Token;
use lidmark::registry::{ImportMode, NewUser, Outcome};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::outside::Outside;
use super::slate::{DAY, HOUR, Slate, Turn, With, is_workday};
use crate::contract::house::{Answer, House, KEY, jpeg};
use crate::registry::ground::{MONDAY, candidate};
use crate::support::smtp::Sink;

/// Stands in everything that the public must not see.
pub const PRIVATE: &str = "内情";
const CLASSES: [CoverClass; 5] =
    [CoverClass::Sewage, CoverClass::StreetLight, CoverClass::Heating, CoverClass::Gas, CoverClass::Storm];
/// Calls on their way at once.
const AT_ONCE: usize = 8;

/// How much happens.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub name: &'static str,
    pub days: i64,
    pub covers: u64,
    pub parties: usize,
    pub scans: usize,
    /// Of an ordinary day; a storm brings five times as many.
    pub reports: usize,
    /// Tracking links that are opened again each evening.
    pub links: usize,
    /// Every so many evenings all open cases are read again; on the others, those that moved.
    pub reread: i64,
    /// Every so many days each list of desk and parties is compared with what waits for them.
    pub lists: i64,
    /// Every so many days supervisors send notices.
    pub notices: i64,
    /// Whether each month says how it went.
    pub is_told: bool,
}

impl Size {
    pub const SMALL: Self = Self {
        name: "small",
        days: 365,
        covers: 60,
        parties: 3,
        scans: 10,
        reports: 2,
        links: 2,
        reread: 7,
        lists: 7,
        notices: 28,
        is_told: false,
    };
}

/// A comment that no other photo has: whoever sends the same photo of two places is doubted.
fn one_of_a_kind(jpeg: &mut Vec<u8>) {
    let word = IdempotencyKey::fresh().to_string();
    let head = [0xFF, 0xFE, 0, 2 + word.len() as u8];
    jpeg.splice(2..2, head.into_iter().chain(word.into_bytes()));
}

/// How a party works: of a hundred chances, how many it takes.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    name: &'static str,
    pub accepts: u32,
    pub refuses: u32,
    pub hands_in: u32,
    /// Of what it hands in, how much has no photo.
    pub bare: u32,
    pub asks: u32,
    pub claims: u32,
}

const MANNERS: [Manner; 5] = [
    // Does what it should.
    Manner { name: "东营水务", accepts: 95, refuses: 1, hands_in: 80, bare: 2, asks: 3, claims: 50 },
    // Late, without evidence, and lets pools run.
    Manner { name: "东营电力", accepts: 40, refuses: 3, hands_in: 20, bare: 50, asks: 15, claims: 0 },
    // Says that it is not theirs, or wants more time.
    Manner { name: "东营热力", accepts: 60, refuses: 30, hands_in: 45, bare: 10, asks: 25, claims: 5 },
    Manner { name: "东营燃气", accepts: 85, refuses: 4, hands_in: 60, bare: 5, asks: 6, claims: 25 },
    Manner { name: "东营路灯", accepts: 70, refuses: 8, hands_in: 35, bare: 20, asks: 10, claims: 10 },
];

pub struct Office {
    pub id: PartyId,
    pub manner: Manner,
    pub bearer: String,
}

pub struct CoverSpot {
    pub code: String,
    pub token: Token,
    pub class: CoverClass,
    /// Who gets what is wrong with it: its maintainer, otherwise its owner.
    pub whose: Option<PartyId>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Citizen,
    Staff(Role),
    Office(usize),
}

pub enum Body {
    None,
    Json(Value),
    /// Fields, and by the name of its field each photo.
    Form(Vec<(&'static str, String)>, Vec<&'static str>),
}

pub struct Call {
    pub who: Who,
    pub method: &'static str,
    pub path: String,
    pub body: Body,
}

/// A move that somebody tries, with the refusals that may be met.
pub struct Try {
    pub number: String,
    pub made: CaseMove,
    pub who: Who,
    pub body: Body,
    pub with: With,
    pub may: &'static [&'static str],
}

/// What a party wants of the desk.
#[derive(Debug, Clone)]
pub struct Wish {
    pub number: String,
    pub kind: &'static str,
    pub until: i64,
    pub endorsed: bool,
    /// It cannot be granted any more.
    pub stale: bool,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub scans: usize,
    pub reports: usize,
    pub joined: usize,
    pub closed: usize,
    pub late: BTreeSet<String>,
    pub asked: usize,
    pub unclaimed: usize,
    pub refused: usize,
    pub notices: usize,
    pub reopened: usize,
    pub looked_back: usize,
    pub recurred: usize,
    pub days: usize,
}

pub struct City<'h> {
    pub house: &'h House,
    client: reqwest::Client,
    pub size: Size,
    seed: u64,
    pub day: i64,
    pub now: i64,
    pub covers: Vec<CoverSpot>,
    pub by_id: HashMap<String, usize>,
    pub offices: Vec<Office>,
    /// Everybody who may be meant, by the class of the cover.
    pools: HashMap<Option<CoverClass>, BTreeSet<PartyId>>,
    pub cases: BTreeMap<String, Slate>,
    /// Numbers of the cases that are not over.
    pub open: BTreeSet<String>,
    pub standing: HashMap<(usize, Hazard), String>,
    /// Links of citizens with the case that each was about.
    pub links: Vec<(String, String)>,
    pub wishes: BTreeMap<String, Wish>,
    /// Reports since the last evening.
    pub unheard: usize,
    pub tally: Tally,
    pub outside: Outside,
    photos: Vec<Vec<u8>>,
}

impl<'h> City<'h> {
    pub async fn found(house: &'h House, mailbox: Sink, size: Size, seed: u64) -> Self {
        let town = &house.town;
        town.draw_dongying().await;
        let mut offices = Vec::new();
        for (at, manner) in MANNERS.iter().take(size.parties).enumerate() {
            let (id, bearer) = match at {
                0 => (town.water, house.bearer(Role::Handler).to_owned()),
                _ => {
                    let (id, login) = (PartyId::fresh(), format!("handler{at}"));
                    let party =
                        Party { id, name: manner.name.into(), hotline: Some(format!("0546-000000{at}")) };
                    town.registry.put_party(party).await.unwrap();
                    let new = NewUser {
                        login: login.clone(),
                        name: login.clone(),
                        role: Role::Handler,
                        party: Some(id),
                        password: "correct horse".into(),
                    };
                    town.registry.add_user(new).await.unwrap();
                    (id, town.registry.add_api_token(&login, &login).await.unwrap())
                }
            };
            offices.push(Office { id, manner: *manner, bearer });
        }
        let mut city = Self {
            house,
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(std::time::Duration::from_secs(60))
                .build()
                .unwrap(),
            size,
            seed,
            day: 0,
            now: MONDAY,
            covers: Vec::new(),
            by_id: HashMap::new(),
            offices,
            pools: HashMap::new(),
            cases: BTreeMap::new(),
            open: BTreeSet::new(),
            standing: HashMap::new(),
            links: Vec::new(),
            wishes: BTreeMap::new(),
            unheard: 0,
            tally: Tally::default(),
            outside: Outside::listen_to(house, mailbox).await,
            photos: (60..68).map(jpeg).collect(),
        };
        city.lay_covers().await;
        // So that a pool knows whom to ask from the first day.
        town.registry.sweep_cases().await.unwrap();
        city
    }

    /// Covers of five classes, some of which nobody owns and some of which somebody else maintains.
    async fn lay_covers(&mut self) {
        let town = &self.house.town;
        let rows = (0..self.size.covers).map(|at| {
            let place = at as usize % 5;
            let name = |at: usize| MANNERS[at % self.size.parties].name.to_owned();
            let mut row = candidate(at + 10, CLASSES[place]);
            // Within the district, forty a row.
            row.survey.position.lon = 118.52 + (at % 40) as f64 * 0.004;
            row.survey.position.lat = 37.41 + (at / 40) as f64 * 0.004;
            row.survey.owner = (at % 10 != 7).then(|| name(place));
            row.survey.maintainer = (at % 10 == 3).then(|| name(at as usize / 10));
            row.survey.extra.insert("备注".into(), PRIVATE.into());
            row
        });
        let created = |outcome| match outcome {
            Outcome::Created(cover) => cover,
            other => panic!("{other:?}"),
        };
        let mut covers: Vec<CoverId> = Vec::new();
        let rows: Vec<_> = rows.collect();
        let mut run = town.registry.begin_import(town.options(ImportMode::Write)).await.unwrap();
        run.begin_file();
        covers.extend(run.take(rows).await.unwrap().into_iter().map(|row| created(row.outcome)));
        drop(run);
        // The house has a street of its own, all of it sewage of the water company.
        self.pools.entry(Some(CoverClass::Sewage)).or_default().insert(town.water);
        self.pools.entry(None).or_default().insert(town.water);
        for (file, token) in town.plate(&covers).await {
            let (owner, maintainer) =
                (file.owner.map(|party| party.id), file.maintainer.map(|party| party.id));
            for party in [owner, maintainer].into_iter().flatten() {
                self.pools.entry(Some(file.survey.class)).or_default().insert(party);
                self.pools.entry(None).or_default().insert(party);
            }
            self.by_id.insert(file.cover.to_string(), self.covers.len());
            let (code, class) = (file.code.digits, file.survey.class);
            self.covers.push(CoverSpot { code, token, class, whose: maintainer.or(owner) });
        }
    }

    /// Those that may be meant.
    pub fn pool(&self, class: Option<CoverClass>) -> BTreeSet<PartyId> {
        self.pools.get(&class).cloned().unwrap_or_else(|| self.pools[&None].clone())
    }

    /// Whose cover it is.
    pub fn whose(&self, slate: &Slate) -> Option<PartyId> {
        slate.cover.and_then(|at| self.covers[at].whose)
    }

    /// A die for one question of one day: what else happened that day does not change how it falls.
    pub fn dice(&self, about: &str) -> SmallRng {
        let of = [self.seed, self.day as u64].map(u64::to_le_bytes).concat();
        let hash = of.iter().chain(about.as_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        SmallRng::seed_from_u64(hash)
    }

    pub fn chance(&self, percent: u32, about: &str) -> bool {
        self.dice(about).random_ratio(percent, 100)
    }

    pub fn set_clock(&mut self, hour: i64, minute: i64) {
        // The town's clock begins at eight in the morning.
        self.now = MONDAY + self.day * DAY + (hour - 8) * HOUR + minute * 60_000;
        self.house.town.clock.store(self.now, Ordering::SeqCst);
    }

    pub fn is_storm(&self) -> bool {
        self.day % 60 > 56
    }

    /// A party is away for a week of each quarter, the one after the other.
    pub fn is_off(&self, office: usize) -> bool {
        (self.day + 17 * office as i64) % 91 < 7
    }

    pub fn is_workday(&self) -> bool {
        is_workday(self.now)
    }

    /// What the minute loops of the server do.
    pub async fn sweep(&mut self) {
        let registry = &self.house.town.registry;
        registry.sweep_cases().await.unwrap();
        registry.remind_notices(registry.now()).await.unwrap();
        let now = self.now;
        for number in &self.open {
            let slate = self.cases.get_mut(number).unwrap();
            let was_offered = slate.turn() == Turn::Pool;
            slate.swept(now);
            self.tally.unclaimed += usize::from(was_offered && slate.turn() == Turn::Desk);
        }
    }

    /// Sends a call; whoever posts does so under a key of its own.
    pub async fn send(&self, call: Call) -> Answer {
        let url = format!("{}{}", self.house.base, call.path);
        let mut request = self.client.request(call.method.parse().unwrap(), url);
        match call.who {
            Who::Citizen => {}
            Who::Staff(role) => request = request.bearer_auth(self.house.bearer(role)),
            Who::Office(at) => request = request.bearer_auth(&self.offices[at].bearer),
        }
        if call.method == "POST" {
            request = request.header(KEY, IdempotencyKey::fresh().to_string());
        }
        request = match call.body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Form(fields, photos) => {
                let mut form = reqwest::multipart::Form::new();
                for (name, value) in fields {
                    form = form.text(name, value);
                }
                for (at, name) in photos.into_iter().enumerate() {
                    let mut photo = self.photos[(call.path.len() + at) % self.photos.len()].clone();
                    if call.who == Who::Citizen {
                        one_of_a_kind(&mut photo);
                    }
                    let part = reqwest::multipart::Part::bytes(photo).file_name("photo.jpg");
                    form = form.part(name, part.mime_str("image/jpeg").unwrap());
                }
                request.multipart(form)
            }
        };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// Sends it and expects this status.
    pub async fn expect(&self, call: Call, status: u16) -> Answer {
        let path = call.path.clone();
        let answer = self.send(call).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        answer
    }

    pub async fn get(&self, who: Who, path: &str) -> Answer {
        self.expect(Call { who, method: "GET", path: path.to_owned(), body: Body::None }, 200).await
    }

    /// Sends calls side by side; answers in their order.
    pub async fn send_all(&self, calls: Vec<Call>) -> Vec<Answer> {
        futures_util::stream::iter(calls.into_iter().map(|call| self.send(call)))
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    /// Raw bytes of a photo as a phone sends them ahead of an action; answers the photo's id.
    pub async fn send_photo(&self, role: Role) -> String {
        let (id, bytes) = (IdempotencyKey::fresh().to_string(), self.photos[0].clone());
        let url = format!("{}/api/v1/crew/photos/{id}?offset=0&total={}", self.house.base, bytes.len());
        let sent = self.client.put(url).bearer_auth(self.house.bearer(role));
        let sent = sent.header("content-type", "application/octet-stream").body(bytes).send().await.unwrap();
        assert_eq!(sent.status(), 200);
        id
    }

    /// Makes moves of as many cases, side by side. What was made must stand as the slate says, until when it says; what
    /// was refused, for a reason that could be known.
    pub async fn make(&mut self, tries: Vec<Try>) {
        let (mut calls, mut kept) = (Vec::new(), Vec::new());
        for one in tries {
            let path = format!("/api/v1/cases/{}/moves", one.number);
            calls.push(Call { who: one.who, method: "POST", path, body: one.body });
            kept.push((one.number, one.made, one.with, one.may));
        }
        let answers = self.send_all(calls).await;
        for ((number, made, with, may), answer) in kept.into_iter().zip(answers) {
            if answer.status != 200 {
                let code = answer.code();
                assert!(may.contains(&code.as_str()), "{number} {made}: {}", answer.text());
                self.tally.refused += 1;
                continue;
            }
            self.keep(&number, made, with);
            let (said, slate) = (answer.json(), &self.cases[&number]);
            let due = slate.due().map(|at| Millis(at).to_rfc3339());
            let party = slate.party.map(|party| party.to_string());
            assert_eq!(
                (
                    said["state"].as_str(),
                    said["due_at"].as_str(),
                    said["party"].as_str(),
                    said["late_ms"].as_i64()
                ),
                (Some(slate.state.as_str()), due.as_deref(), party.as_deref(), Some(slate.late)),
                "{number} after {made}: {slate:?}"
            );
        }
    }

    /// Keeps up with a move that was made.
    pub fn keep(&mut self, number: &str, made: CaseMove, with: With) {
        let now = self.now;
        let slate = self.cases.get_mut(number).unwrap();
        slate.made(made, with, now);
        let key = slate.cover.map(|cover| (cover, slate.hazard));
        if slate.turn() == Turn::Nobody {
            self.open.remove(number);
            key.and_then(|key| self.standing.remove(&key));
        } else if self.open.insert(number.to_owned()) {
            key.and_then(|key| self.standing.insert(key, number.to_owned()));
        }
        self.tally.closed += usize::from(made == CaseMove::Close);
        self.tally.reopened += usize::from(made == CaseMove::Reopen);
    }

    /// A report that was filed under this number.
    pub fn filed(&mut self, number: &str, cover: Option<usize>, hazard: Hazard, joined: bool) {
        let known = cover.and_then(|cover| self.standing.get(&(cover, hazard)));
        assert_eq!(known.is_some(), joined, "{number} joined the open case of its cover, or there was none");
        self.tally.reports += 1;
        self.unheard += 1;
        if let Some(known) = known {
            assert_eq!(known, number);
            self.tally.joined += 1;
            return;
        }
        let spot = cover.map(|at| (at, self.covers[at].class));
        let pool = self.pool(spot.map(|(_, class)| class));
        let whose = cover.and_then(|at| self.covers[at].whose);
        let slate = Slate::open(hazard, spot, whose, &pool, self.now);
        let twice = self.cases.insert(number.to_owned(), slate);
        assert!(twice.is_none(), "{number} was given twice");
        self.open.insert(number.to_owned());
        if let Some(cover) = cover {
            self.standing.insert((cover, hazard), number.to_owned());
        }
    }

    /// The case in which one ends up after however many joinings.
    pub fn root<'n>(&'n self, number: &'n str) -> &'n str {
        let mut root = number;
        while let Some(target) = &self.cases[root].joined_to {
            root = target;
        }
        root
    }

    pub fn pick<'a, T>(&self, from: &'a [T], about: &str) -> &'a T {
        from.choose(&mut self.dice(about)).unwrap()
    }
}
