//! Requests on their way out: publish-list fields of reports and their cases. What citizens wrote, photos they sent and how
//! to reach them never leave.

use std::fmt::Write;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::model::Node;
use super::{Asking, service, service_notice, without_ending};
use crate::domain::Refusal;
use crate::domain::case::CaseState;
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::Millis;
use crate::domain::open311::UpdateStatus;
use crate::http::ask::{Named, Reader};
use crate::http::edit_fields::moment;
use crate::http::feed_cache::Kept;
use crate::http::forms::shortened;
use crate::http::public::covered_photo;
use crate::http::tiles::public_place;
use crate::http::{AppState, Problem, views};
use crate::messages::Language;
use crate::registry::{RequestFilter, ServiceRequest};

/// Most requests in one answer.
pub(super) const MOST: i64 = 1000;
/// Longest stretch of time that one answer spans, and the usual one.
const SPAN_MS: i64 = 90 * 86_400_000;
const MINUTE_MS: i64 = 60_000;

pub(in crate::http) async fn list_requests(
    State(state): State<AppState>,
    reader: Reader,
    asking: Asking,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = state.registry.now();
    let filter = filter(&asking, now)?;
    let with_more = asking.param("extensions") == Some("true");
    if filter.ids.is_some() {
        // Whoever asks by numbers asks for few, and for something else each time.
        let requests = state.registry.list_requests(filter).await?;
        let nodes = describe(&state, &reader, &asking, &requests, with_more).await?;
        return Ok(asking.format.answer("service_requests", &Node::List("request", nodes)));
    }
    let minute = now.0.div_euclid(MINUTE_MS);
    let mut key = format!("{:?} {:?} {with_more} {}", asking.format, reader.language, asking.base);
    write!(key, " {filter:?}").expect("a String takes everything");
    let cache = &state.shared.open311;
    let asked = (state.newest_change().await?, minute);
    if let Some(written) = cache.find(asked, &key) {
        return Ok(written.answer((asking.format.content_type(), "no-cache"), &headers));
    }
    let _turn = cache.turn(&key).await;
    // Read before the requests: what is committed in between makes the list be written anew.
    let moment = (state.registry.last_change().await?, minute);
    if let Some(written) = cache.find(moment, &key) {
        return Ok(written.answer((asking.format.content_type(), "no-cache"), &headers));
    }
    let requests = state.registry.list_requests(filter).await?;
    let nodes = describe(&state, &reader, &asking, &requests, with_more).await?;
    let written = Kept::new(asking.format.write("service_requests", &Node::List("request", nodes)));
    cache.keep(moment, key, &written);
    Ok(written.answer((asking.format.content_type(), "no-cache"), &headers))
}

pub(in crate::http) async fn find_request(
    State(state): State<AppState>,
    reader: Reader,
    asking: Asking,
    Named(file): Named,
) -> Result<Response, Problem> {
    let request = one(&state, without_ending(&file)?, "open311.request_unknown").await?;
    let with_more = asking.param("extensions") == Some("true");
    let nodes = describe(&state, &reader, &asking, &[request], with_more).await?;
    Ok(asking.format.answer("service_requests", &Node::List("request", nodes)))
}

/// Requests have their numbers at once, so a token is the number itself.
pub(in crate::http) async fn find_token(
    State(state): State<AppState>,
    asking: Asking,
    Named(file): Named,
) -> Result<Response, Problem> {
    let request = one(&state, without_ending(&file)?, "open311.token_unknown").await?;
    let node = Node::Object(vec![
        ("service_request_id", Node::text(&request.tracking)),
        ("token", Node::text(&request.tracking)),
    ]);
    Ok(asking.format.answer("service_requests", &Node::List("request", vec![node])))
}

/// The photo that shows the work done; without metadata, as on the scan page.
pub(in crate::http) async fn request_photo(
    State(state): State<AppState>,
    Named(file): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("photo.unknown");
    let tracking = file.strip_suffix(".jpg").ok_or_else(unknown)?;
    let request = one(&state, tracking, "photo.unknown").await?;
    let photo = request.photo.ok_or_else(unknown)?;
    // Not for long: a case that is opened again takes its photo back.
    covered_photo(&state, &headers, photo, "public, max-age=600").await
}

async fn one(state: &AppState, tracking: &str, unknown: &'static str) -> Result<ServiceRequest, Problem> {
    let filter = RequestFilter { ids: Some(vec![tracking.to_owned()]), limit: 1, ..RequestFilter::default() };
    let found = state.registry.list_requests(filter).await?.pop();
    found.ok_or_else(|| {
        let mut problem = Problem::not_found(unknown);
        problem.refusal = problem.refusal.with("read", shortened(tracking));
        problem
    })
}

/// Which requests are asked for. Numbers go before everything else that is asked.
fn filter(asking: &Asking, now: Millis) -> Result<RequestFilter, Problem> {
    let list = |text: &str| -> Vec<String> {
        text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
    };
    if let Some(ids) = asking.param("service_request_id").map(list) {
        if ids.len() as i64 > MOST {
            let refusal = Refusal::new("open311.too_many_ids").at("service_request_id");
            return Err(Problem::bad_request(refusal.with("count", ids.len()).with("most", MOST)));
        }
        return Ok(RequestFilter { ids: Some(ids), limit: MOST, ..RequestFilter::default() });
    }
    let hazards = match asking.param("service_code") {
        None => None,
        Some(codes) => {
            Some(list(codes).iter().map(|code| service(code)).collect::<Result<Vec<Hazard>, _>>()?)
        }
    };
    let open = match asking.param("status") {
        None => None,
        Some(text) => {
            let mut seen = [false; 2];
            for status in list(text) {
                match status.to_ascii_lowercase().as_str() {
                    "open" => seen[0] = true,
                    "closed" => seen[1] = true,
                    _ => {
                        let refusal = Refusal::new("open311.status").at("status");
                        return Err(Problem::bad_request(refusal.with("read", shortened(&status))));
                    }
                }
            }
            (seen[0] != seen[1]).then_some(seen[0])
        }
    };
    let at = |name| asking.when(name).map_err(Problem::bad_request);
    let (updated_from, updated_until) = match (at("updated_after")?, at("updated_before")?) {
        (None, Some(until)) => (Some(Millis(until.0 - SPAN_MS)), Some(until)),
        (Some(from), until) => {
            check_span(from, until.unwrap_or(Millis(now.0.max(from.0))))?;
            (Some(from), until)
        }
        (None, None) => (None, None),
    };
    let (from, until) = match (at("start_date")?, at("end_date")?) {
        (None, None) if updated_from.is_some() => (None, None),
        // By the minute, so that the same question within it is the same.
        (None, None) => (Some(Millis(now.0.div_euclid(MINUTE_MS) * MINUTE_MS - SPAN_MS)), None),
        (Some(from), None) => (Some(from), Some(Millis(from.0 + SPAN_MS))),
        (None, Some(until)) => (Some(Millis(until.0 - SPAN_MS)), Some(until)),
        (Some(from), Some(until)) => {
            check_span(from, until)?;
            (Some(from), Some(until))
        }
    };
    let (skip, limit) = asking.page()?;
    Ok(RequestFilter { ids: None, hazards, open, from, until, updated_from, updated_until, skip, limit })
}

/// Refuses a stretch of time that runs backwards or is too long.
pub(super) fn check_span(from: Millis, until: Millis) -> Result<(), Problem> {
    if until >= from && until.0 - from.0 <= SPAN_MS {
        return Ok(());
    }
    let code = if until < from { "open311.dates_backwards" } else { "open311.dates_too_far" };
    Err(Problem::bad_request(Refusal::new(code).at("end_date").with("days", SPAN_MS / 86_400_000)))
}

impl Asking {
    /// A moment with its zone. A plus sign that came as a blank is one.
    pub(super) fn when(&self, name: &'static str) -> Result<Option<Millis>, Refusal> {
        let Some(text) = self.param(name) else { return Ok(None) };
        let read = |text: &str| moment(text, name);
        let mut text = text.to_owned();
        if text.len() > 16 && text.is_ascii() {
            text = text.replacen(' ', "+", 1);
            if text.as_bytes()[16] != b':' {
                // Without seconds.
                text.insert_str(16, ":00");
            }
        } else if text.len() == 10 {
            text.push_str("T00:00:00Z");
        }
        read(&text).map(Some)
    }

    /// How many to leave out, how many to answer.
    pub(super) fn page(&self) -> Result<(i64, i64), Problem> {
        let number = |name: &'static str, usual: i64, most: i64| match self.param(name) {
            None => Ok(usual),
            Some(text) => {
                text.parse::<i64>().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
                    let refusal = Refusal::new("open311.page").at(name).with("field", name);
                    Problem::bad_request(refusal.with("read", shortened(text)).with("most", most))
                })
            }
        };
        let size = number("page_size", MOST, MOST)?;
        Ok(((number("page", 1, 1_000_000)? - 1) * size, size))
    }
}

/// The requests as elements, with what happened to each where that is asked for.
async fn describe(
    state: &AppState,
    reader: &Reader,
    asking: &Asking,
    requests: &[ServiceRequest],
    with_more: bool,
) -> Result<Vec<Node>, Problem> {
    let mut moves = std::collections::HashMap::new();
    if with_more {
        let mut cases: Vec<_> = requests.iter().map(|request| request.case).collect();
        cases.sort_unstable();
        cases.dedup();
        moves = state.registry.list_moves_of(&cases).await?;
    }
    let none = Vec::new();
    let described = requests.iter().map(|request| {
        let mut fields = fields(state, reader, asking, request);
        if with_more {
            fields.extend(more(reader, request, moves.get(&request.case).unwrap_or(&none)));
        }
        Node::Object(fields)
    });
    Ok(described.collect())
}

fn fields(
    state: &AppState,
    reader: &Reader,
    asking: &Asking,
    request: &ServiceRequest,
) -> Vec<(&'static str, Node)> {
    let words = reader.catalogue();
    let is_open = request.state.is_open();
    let name = words.word("hazard", request.hazard);
    let mut notes = words.word("public_state", request.state);
    if let Some(other) = &request.joined_to {
        notes = words.fill("open311.joined", &[("state", &notes), ("request", other)]);
    }
    let district = match reader.language {
        Language::Zh => &request.district_zh,
        Language::En => &request.district_en,
    };
    let address = match &request.road {
        Some(road) => format!("{district} {road}"),
        None => district.clone(),
    };
    // Only a party's limit says anything about the work; those of the desk are its own.
    let expected =
        request.due_at.filter(|_| matches!(request.state, CaseState::Dispatched | CaseState::Handling));
    let ended = if is_open { None } else { request.closed_at };
    let place = request.place.map(|(lon, lat)| public_place(lon, lat));
    let hint = words.word("hazard_hint", request.hazard);
    let photo = request.photo.as_ref().map(|_| photo_address(&asking.base, &request.tracking));
    vec![
        ("service_request_id", Node::text(&request.tracking)),
        ("status", Node::text(if is_open { "open" } else { "closed" })),
        ("status_notes", Node::text(notes)),
        ("service_name", Node::text(&name)),
        ("service_code", Node::text(request.hazard.as_str())),
        ("description", Node::text(words.fill("open311.described", &[("hazard", &name), ("hint", &hint)]))),
        ("agency_responsible", Node::text_if(request.owner.as_ref().or(request.party.as_ref()))),
        ("service_notice", if is_open { service_notice(state, words, request.hazard) } else { Node::Empty }),
        ("requested_datetime", Node::text(request.created_at.to_rfc3339())),
        ("updated_datetime", Node::text(ended.unwrap_or(request.updated_at).to_rfc3339())),
        ("expected_datetime", Node::text_if(expected.map(Millis::to_rfc3339))),
        ("address", Node::text(address)),
        ("address_id", Node::text_if(request.code.as_ref().map(|code| &code.digits))),
        ("zipcode", Node::Empty),
        ("lat", place.map_or(Node::Empty, |(_, lat)| Node::Degrees(lat))),
        ("long", place.map_or(Node::Empty, |(lon, _)| Node::Degrees(lon))),
        ("media_url", Node::text_if(photo)),
    ]
}

pub(super) fn photo_address(base: &str, tracking: &str) -> String {
    format!("{base}/open311/v2/photos/{tracking}.jpg")
}

/// What `extensions=true` adds.
fn more(reader: &Reader, request: &ServiceRequest, moves: &[HistoryEntry]) -> [(&'static str, Node); 3] {
    let words = reader.catalogue();
    let note = |entry: &HistoryEntry| {
        let step = views::public_step(words, entry)?;
        Some(Node::Object(vec![
            ("datetime", Node::text(entry.at.to_rfc3339())),
            ("description", Node::text(step.sentence(words))),
            ("type", Node::text(step.state.map_or(UpdateStatus::Open, UpdateStatus::of).as_str())),
        ]))
    };
    let class = request.class.map(|class| {
        Node::Object(vec![
            ("code", Node::text("CLASS")),
            ("label", Node::text(words.text("open311.class"))),
            ("value", Node::text(words.word("class", class))),
        ])
    });
    [
        (
            "extended_attributes",
            Node::Object(vec![
                ("case_state", Node::text(request.state.as_str())),
                ("emergency", Node::Yes(request.emergency)),
                ("report_count", Node::Whole(request.report_count)),
            ]),
        ),
        ("notes", Node::List("note", moves.iter().filter_map(note).collect())),
        ("attributes", Node::List("attribute", class.into_iter().collect())),
    ]
}
