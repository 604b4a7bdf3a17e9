//! Stories of the pages as text: what they show, in both languages, and that nothing in them is markup by accident.

use uuid::Uuid;

use super::*;
use crate::domain::case::{Case, CaseMove, CaseSource, CaseState, MOVES, MoveRule, PhonePosition, Report};
use crate::domain::citizen::{CitizenWord, Voice};
use crate::domain::code::built_in_schemes;
use crate::domain::cover::{CoverClass, CoverFile, CoverState, District, Material, Party, Survey};
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::*;
use crate::domain::limits::{LimitRow, LimitRules};
use crate::domain::plate::{Plate, PlateSpot, PlateState, SymbolRecord};
use crate::domain::position::{Position, PositionMethod, RawPosition};
use crate::domain::quality::{Attached, Rules};
use crate::domain::role::Role;
use crate::domain::routing::{KnownParty, Misfit, Routed, RoutingRules};
use crate::domain::token::Token;
use crate::domain::triage::TriageFactor;
use crate::messages::Language;
use crate::registry::{
    CaseAdvice, CaseFile, CaseLine, CaseVoices, ChainState, NearCase, PhotoRecord, RouteAdvice, ScannedPlate,
    SimilarCase, Tracked, User,
};
use crate::spatial::{Attributes, Flags, Near, SnapshotRow};

mod editing;

const CONTACT: &str = "13800138000";
const NASTY: &str = "<script>alert('x')</script> & \"quotes\" {count}";

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn token() -> Token {
    Token::from_i64(7).unwrap()
}

fn party() -> Party {
    Party { id: PartyId(id(3)), name: "东营水务".into(), hotline: Some("0546-8300110".into()) }
}

fn cover() -> CoverFile {
    let raw = RawPosition { x: 118.59, y: 37.46, epsg: 4490 };
    CoverFile {
        cover: CoverId(id(1)),
        manhole: ManholeId(id(2)),
        code: ComponentCode { scheme: "component-16".into(), digits: "3705020102000041".into() },
        district: District { code: "370502".into(), name_zh: "东营区".into(), name_en: "Dongying".into() },
        survey: Survey {
            district: "370502".into(),
            class: CoverClass::Sewage,
            state: CoverState::Intact,
            position: Position {
                lon: 118.59,
                lat: 37.46,
                raw,
                method: PositionMethod::Rtk,
                accuracy_m: Some(0.05),
                surveyed_at: Some(Millis(1_700_000_000_000)),
                device: None,
            },
            road: Some("黄河路".into()),
            address: Some("12号门前".into()),
            placement: None,
            material: Some(Material::DuctileIron),
            shape: None,
            load_class: None,
            owner: Some("东营水务".into()),
            maintainer: None,
            supervisor: None,
            extra: [("管径".to_owned(), NASTY.to_owned())].into(),
        },
        owner: Some(party()),
        maintainer: None,
        supervisor: None,
        source: "census".into(),
        source_key: Some("A-17".into()),
        version: 1,
        created_at: Millis(1_700_000_000_000),
        retired: None,
        covers_here: 1,
        leads: true,
    }
}

fn plate(state: PlateState) -> Plate {
    Plate {
        token: token(),
        batch: BatchId(id(4)),
        ordinal: 1,
        state,
        payload: String::new(),
        face: "rect-90x60".into(),
        symbol: SymbolRecord { version: 3, level: 'Q', mask: 0 },
        cover: Some(CoverId(id(1))),
        manhole: Some(ManholeId(id(2))),
        printed_code: Some("3705020102000041".into()),
        page: 1,
        place_on_page: 1,
        successor: None,
        spot: PlateSpot::Public,
        holder: None,
        state_at: Millis(1_700_000_000_000),
    }
}

fn case(state: CaseState, hazard: Hazard) -> Case {
    let place = (ManholeId(id(2)), Some(CoverId(id(1))));
    let at = Millis(1_790_000_000_000);
    Case {
        id: CaseId(id(5)),
        state,
        report_count: 2,
        party: Some(PartyId(id(3))),
        until: Some(Millis(1_800_000_000_000)),
        due_at: Some(Millis(1_790_000_600_000)),
        strike_number: Some("2026-000007".into()),
        late_ms: 90_000,
        version: 3,
        ..Case::open("2026-000041".into(), place, hazard, CaseSource::CitizenScan, at)
    }
}

fn advice() -> CaseAdvice {
    let limits = LimitRules::built_in();
    let rows: Vec<LimitRow> = limits.rows(Hazard::Broken, None).cloned().collect();
    let routing = RoutingRules::built_in();
    let words = |at: usize| (routing.rules[at].id.clone(), routing.rules[at].words.clone());
    let (rule, passed) = (words(1), words(0));
    CaseAdvice {
        row: rows[0].clone(),
        rows,
        route: RouteAdvice {
            rule: Some(rule),
            to: Routed::Party(PartyId(id(3))),
            party: Some(KnownParty { id: PartyId(id(3)), name: NASTY.into() }),
            automatic: false,
            passed: vec![(passed.0, passed.1, Misfit::MaintainerKnown)],
            rules_version: 0,
        },
        decision: None,
        triage: TriageFactor::ALL.iter().map(|factor| (*factor, 10)).collect(),
        pools: routing.pools.iter().map(|(name, pool)| (name.clone(), pool.words.clone())).collect(),
        templates: routing.templates.clone(),
        similar: vec![SimilarCase {
            near: NearCase {
                case: case(CaseState::Filed, Hazard::Gas),
                code: Some(cover().code),
                road: None,
                lon: 118.59,
                lat: 37.46,
            },
            distance_m: 12.3,
        }],
        recurs: Some("2026-000012".into()),
        offered_to: vec![KnownParty { id: PartyId(id(3)), name: NASTY.into() }],
    }
}

fn report() -> Report {
    Report {
        id: ReportId(id(6)),
        tracking: "R2026-000123".into(),
        case: CaseId(id(5)),
        hazard: Hazard::Broken,
        description: NASTY.into(),
        contact: Some(CONTACT.into()),
        phone_position: Some(PhonePosition { lon: 118.5901, lat: 37.4601, accuracy_m: 12.0 }),
        source: CaseSource::Hotline,
        external_number: Some("12345-0815".into()),
        created_at: Millis(1_790_000_000_000),
    }
}

fn photo(report: Option<ReportId>, role: &str) -> PhotoRecord {
    PhotoRecord {
        id: PhotoId(id(7)),
        digest: [7; 32],
        manhole: ManholeId(id(2)),
        cover: Some(CoverId(id(1))),
        case: Some(CaseId(id(5))),
        report,
        role: role.into(),
        media_type: "image/jpeg".into(),
        bytes: 1,
        width: 1,
        height: 1,
        created_at: Millis(1_790_000_000_000),
    }
}

/// A file with a line of every kind and a move of every kind.
fn history() -> Vec<HistoryEntry> {
    let bodies = HistoryKind::ALL
        .iter()
        .map(|kind| (*kind, "file"))
        .chain(CaseMove::ALL.iter().map(|made| (HistoryKind::CaseMoved, made.as_str())));
    bodies
        .enumerate()
        .map(|(at, (kind, made))| {
            // The form of these says that whoever reported reads it.
            let is_public = ["reject", "suspend"].contains(&made);
            let why = if is_public { "nothing is wrong" } else { "desk talk {count}" };
            let body = serde_json::json!({
                "case": "2026-000041", "move": made, "from": "filed", "to": "dispatched", "why": why, "photos": ["00"],
            });
            HistoryEntry {
                manhole: ManholeId(id(2)),
                sequence: at as i64 + 1,
                at: Millis(1_790_000_000_000),
                actor: ["citizen", "system", "user:00000000-0000-0000-0000-0000000000ff"][at % 3].into(),
                kind,
                case: Some(CaseId(id(5))),
                body: body.to_string(),
                hash: [0; 32],
            }
        })
        .collect()
}

fn tracked(state: CaseState) -> Tracked {
    Tracked {
        report: report(),
        case: case(state, Hazard::Broken),
        cover: Some(cover()),
        party: Some(party()),
        timeline: history(),
        photos: vec![photo(Some(ReportId(id(6))), "report"), photo(None, "close")],
        released: Vec::new(),
        result_waits: true,
        words: vec![word(Voice::City), word(Voice::Citizen)],
        rating: None,
        again: Some("R2026-000124-SECRETSECRETSECR".into()),
        same_here: 3,
    }
}

fn word(voice: Voice) -> CitizenWord {
    CitizenWord {
        id: WordId(id(8)),
        report: ReportId(id(6)),
        voice,
        text: NASTY.into(),
        actor: "citizen".into(),
        created_at: Millis(1_790_000_000_000),
        answered_at: None,
    }
}

fn session(role: Role) -> Session {
    let user = User {
        id: UserId(id(255)),
        login: "jian".into(),
        name: "监督员甲".into(),
        role,
        party: None,
        disabled: false,
    };
    Session { secret: "the-secret-of-the-session".into(), csrf: "FORM-TOKEN".into(), user }
}

fn scanned(cases: Vec<Case>) -> ScannedPlate {
    ScannedPlate { plate: plate(PlateState::Installed), cover: Some(cover()), open_cases: cases }
}

fn schemes() -> BTreeMap<String, Scheme> {
    built_in_schemes().into_iter().map(|scheme| (scheme.id.clone(), scheme)).collect()
}

fn draft() -> ReportDraft {
    ReportDraft {
        key: IdempotencyKey(id(9)),
        hazard: Some(Hazard::Broken),
        description: NASTY.into(),
        contact: String::new(),
        tell: true,
    }
}

fn public_pages(page: &Page) -> Vec<(&'static str, String)> {
    let refusal = Refusal::new("token.length").at("token").with("read", NASTY).with("count", 3);
    let known = vec![case(CaseState::Filed, Hazard::Missing), case(CaseState::Handling, Hazard::Level)];
    vec![
        ("home", home(page, None)),
        ("home with a problem", home(page, Some((NASTY, &refusal)))),
        ("scan", scan(page, &scanned(known), &[2], Some(&photo(None, "cover")))),
        ("quiet scan", scan(page, &scanned(Vec::new()), &[], None)),
        ("blank plate", blank_plate(page, token())),
        ("withdrawn plate", withdrawn_plate(page, &scanned(Vec::new()), Some(token()))),
        ("unknown plate", unknown_plate(page)),
        ("report form", report_form(page, &ReportTarget::Plate(&scanned(Vec::new())), &draft(), None)),
        (
            "report form again",
            report_form(page, &ReportTarget::Plate(&scanned(Vec::new())), &draft(), Some(&refusal)),
        ),
        ("login", login(page, "/desk", Some("no"))),
        ("error", error(page, 404, &refusal)),
    ]
}

fn tracking_pages(page: &Page) -> Vec<(&'static str, String)> {
    let link = "R2026-000123-SECRETSECRETSECR";
    let all = CaseState::ALL.iter();
    all.map(|state| ("tracking", tracking(page, link, &tracked(*state), None))).collect()
}

fn desk_pages(page: &Page) -> Vec<(&'static str, String)> {
    let empty = String::new;
    let query = CaseQuery {
        state: empty(),
        hazard: "gas".into(),
        district: empty(),
        party: empty(),
        emergency: empty(),
        source: empty(),
        due: "overdue".into(),
        order: "urgent".into(),
        text: NASTY.into(),
    };
    let lines: Vec<CaseLine> = CaseState::ALL
        .iter()
        .map(|state| CaseLine {
            case: case(*state, Hazard::Gas),
            code: Some(cover().code),
            road: Some("黄河路".into()),
            district_zh: "东营区".into(),
            district_en: "Dongying".into(),
            party_name: Some("东营水务".into()),
            lon: 118.59,
            lat: 37.46,
        })
        .collect();
    let file = CaseFile {
        case: case(CaseState::Handled, Hazard::Gas),
        cover: Some(cover()),
        party: Some(party()),
        reports: vec![report()],
        photos: vec![photo(None, "hand_in")],
        timeline: history(),
        asks: Vec::new(),
        hold: None,
        voices: CaseVoices {
            words: vec![(word(Voice::Citizen), "R2026-000123".into())],
            ..CaseVoices::default()
        },
    };
    let moves: Vec<(&MoveRule, IdempotencyKey)> =
        MOVES.iter().zip(100..).map(|(rule, key)| (rule, IdempotencyKey(id(key)))).collect();
    let near = SnapshotRow {
        cover: CoverId(id(77)),
        lon: 118.5902,
        lat: 37.4601,
        class: CoverClass::Gas,
        state: CoverState::Intact,
        flags: Flags::default(),
        attributes: Attributes::default(),
    };
    let (parties, staff) = ([party()], [session(Role::Crew).user]);
    let places = [cover().district];
    let names = Names { parties: &parties, staff: &staff, districts: &places };
    let plates: Vec<Plate> = PlateState::ALL.iter().map(|state| plate(*state)).collect();
    let view = |chain| {
        let view = CoverView {
            file: &cover(),
            beside: &[],
            former: &[],
            earlier: &[],
            plates: &plates,
            cases: &[case(CaseState::Closed, Hazard::Level)],
            photos: &[photo(None, "close")],
            history: &history(),
            chain,
            neighbors: &[Near { row: near, distance_m: 14.2 }],
            asked: Some(AskedOf {
                rules: Rules::built_in(),
                knows: Rules::built_in().facts(&cover(), Attached { plate: true, photo: false }),
                this_year: 2026,
                notice: Some("2026-00001"),
            }),
            names,
        };
        cover_file(page, &view, None)
    };
    let refusal = Refusal::new("case.needs_reason").at("reason").with("move", CaseMove::Reject);
    let draft = MoveDraft { reason: "not sent".into(), ..MoveDraft::default() };
    let place = cover().district;
    vec![
        (
            "desk",
            case_list(
                page,
                &query,
                &lines,
                (Some("/desk?before=2026-000001"), 3),
                &[place],
                &[party()],
                None,
            ),
        ),
        ("empty desk", case_list(page, &query, &[], (None, 0), &[], &[], Some(&refusal))),
        ("case", case_file(page, &file, &moves, (&advice(), names), Some((&refusal, &draft)))),
        ("file", view(ChainState::Whole { length: 3 })),
        ("broken file", view(ChainState::Broken { sequence: 2 })),
    ]
}

/// Calls `check` with every page in both languages.
fn each_page(check: impl Fn(Language, &'static str, &str)) {
    let config = Config::default();
    let (session, schemes) = (session(Role::Engineer), schemes());
    for language in Language::ALL {
        let catalogue = Catalogue::of(language);
        let public = Page {
            catalogue,
            config: &config,
            schemes: &schemes,
            session: None,
            path: "/c/000000000077?x=1",
            now: Millis(1_790_000_000_000),
        };
        let staff = Page { session: Some(&session), ..public };
        let ours = [desk_pages(&staff), editing::pages(&staff)];
        let all = [public_pages(&public), tracking_pages(&public), ours.concat()].concat();
        all.iter().for_each(|(name, html)| check(language, name, html));
    }
}

#[test]
fn every_page_is_filled_escaped_and_free_of_what_the_policy_forbids() {
    each_page(|language, name, html| {
        // The policy names this one script by its digest.
        let html = &html.replacen(&format!("<script>{REPORT_SCRIPT}</script>"), "", 1);
        let html = &html.replacen(&format!("<script>{CASE_SCRIPT}</script>"), "", 1);
        let tell = |what: &str| format!("{name} in {}: {what}\n{html}", language.tag());
        assert!(html.starts_with("<!doctype html>"), "{}", tell("no document"));
        assert!(html.contains(&format!("<html lang=\"{}\"", language.tag())), "{}", tell("lang"));
        assert!(html.contains("name=\"viewport\""), "{}", tell("viewport"));
        for forbidden in ["<script>", " style=", " onclick=", "javascript:", "http://", "https://"] {
            assert!(!html.contains(forbidden), "{}", tell(forbidden));
        }
        // What people typed may hold braces; nothing of ours is left to be filled.
        let ours = html.replace("{count}", "");
        assert!(!ours.contains('{'), "{}", tell("an empty place"));
        let catalogue = Catalogue::of(language);
        for key in catalogue.keys() {
            assert!(!html.contains(&format!(">{key}<")), "{}", tell(key));
        }
        assert!(!html.contains("the-secret-of-the-session"), "{}", tell("the session's secret"));
    });
}

#[test]
fn public_pages_name_no_person_no_contact_and_no_coordinates() {
    each_page(|language, name, html| {
        // Who is logged in may see more.
        if html.contains("action=\"/logout\"") {
            return;
        }
        for secret in [CONTACT, "118.59", "37.46", "0000000000ff", "desk talk", "12号门前", "A-17"] {
            assert!(!html.contains(secret), "{name} in {} tells {secret}", language.tag());
        }
    });
}

#[test]
fn the_scan_page_says_what_whose_and_whom_to_call() {
    let config = Config::default();
    let catalogue = Catalogue::of(Language::Zh);
    let page =
        Page { catalogue, config: &config, schemes: &schemes(), session: None, path: "", now: Millis(0) };
    let known = vec![case(CaseState::Filed, Hazard::Missing)];
    let html = scan(&page, &scanned(known), &[0], Some(&photo(None, "close")));
    for wanted in [
        "污水井盖",
        "370502 01 02 000041",
        "黄河路",
        "东营区",
        "东营水务",
        "tel:05468300110",
        "tel:110",
        "井盖缺失",
        "不收费",
        "/report\"",
        "查看照片",
    ] {
        assert!(html.contains(wanted), "{wanted}:\n{html}");
    }
}

#[test]
fn the_report_form_puts_the_emergency_number_before_every_field() {
    let config = Config::default();
    for language in Language::ALL {
        let catalogue = Catalogue::of(language);
        let page =
            Page { catalogue, config: &config, schemes: &schemes(), session: None, path: "", now: Millis(0) };
        let html = report_form(&page, &ReportTarget::Plate(&scanned(Vec::new())), &draft(), None);
        let number = html.find("tel:110").unwrap();
        assert!(number < html.find("name=\"hazard\"").unwrap());
        for field in ["key", "hazard", "description", "contact", "photos", "lon", "lat", "accuracy_m"] {
            assert!(html.contains(&format!("name=\"{field}\"")), "{field}");
        }
        assert!(html.contains("value=\"broken\" required checked"), "what was chosen stays chosen");
        assert_eq!(html.matches("type=\"radio\"").count(), Hazard::ALL.len());
        for hazard in Hazard::ALL {
            assert!(html.contains(&format!("<symbol id=\"h-{hazard}\"")), "no picture of {hazard}");
        }
    }
}

#[test]
fn a_page_and_its_style_stay_small() {
    let squeezed = |text: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
        gzip.finish().unwrap().len()
    };
    let style = squeezed(include_str!("../../../assets/web/lidmark.css"));
    assert!(REPORT_SCRIPT.len() <= 6_000, "report.js has {} bytes", REPORT_SCRIPT.len());
    each_page(|language, name, html| {
        let first = squeezed(html) + style;
        assert!(first <= 20_000, "{name} in {}: {first} bytes", language.tag());
    });
}

#[test]
fn codes_are_read_in_groups_on_every_page_that_shows_one() {
    each_page(|language, name, html| {
        // What the browser sends is not read: addresses, names and values of fields.
        let read = ["/covers/3705020102000041", "value=\"3705020102000041\"", "with:3705020102000041"]
            .iter()
            .fold(html.replace("other=3705020102000041", ""), |html, sent| html.replace(sent, ""));
        assert!(!read.contains("3705020102000041"), "{name} in {}:\n{html}", language.tag());
        let shows = ["scan", "quiet scan", "report form", "tracking", "desk", "case", "file"].contains(&name);
        assert!(!shows || html.contains("370502 01 02 000041"), "{name} in {}:\n{html}", language.tag());
    });
}

#[test]
fn every_move_on_a_case_page_is_a_request_of_its_own() {
    each_page(|_, name, html| {
        if name == "case" {
            let keys: Vec<&str> = html
                .split("name=\"key\" value=\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .collect();
            let different: std::collections::BTreeSet<&str> = keys.iter().copied().collect();
            assert_eq!((keys.len(), different.len()), (MOVES.len(), MOVES.len()), "{keys:?}");
        }
    });
}
