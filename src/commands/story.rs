//! What happened in the demo city before you came: plates on one street, reports, and cases in every
//! state, all through the real verbs. Every call has a fixed idempotency key, so an interrupted demo
//! is taken up where it ended.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use super::{Language, Outcome};
use crate::config::{Config, Place};
use crate::domain::Refusal;
use crate::domain::case::{CaseMove, MoveRequest};
use crate::domain::cover::CoverFile;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CoverId, IdempotencyKey, Millis, PartyId};
use crate::domain::plate::{Plate, PlateState};
use crate::domain::position::distance_m;
use crate::domain::role::{Actor, Role};
use crate::photos::{PhotoLimits, PhotoStore};
use crate::press::{self, PlateOrder, Wanted};
use crate::registry::{
    AttachedPhoto, CitizenSays, CityWord, CoverFilter, MoveOrder, NewRating, NewReport, NewUser, Registry,
    RegistryError, Reported, User,
};

mod devices;
mod picture;
mod supervision;

use picture::Subject;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A street's worth.
const STREET: usize = 40;
/// How many of them are fitted; the rest waits at the workshop.
const FITTED: usize = 34;
const BLANK: usize = 8;

/// Where and when the story plays.
pub(super) struct Stage<'a> {
    pub registry: &'a Registry,
    pub config: &'a Config,
    pub place: &'a Place,
    /// The registry's clock.
    pub clock: Arc<AtomicI64>,
    /// The real time, which the story ends before.
    pub now: i64,
    /// The district with the plates.
    pub district: String,
    /// Of the citizens and the desk.
    pub language: Language,
}

/// Where a visitor begins.
pub(super) struct Told {
    pub token: String,
    pub code: String,
    /// Path of a tracking page.
    pub tracking: String,
}

/// A member of staff of the demo.
pub(super) struct Person {
    pub role: Role,
    name_zh: &'static str,
    name_en: &'static str,
}

impl Person {
    pub(super) fn login(&self) -> &'static str {
        self.role.as_str()
    }

    pub(super) fn password(&self) -> String {
        format!("demo-{}-2026", self.login())
    }
}

/// One of each role; the login is the role's word.
pub(super) const PEOPLE: &[Person] = &[
    Person { role: Role::Admin, name_zh: "管理员（演示）", name_en: "Administrator (demo)" },
    Person { role: Role::Engineer, name_zh: "普查工程师（演示）", name_en: "Engineer (demo)" },
    Person { role: Role::Dispatcher, name_zh: "派遣员（演示）", name_en: "Dispatcher (demo)" },
    Person { role: Role::Supervisor, name_zh: "监督员（演示）", name_en: "Supervisor (demo)" },
    Person { role: Role::Handler, name_zh: "处置单位（演示）", name_en: "Handler (demo)" },
    Person { role: Role::Crew, name_zh: "安装班组（演示）", name_en: "Plate crew (demo)" },
    Person { role: Role::GridWorker, name_zh: "网格员（演示）", name_en: "Grid worker (demo)" },
];

struct Step {
    by: Role,
    made: CaseMove,
    why: Option<(&'static str, &'static str)>,
    photo: Option<Subject>,
}

const fn step(by: Role, made: CaseMove) -> Step {
    Step { by, made, why: None, photo: None }
}

const fn because(by: Role, made: CaseMove, zh: &'static str, en: &'static str) -> Step {
    Step { by, made, why: Some((zh, en)), photo: None }
}

const fn showing(by: Role, made: CaseMove, photo: Subject) -> Step {
    Step { by, made, why: None, photo: Some(photo) }
}

struct Script {
    hazard: Hazard,
    zh: &'static str,
    en: &'static str,
    photo: Subject,
    steps: &'static [Step],
}

const FILE: Step = step(Role::Dispatcher, CaseMove::File);
const DISPATCH: Step = step(Role::Dispatcher, CaseMove::Dispatch);
const ACCEPT: Step = step(Role::Handler, CaseMove::Accept);
const HAND_IN: Step = showing(Role::Handler, CaseMove::HandIn, Subject::Repaired);
const CHECK: Step = step(Role::Supervisor, CaseMove::Check);
const CLOSE: Step = showing(Role::Supervisor, CaseMove::Close, Subject::Repaired);

/// One case for every state, and a few more; the first ends closed and is the one to track.
const SCRIPTS: &[Script] = &[
    Script {
        hazard: Hazard::Broken,
        zh: "井盖裂开一道缝，自行车轮会卡住。",
        en: "The cover is cracked right across; a bicycle wheel gets stuck in it.",
        photo: Subject::Cracked,
        steps: &[FILE, DISPATCH, ACCEPT, HAND_IN, CHECK, CLOSE],
    },
    Script {
        hazard: Hazard::Rocking,
        zh: "车辆经过时响声很大，夜里影响休息。",
        en: "It bangs under every car and keeps the street awake at night.",
        photo: Subject::Whole,
        steps: &[
            FILE,
            DISPATCH,
            ACCEPT,
            HAND_IN,
            CHECK,
            CLOSE,
            because(
                Role::Supervisor,
                CaseMove::Reopen,
                "回头看发现仍有异响",
                "Looked again a week later: it still bangs",
            ),
        ],
    },
    Script {
        hazard: Hazard::Level,
        zh: "井盖比路面低约五厘米。",
        en: "The cover lies some two inches below the road.",
        photo: Subject::Whole,
        steps: &[FILE, DISPATCH, ACCEPT, HAND_IN, CHECK],
    },
    Script {
        hazard: Hazard::Blocked,
        zh: "箅子被落叶堵住了。",
        en: "The grate is full of leaves.",
        photo: Subject::Whole,
        steps: &[FILE, DISPATCH, ACCEPT, HAND_IN],
    },
    Script {
        hazard: Hazard::Odour,
        zh: "井口有异味。",
        en: "A bad smell comes out of it.",
        photo: Subject::Whole,
        steps: &[
            FILE,
            DISPATCH,
            ACCEPT,
            because(
                Role::Supervisor,
                CaseMove::Suspend,
                "须待管网改造, 先行挂账",
                "Must wait until the main is rebuilt",
            ),
        ],
    },
    Script {
        hazard: Hazard::Overflow,
        zh: "下雨后污水往外冒。",
        en: "It overflows after every rain.",
        photo: Subject::Wet,
        steps: &[
            FILE,
            DISPATCH,
            because(Role::Supervisor, CaseMove::Extend, "配件下周到货", "The part comes next week"),
            ACCEPT,
        ],
    },
    Script {
        hazard: Hazard::WrongCover,
        zh: "雨水井上盖着污水井盖。",
        en: "A sewer cover lies on a storm drain.",
        photo: Subject::Whole,
        steps: &[
            FILE,
            DISPATCH,
            because(
                Role::Handler,
                CaseMove::Refuse,
                "经核实不属我单位管养",
                "Not ours: the county road crew keeps it",
            ),
        ],
    },
    Script {
        hazard: Hazard::NoNet,
        zh: "掀开后没有看到防坠网。",
        en: "There is no safety net under the cover.",
        photo: Subject::Missing,
        steps: &[FILE, DISPATCH],
    },
    Script {
        hazard: Hazard::Other,
        zh: "井盖上画了涂鸦。",
        en: "Somebody painted a face on it.",
        photo: Subject::Whole,
        steps: &[because(
            Role::Dispatcher,
            CaseMove::Reject,
            "不影响安全, 不予立案",
            "Harmless; nothing to repair",
        )],
    },
    Script {
        hazard: Hazard::Missing,
        zh: "井盖不见了，路中间有个大洞，很危险！",
        en: "The cover is gone. There is an open hole in the lane!",
        photo: Subject::Missing,
        steps: &[],
    },
    Script {
        hazard: Hazard::Ponding,
        zh: "井盖周围积水排不下去。",
        en: "Water stands around it and does not drain.",
        photo: Subject::Wet,
        steps: &[],
    },
    Script {
        hazard: Hazard::Cable,
        zh: "井盖下面伸出一根电缆。",
        en: "A cable sticks out from under it.",
        photo: Subject::Whole,
        steps: &[FILE],
    },
    Script {
        hazard: Hazard::Displaced,
        zh: "隔壁井盖也移位了，和前面那个洞是一回事。",
        en: "The next cover is pushed aside too: same hole as reported before.",
        photo: Subject::Missing,
        steps: &[because(
            Role::Dispatcher,
            CaseMove::Join,
            "与前一案件为同一处",
            "Same place as the case before",
        )],
    },
];

/// Names the batches of the street.
const STREET_NOTE: &str = "demo: one street";

pub(super) async fn tell(stage: &Stage<'_>) -> Outcome<Told> {
    let street = find_street(stage).await?;
    let mut times = Times { stage };
    times.at(stage.now - 21 * DAY_MS);
    let party = find_handler_party(stage, &street).await?;
    let staff = add_people(stage, party).await?;

    let workshop = Workshop { registry: stage.registry, config: stage.config, place: stage.place };
    let covers = street.iter().take(STREET).map(|cover| cover.cover).collect();
    let plates = workshop.street(covers).await?;
    let blanks = workshop.blanks().await?;

    times.at(stage.now - 20 * DAY_MS);
    supervision::take_over_ledger(stage, &street, party).await?;
    times.at(stage.now - 19 * DAY_MS);
    fit_plates(stage, &staff, &street, (&plates, &blanks)).await?;
    let photos = PhotoStore::new(stage.place.photos(), PhotoLimits::default());
    if let Some(first) = street.first() {
        let photo = take_photo(&photos, Subject::Whole, 7).await?;
        let crew = actor_of(&staff, Role::Crew);
        stage.registry.add_cover_photos(&first.code.digits, vec![photo], &crew).await?;
    }
    times.at(stage.now - 3 * DAY_MS);
    devices::install(stage, &staff, &street).await?;
    let tracking = play_cases(stage, &staff, party, (&plates, &photos)).await?;
    times.at(stage.now);
    supervision::leave_work(stage, &staff, party).await?;
    devices::speak(stage).await?;
    // A file with something in it: the cover of the case that was closed.
    let shown = street.get(1).or(street.first()).ok_or_else(|| Refusal::new("batch.empty"))?;
    let token = plates.first().ok_or_else(|| Refusal::new("batch.empty"))?.token;
    Ok(Told { token: token.to_string(), code: shown.code.digits.clone(), tracking })
}

struct Times<'a> {
    stage: &'a Stage<'a>,
}

impl Times<'_> {
    fn at(&mut self, at: i64) {
        self.stage.clock.store(at.min(self.stage.now), Ordering::SeqCst);
    }
}

/// The covers around the densest place of the district, nearest first; on one road where roads are known.
async fn find_street(stage: &Stage<'_>) -> Outcome<Vec<CoverFile>> {
    let filter =
        CoverFilter { district: Some(stage.district.clone()), limit: 1000, ..CoverFilter::default() };
    let mut covers = stage.registry.list_covers(filter).await?;
    if covers.is_empty() {
        covers = stage.registry.list_covers(CoverFilter { limit: 1000, ..CoverFilter::default() }).await?;
    }
    let place = |cover: &CoverFile| (cover.survey.position.lon, cover.survey.position.lat);
    // Cells of about 200 m.
    let cell = |cover: &CoverFile| {
        let (lon, lat) = place(cover);
        ((lon / 0.002).floor() as i64, (lat / 0.002).floor() as i64)
    };
    let mut counts: HashMap<(i64, i64), usize> = HashMap::new();
    covers.iter().for_each(|cover| *counts.entry(cell(cover)).or_default() += 1);
    let anchor = covers
        .iter()
        .max_by_key(|cover| (counts[&cell(cover)], std::cmp::Reverse(cover.code.digits.clone())))
        .map(|cover| (place(cover), cover.survey.road.clone()))
        .ok_or_else(|| Refusal::new("batch.empty"))?;
    let ((lon, lat), road) = anchor;
    covers.sort_by(|a, b| {
        let key = |cover: &CoverFile| {
            (road.is_some() && cover.survey.road != road, distance_m(place(cover), (lon, lat)))
        };
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    covers.truncate(STREET + 1);
    Ok(covers)
}

async fn find_handler_party(stage: &Stage<'_>, street: &[CoverFile]) -> Outcome<PartyId> {
    let owner = street.iter().find_map(|cover| cover.maintainer.as_ref().or(cover.owner.as_ref()));
    match owner {
        Some(party) => Ok(party.id),
        None => {
            let parties = stage.registry.list_parties().await?;
            Ok(parties.first().map(|party| party.id).ok_or_else(|| Refusal::new("party.unknown"))?)
        }
    }
}

async fn add_people(stage: &Stage<'_>, party: PartyId) -> Outcome<HashMap<Role, User>> {
    for person in PEOPLE {
        let name = match stage.language {
            Language::Zh => person.name_zh,
            Language::En => person.name_en,
        };
        let new = NewUser {
            login: person.login().into(),
            name: name.into(),
            role: person.role,
            party: (person.role == Role::Handler).then_some(party),
            password: person.password(),
        };
        match stage.registry.add_user(new).await {
            Ok(_) => {}
            Err(RegistryError::Conflict(refusal)) if refusal.code == "user.login_taken" => {}
            Err(error) => return Err(error.into()),
        }
    }
    let users = stage.registry.list_users().await?;
    let of_demo = |user: &User| PEOPLE.iter().any(|person| person.login() == user.login);
    Ok(users.into_iter().filter(of_demo).map(|user| (user.role, user)).collect())
}

fn actor_of(staff: &HashMap<Role, User>, role: Role) -> Actor {
    staff.get(&role).map_or(Actor::System, User::actor)
}

/// PDF and ledger of the street's plates.
pub(super) fn street_files(place: &Place) -> (PathBuf, PathBuf) {
    (place.data.join("plates/street.pdf"), place.data.join("plates/street.csv"))
}

/// All plates once more, for the address that the settings name now.
pub(super) async fn print_anew(registry: &Registry, config: &Config, place: &Place) -> Outcome<()> {
    let batches = registry.list_batches().await?;
    let first = batches.iter().find(|batch| batch.note.starts_with(STREET_NOTE));
    let first = first.ok_or_else(|| Refusal::new("batch.empty"))?;
    let plates = press::list_plates(registry, first.id).await?;
    let workshop = Workshop { registry, config, place };
    workshop.street(plates.iter().filter_map(|plate| plate.cover).collect()).await?;
    workshop.blanks().await?;
    Ok(())
}

/// Where plates are made.
struct Workshop<'a> {
    registry: &'a Registry,
    config: &'a Config,
    place: &'a Place,
}

impl Workshop<'_> {
    /// One for each cover of the street, with a ledger.
    async fn street(&self, covers: Vec<CoverId>) -> Outcome<Vec<Plate>> {
        let (pdf, ledger) = street_files(self.place);
        let plates = self.make(STREET_NOTE, Wanted::Covers(covers), &pdf).await?;
        let mut text = Vec::new();
        if let Some(first) = plates.first() {
            press::write_ledger_of(self.registry, (first.batch, None), &mut text).await?;
        }
        std::fs::write(&ledger, text)
            .map_err(|error| super::file_trouble("file.not_written", &ledger, &error))?;
        Ok(plates)
    }

    /// To be bound in the field.
    async fn blanks(&self) -> Outcome<Vec<Plate>> {
        let pdf = self.place.data.join("plates/blank.pdf");
        self.make("demo: blank", Wanted::Blank(BLANK), &pdf).await
    }

    /// Makes a batch for the address in the settings, or finds the one of an earlier try.
    async fn make(&self, note: &str, wanted: Wanted, pdf: &Path) -> Outcome<Vec<Plate>> {
        let Workshop { registry, config, place } = self;
        let note = format!("{note}, for {}", config.plate_base());
        let batches = registry.list_batches().await?;
        if let Some(batch) = batches.iter().find(|batch| batch.note == note) {
            press::reprint(registry, config, &place.data, (batch.id, &press::Sheets::All), pdf).await?;
            return Ok(press::list_plates(registry, batch.id).await?);
        }
        let order = PlateOrder { note, ..PlateOrder::usual(wanted, Actor::System) };
        let made = press::make_batch(registry, config, &place.data, &order, pdf).await?;
        Ok(press::list_plates(registry, made.batch.id).await?)
    }
}

/// Most plates of the street are fitted; one blank plate replaces a damaged one, one is withdrawn.
async fn fit_plates(
    stage: &Stage<'_>,
    staff: &HashMap<Role, User>,
    street: &[CoverFile],
    (plates, blanks): (&[Plate], &[Plate]),
) -> Outcome<()> {
    let crew = actor_of(staff, Role::Crew);
    for (plate, cover) in plates.iter().zip(street).take(FITTED) {
        if plate.state == PlateState::Printed {
            stage.registry.install_plate(plate.token, &cover.code.digits, &crew).await?;
        }
    }
    // The last fitted plate was scratched: a blank one takes over and the old one points to it.
    if let (Some(blank), Some(cover)) =
        (blanks.first(), street.get(FITTED.min(plates.len()).saturating_sub(1)))
        && blank.state == PlateState::Printed
    {
        stage.registry.install_plate(blank.token, &cover.code.digits, &crew).await?;
    }
    if let Some(spoiled) = blanks.last().filter(|plate| plate.state == PlateState::Printed) {
        let why = match stage.language {
            Language::Zh => "印刷错位",
            Language::En => "Misprinted",
        };
        stage.registry.revoke_plate(spoiled.token, why, &actor_of(staff, Role::Engineer)).await?;
    }
    Ok(())
}

/// Plays every script on a cover of its own; answers the tracking address of the first.
async fn play_cases(
    stage: &Stage<'_>,
    staff: &HashMap<Role, User>,
    party: PartyId,
    (plates, photos): (&[Plate], &PhotoStore),
) -> Outcome<String> {
    let mut times = Times { stage };
    let mut tracking = String::new();
    let mut before = String::new();
    // From the second cover on: the first is the one to try a report on.
    for ((at, script), plate) in SCRIPTS.iter().enumerate().zip(plates.iter().skip(1)) {
        let mut time = stage.now - 9 * DAY_MS + at as i64 * 15 * HOUR_MS;
        times.at(time);
        let reported = report(stage, photos, (at, script), plate).await?;
        if at == 0 {
            tracking = format!("/r/{}", stage.registry.tracking_link(&reported));
        }
        for (number, step) in script.steps.iter().enumerate() {
            time += 2 * HOUR_MS;
            times.at(time);
            let evidence = match step.photo {
                Some(subject) => vec![take_photo(photos, subject, (at * 100 + number) as u32).await?],
                None => Vec::new(),
            };
            let until = step.made == CaseMove::Suspend;
            let until = until.then_some(Millis((stage.now / DAY_MS + 30) * DAY_MS));
            let request = MoveRequest {
                party: (step.made == CaseMove::Dispatch).then_some(party),
                reason: step.why.map(|(zh, en)| stage.say(zh, en)),
                until,
                release: step.made == CaseMove::Close,
                ..MoveRequest::default()
            };
            let order = MoveOrder {
                key: key((at * 100 + number + 1) as u128),
                number: reported.case_number.clone(),
                expected_version: None,
                made: step.made,
                request,
                target_number: (step.made == CaseMove::Join).then(|| before.clone()),
                pool: None,
                condition: None,
                position: None,
                photos: evidence,
                before_photos: Vec::new(),
                actor: actor_of(staff, step.by),
            };
            match stage.registry.move_case(order).await {
                // The key was used before: the move was made, only its day has passed since.
                Err(RegistryError::Conflict(refusal)) if refusal.code == "idempotency.other_request" => {}
                moved => drop(moved?),
            }
        }
        if at == 0 {
            talk(stage, &actor_of(staff, Role::Dispatcher), &reported).await?;
        }
        if script.hazard == Hazard::Missing {
            before = reported.case_number;
        }
    }
    Ok(tracking)
}

/// The desk asks whether it is well now; the citizen answers and says how content they are.
async fn talk(stage: &Stage<'_>, desk: &Actor, reported: &Reported) -> Outcome<()> {
    let link = stage.registry.tracking_link(reported);
    let asked = CityWord {
        key: key(90_001),
        number: reported.case_number.clone(),
        tracking: Some(reported.tracking.clone()),
        text: stage.say(
            "已经更换新井盖。请问现在走过去还有异常吗？",
            "The cover was replaced. Is anything still wrong with it?",
        ),
        actor: desk.clone(),
    };
    stage.registry.write_to_citizen(asked).await?;
    let text = stage.say("很平稳，谢谢！", "It sits well now, thank you!");
    stage.registry.say_as_citizen(&link, CitizenSays { key: key(90_002), text, photos: Vec::new() }).await?;
    let text = stage.say("处理得很快", "That was quick");
    let rating = NewRating { key: key(90_003), score: 5, text, wish: None, contact: None };
    stage.registry.rate(&link, rating).await?;
    Ok(())
}

async fn report(
    stage: &Stage<'_>,
    photos: &PhotoStore,
    (at, script): (usize, &Script),
    plate: &Plate,
) -> Outcome<Reported> {
    let photo = take_photo(photos, script.photo, at as u32).await?;
    let new = NewReport {
        key: key((at * 100) as u128),
        token: plate.token,
        hazard: script.hazard,
        description: stage.say(script.zh, script.en),
        contact: None,
        phone_position: None,
        photos: vec![photo],
        language: match stage.language {
            Language::Zh => "zh-CN",
            Language::En => "en",
        },
        origin: None,
    };
    Ok(stage.registry.report_hazard(new).await?)
}

impl Stage<'_> {
    fn say(&self, zh: &str, en: &str) -> String {
        match self.language {
            Language::Zh => zh.to_owned(),
            Language::En => en.to_owned(),
        }
    }
}

/// The same key for the same call in every run.
fn key(number: u128) -> IdempotencyKey {
    IdempotencyKey(Uuid::from_u128(0x0de0_0000_0000_7000_8000_0000_0000_0000 + number))
}

async fn take_photo(store: &PhotoStore, subject: Subject, seed: u32) -> Outcome<AttachedPhoto> {
    let store = store.clone();
    let stored = tokio::task::spawn_blocking(move || {
        let bytes = picture::draw(subject, seed).map_err(anyhow::Error::new)?;
        store.intake(&bytes).map_err(anyhow::Error::new)
    });
    let stored = stored.await.map_err(anyhow::Error::new)??;
    Ok(AttachedPhoto {
        digest: stored.digest.0,
        media_type: stored.media_type.as_str().to_owned(),
        bytes: stored.bytes,
        width: stored.width,
        height: stored.height,
        look: stored.look,
    })
}
