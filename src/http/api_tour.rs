//! 巡查路线: in which order to visit today's tasks, or covers and cases that somebody names; as legs, and as a line for map
//! programs and receivers.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::api_questions::{Parameters, unknown};
use super::ask::Asked;
use super::auth::Caller;
use super::campaign_pages::TASK_DESK;
use super::question::{Form, Question, ask_map, collection, degrees, feature, millimeters, points, private};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{CampaignId, Millis, UserId};
use crate::domain::role::Role;
use crate::questions::{MOST_STOPS, plan_tour};
use crate::registry::{Visit, VisitFilter};
use crate::spatial::{bearing, geodesic_m};

const FORMS: &[Form] = &[Form::Json, Form::GeoJson, Form::Gpx];
const DAY_MS: i64 = 86_400_000;
/// Open tasks that are looked through for those that the filters mean.
const LOOKED: i64 = 20_000;
const CREWS: &[Role] = &[Role::Crew, Role::GridWorker, Role::Engineer, Role::Admin];

/// A place to go to.
#[derive(Debug, Clone, Default)]
struct Stop {
    place: (f64, f64),
    /// Of its cover, where there is one.
    code: Option<String>,
    road: Option<String>,
    cases: Vec<String>,
    tasks: Vec<Value>,
    /// What is due first.
    due_at: Option<Millis>,
}

/// Stops by what they are at: a cover's code, or the number of a case without one.
#[derive(Default)]
struct Stops {
    list: Vec<Stop>,
    numbers: HashMap<String, usize>,
}

impl Stops {
    fn at(&mut self, key: &str, place: (f64, f64)) -> &mut Stop {
        let at = *self.numbers.entry(key.to_owned()).or_insert(self.list.len());
        if at == self.list.len() {
            self.list.push(Stop { place, ..Stop::default() });
        }
        &mut self.list[at]
    }
}

pub(super) async fn plan(
    State(state): State<AppState>,
    caller: Caller,
    Asked(asked): Parameters,
) -> Result<Response, Problem> {
    let names = ["start", "campaign", "crew", "day", "covers", "cases", "back"];
    let question = Question::of(asked, &names)?;
    let (start, back, form) = (question.place("start")?, question.yes("back")?, question.form(FORMS)?);
    let covers = named(&question, "covers")?;
    let cases = named(&question, "cases")?;
    let mut stops = Stops::default();
    if covers.is_empty() && cases.is_empty() {
        add_tasks(&state, &caller, &question, &mut stops).await?;
    }
    let mut missing = add_covers(&state, &covers, &mut stops);
    missing.extend(add_cases(&state, &caller, &cases, &mut stops).await?);
    let (chosen, left_off) = choose(stops.list, start);
    let places: Vec<(f64, f64)> = chosen.iter().map(|stop| stop.place).collect();
    let planned = tokio::task::spawn_blocking(move || plan_tour(start, &places, back));
    let tour = planned.await.map_err(|_| Problem::broken())?;
    let ordered: Vec<&Stop> = tour.order.iter().map(|at| &chosen[*at]).collect();
    let ends = Ends { start, back: start.filter(|_| back) };
    let said = match form {
        Form::Gpx => gpx(&state, ends, &ordered),
        Form::GeoJson => geo_json(ends, &ordered).to_string(),
        Form::Json => {
            let (legs, total_m) = legs(ends, &ordered);
            let greedy_m = millimeters(tour.greedy_m);
            json!({"method": "nearest_neighbor_2opt_oropt", "start": start.map(degrees), "back": ends.back.is_some(), "legs": legs,
                "total_m": millimeters(total_m), "nearest_neighbor_m": greedy_m, "left_off": left_off, "missing": missing})
            .to_string()
        }
    };
    if form == Form::Gpx {
        let file = [(header::CONTENT_DISPOSITION, "attachment; filename=\"lidmark-tour.gpx\"")];
        return Ok((file, private(form, said)).into_response());
    }
    Ok(private(form, said))
}

/// Words of a list with commas or blanks between, each once.
fn named(question: &Question, name: &'static str) -> Result<Vec<String>, Problem> {
    let text = question.said(name).unwrap_or_default();
    let words = text.split([',', ' ', '\n', '\t', '，', '、']).map(str::trim).filter(|word| !word.is_empty());
    let (mut seen, mut list) = (HashSet::new(), Vec::new());
    for word in words {
        if word.chars().any(char::is_control) || word.chars().count() > 40 {
            return Err(unknown(name, word));
        }
        if seen.insert(word) {
            list.push(word.to_owned());
        }
    }
    if list.len() > MOST_STOPS {
        let refusal =
            Refusal::new("question.too_many").at(name).with("field", name).with("count", list.len());
        return Err(Problem::bad_request(refusal.with("most", MOST_STOPS)));
    }
    Ok(list)
}

/// Open tasks that may be done on the day, of a campaign or a crew, at covers that the filters mean. The desk may ask for
/// everybody's; crews for their own and those of any crew.
async fn add_tasks(
    state: &AppState,
    caller: &Caller,
    question: &Question,
    stops: &mut Stops,
) -> Result<(), Problem> {
    let role = caller.user.role;
    let is_desk = role == Role::Admin || TASK_DESK.contains(&role);
    let crew = match question.said("crew") {
        Some("me") => Some(caller.user.id),
        Some(_) => question.word::<UserId>("crew")?,
        None => (!is_desk).then_some(caller.user.id),
    };
    let is_own = crew == Some(caller.user.id) && CREWS.contains(&role);
    if !is_desk && !is_own {
        let fits = TASK_DESK.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        let refusal = Refusal::new("http.role").with("role", role).with("fits", fits);
        return Err(Problem { status: StatusCode::FORBIDDEN, refusal });
    }
    let now = state.registry.now();
    let offset = i64::from(state.config.utc_offset_minutes) * 60_000;
    let tonight = Millis((now.0 + offset).div_euclid(DAY_MS) * DAY_MS + DAY_MS - offset);
    let before = question.day(state, "day", 1)?.unwrap_or(tonight);
    let campaign = question.word::<CampaignId>("campaign")?;
    let visits = state.registry.list_visits(VisitFilter { campaign, crew, before, limit: LOOKED }).await?;
    let found = ask_map(state, &question.filters, move |map, reader, search| {
        let at = |visit: Visit| {
            let row = map.find(visit.cover).filter(|row| search.holds(row))?;
            let road = reader.words().road(row.attributes.road).map(str::to_owned);
            Some((visit, (row.lon, row.lat), reader.view(row).code(), road))
        };
        Ok(visits.into_iter().filter_map(at).collect::<Vec<_>>())
    });
    for (visit, place, code, road) in found.await? {
        let stop = stops.at(&code, place);
        let due = super::json::time(visit.due_at);
        stop.tasks.push(json!({"id": visit.task, "kind": visit.kind, "due_at": due}));
        stop.due_at = Some(stop.due_at.map_or(visit.due_at, |known| known.min(visit.due_at)));
        (stop.code, stop.road) = (Some(code), road);
    }
    Ok(())
}

/// Covers by their codes; answers which are not there.
fn add_covers(state: &AppState, codes: &[String], stops: &mut Stops) -> Vec<String> {
    let map = state.snapshot.load();
    let words = map.lexicon().read();
    let mut missing = Vec::new();
    for code in codes {
        let digits: String = code.chars().filter(|sign| *sign != '-').collect();
        let Some(row) = map.find_code(&digits) else {
            missing.push(code.clone());
            continue;
        };
        let stop = stops.at(&digits, (row.lon, row.lat));
        stop.road = words.road(row.attributes.road).map(str::to_owned);
        stop.code = Some(digits);
    }
    missing
}

/// Cases by their numbers; answers which are not there, or not the caller's business.
async fn add_cases(
    state: &AppState,
    caller: &Caller,
    numbers: &[String],
    stops: &mut Stops,
) -> Result<Vec<String>, Problem> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let is_handler = caller.user.role == Role::Handler;
    let lines = state.registry.list_ledger_by_number(numbers).await?;
    let known = |number: &&String| {
        let line = lines.iter().find(|line| line.number == **number)?;
        (!is_handler || (line.party.is_some() && line.party == caller.user.party)).then_some(line)
    };
    let mut missing = Vec::new();
    for number in numbers {
        let Some(line) = known(&number) else {
            missing.push(number.clone());
            continue;
        };
        let code = line.code.as_ref().map(|code| code.digits.clone());
        let stop = stops.at(code.as_deref().unwrap_or(number), (line.lon, line.lat));
        stop.cases.push(number.clone());
        stop.road = stop.road.take().or_else(|| line.road.clone());
        stop.code = code;
    }
    Ok(missing)
}

/// As many stops as a tour may have, and how many are left for another day: what is due first is visited first, of the same
/// moment what lies nearer to the start.
fn choose(mut stops: Vec<Stop>, start: Option<(f64, f64)>) -> (Vec<Stop>, usize) {
    let left_off = stops.len().saturating_sub(MOST_STOPS);
    if left_off > 0 {
        let due = |stop: &Stop| stop.due_at.map_or(i64::MAX, |at| at.0);
        let far = |stop: &Stop| start.map_or(0.0, |start| geodesic_m(start, stop.place));
        let mut ranked: Vec<(i64, f64, Stop)> =
            stops.into_iter().map(|stop| (due(&stop), far(&stop), stop)).collect();
        ranked.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        stops = ranked.into_iter().take(MOST_STOPS).map(|(.., stop)| stop).collect();
    }
    (stops, left_off)
}

/// Where a tour begins, and where it leads back to.
#[derive(Clone, Copy)]
struct Ends {
    start: Option<(f64, f64)>,
    back: Option<(f64, f64)>,
}

/// Each stop with the way to it on the ellipsoid.
fn legs(ends: Ends, stops: &[&Stop]) -> (Vec<Value>, f64) {
    let (mut total_m, mut here) = (0.0, ends.start);
    let mut go = |to: (f64, f64)| {
        let leg_m = here.map_or(0.0, |from| geodesic_m(from, to));
        let way = here.map(|from| (bearing(from, to) * 10.0).round() / 10.0);
        total_m += leg_m;
        here = Some(to);
        (leg_m, way, total_m)
    };
    let mut legs: Vec<Value> = Vec::with_capacity(stops.len() + 1);
    for (at, stop) in stops.iter().enumerate() {
        let (leg_m, way, along_m) = go(stop.place);
        let mut told = tell(at, stop);
        told["leg_m"] = json!(millimeters(leg_m));
        told["bearing"] = json!(way);
        told["along_m"] = json!(millimeters(along_m));
        legs.push(told);
    }
    if let Some(home) = ends.back.filter(|_| !stops.is_empty()) {
        let (leg_m, way, along_m) = go(home);
        let [lon, lat] = degrees(home);
        legs.push(json!({"stop": 0, "lon": lon, "lat": lat, "leg_m": millimeters(leg_m), "bearing": way, "along_m": millimeters(along_m)}));
    }
    (legs, total_m)
}

fn tell(at: usize, stop: &Stop) -> Value {
    json!({"stop": at + 1, "lon": stop.place.0, "lat": stop.place.1, "code": stop.code, "road": stop.road, "cases": stop.cases, "tasks": stop.tasks})
}

fn geo_json(ends: Ends, stops: &[&Stop]) -> Value {
    let line: Vec<[f64; 2]> = ends
        .start
        .into_iter()
        .chain(stops.iter().map(|stop| stop.place))
        .chain(ends.back)
        .map(|(lon, lat)| [lon, lat])
        .collect();
    let (_, total_m) = legs(ends, stops);
    let way = (line.len() > 1 && !stops.is_empty()).then(|| {
        let geometry = json!({"type": "LineString", "coordinates": line});
        feature(geometry, json!({"total_m": millimeters(total_m), "stops": stops.len()}))
    });
    let told = stops.iter().enumerate().map(|(at, stop)| tell(at, stop));
    collection(way.into_iter().chain(points(told)).collect())
}

/// A route of GPX 1.1, which receivers follow from point to point.
fn gpx(state: &AppState, ends: Ends, stops: &[&Stop]) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx version=\"1.1\" creator=\"Lidmark\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n<rte>\n",
    );
    let mut point = |(lon, lat): (f64, f64), name: &str, about: &str| {
        let (name, about) = (quick_xml::escape::escape(name), quick_xml::escape::escape(about));
        writeln!(text, "<rtept lat=\"{lat}\" lon=\"{lon}\"><name>{name}</name><desc>{about}</desc></rtept>")
            .expect("a String takes all text");
    };
    let city = &state.config.city_zh;
    ends.start.into_iter().for_each(|start| point(start, "0", city));
    for (at, stop) in stops.iter().enumerate() {
        let code = stop.code.as_deref().or(stop.cases.first().map(String::as_str)).unwrap_or_default();
        let about: Vec<&str> =
            stop.road.iter().map(String::as_str).chain(stop.cases.iter().map(String::as_str)).collect();
        point(stop.place, &format!("{} {code}", at + 1), &about.join(" "));
    }
    ends.back.into_iter().for_each(|home| point(home, "0", city));
    text.push_str("</rte>\n</gpx>\n");
    text
}
