//! GeoReport v2 (Open311): the city's cases for other systems, and requests from them. Each handler serves the production
//! and the test endpoint, XML and JSON: the address says which.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::ask::{Named, Reader};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::hazard::Hazard;
use crate::domain::open311::{ServiceGroup, asks_for_danger};
use crate::messages::Catalogue;

mod attributes;
mod discovery;
mod form;
mod model;
mod requests;
mod sending;
mod updates;

pub(super) use discovery::discover;
pub(super) use model::{Format, Node};
pub(super) use requests::{find_request, find_token, list_requests, request_photo};
pub(super) use sending::{send_request, send_word};
pub(super) use updates::list_updates;

use attributes::ATTRIBUTES;

/// What is asked, and how it is answered.
pub(super) struct Asking {
    format: Format,
    /// The endpoint at which everything is checked and nothing is filed.
    is_test: bool,
    /// Scheme and host under which we were asked.
    base: String,
    params: BTreeMap<String, String>,
}

impl Asking {
    /// A parameter that says something; an empty one counts as absent.
    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Refuses another jurisdiction than ours. Who serves one needs none to be named.
    fn check_jurisdiction(&self, state: &AppState, asked: Option<&str>) -> Result<(), Problem> {
        let ours = state.config.open311.jurisdiction.as_str();
        match asked {
            Some(read) if !ours.is_empty() && read != ours => {
                let refusal = Refusal::new("open311.jurisdiction").at("jurisdiction_id");
                let refusal = refusal.with("read", super::forms::shortened(read)).with("fits", ours);
                Err(Problem { status: StatusCode::NOT_FOUND, refusal })
            }
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<AppState> for Asking {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = parts.uri.path();
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|error| {
            Problem::bad_request(Refusal::new("http.query").with("reason", error.body_text()))
        })?;
        let asking = Self {
            format: Format::of_path(path).unwrap_or(Format::Xml),
            is_test: path.starts_with("/open311/test/"),
            base: own_address(state, &parts.headers),
            params: pairs.into_iter().collect(),
        };
        asking.check_jurisdiction(state, asking.param("jurisdiction_id"))?;
        Ok(asking)
    }
}

/// Scheme and host under which this server was asked: addresses in answers are whole.
pub(super) fn own_address(state: &AppState, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").filter(|host| !host.is_empty()).unwrap_or("localhost");
    let scheme = match text("x-forwarded-proto") {
        Some("https") if state.config.behind_proxy => "https",
        _ => "http",
    };
    format!("{scheme}://{host}")
}

/// `missing.xml` → `missing`; another ending is another address.
fn without_ending(file: &str) -> Result<&str, Problem> {
    file.rsplit_once('.')
        .filter(|(name, ending)| !name.is_empty() && Format::of_ending(ending).is_some())
        .map(|(name, _)| name)
        .ok_or_else(|| Problem::not_found("http.unknown_address"))
}

/// Errors as GeoReport has them: 404 for what is not there, 403 for keys, 400 for all else that the caller can mend. The
/// finer status is in `code`.
pub(super) fn errors(catalogue: &Catalogue, format: Format, problems: &[Problem]) -> (StatusCode, String) {
    let error = |problem: &Problem| {
        let description = catalogue.refusal(&problem.refusal);
        Node::Object(vec![
            ("code", Node::Whole(i64::from(problem.status.as_u16()))),
            ("description", Node::text(description)),
        ])
    };
    let status_of = |problem: &Problem| match problem.status.as_u16() {
        401 | 403 => StatusCode::FORBIDDEN,
        404 | 405 | 429 => problem.status,
        400..=499 => StatusCode::BAD_REQUEST,
        _ => problem.status,
    };
    // Several may be wrong at once: what can be mended goes before what is not there.
    let all = problems.iter().map(status_of);
    let status = all.min_by_key(|status| *status == StatusCode::NOT_FOUND).unwrap_or(StatusCode::BAD_REQUEST);
    (status, format.write("errors", &Node::List("error", problems.iter().map(error).collect())))
}

/// The service that a code names.
fn service(code: &str) -> Result<Hazard, Problem> {
    code.trim().parse::<Hazard>().map_err(|_| {
        let codes = Hazard::ALL.iter().map(|hazard| hazard.as_str()).collect::<Vec<_>>().join(", ");
        let refusal = Refusal::new("open311.service_unknown").at("service_code");
        let refusal = refusal.with("read", super::forms::shortened(code)).with("fits", codes);
        Problem { status: StatusCode::NOT_FOUND, refusal }
    })
}

pub(super) async fn list_services(reader: Reader, asking: Asking) -> Response {
    let words = reader.catalogue();
    let service = |hazard: &Hazard| {
        let group = words.word("service_group", ServiceGroup::of(*hazard));
        Node::Object(vec![
            ("service_code", Node::text(hazard.as_str())),
            ("service_name", Node::text(words.word("hazard", hazard))),
            ("description", Node::text(words.word("hazard_hint", hazard))),
            ("metadata", Node::Yes(true)),
            ("type", Node::text("realtime")),
            ("keywords", Node::text(format!("{}, {group}", words.text("open311.keyword")))),
            ("group", Node::text(group)),
        ])
    };
    asking.format.answer("services", &Node::List("service", Hazard::ALL.iter().map(service).collect()))
}

pub(super) async fn define_service(
    reader: Reader,
    asking: Asking,
    Named(file): Named,
) -> Result<Response, Problem> {
    let hazard = service(without_ending(&file)?)?;
    let words = reader.catalogue();
    let mut attributes = Vec::new();
    for (attribute, order) in ATTRIBUTES.iter().zip(1..) {
        let value = |key: &&'static str| {
            Node::Object(vec![("key", Node::text(*key)), ("name", Node::text(attribute.word(words, key)))])
        };
        let datatype = if attribute.keys.is_empty() { "string" } else { "singlevaluelist" };
        attributes.push(Node::Object(vec![
            ("variable", Node::Yes(true)),
            ("code", Node::text(attribute.code)),
            ("datatype", Node::text(datatype)),
            ("required", Node::Yes(attribute.code == attributes::DANGER && asks_for_danger(hazard))),
            ("datatype_description", Node::text(words.text(attribute.hint))),
            ("order", Node::Whole(order)),
            ("description", Node::text(words.text(attribute.question))),
            ("values", Node::List("value", attribute.keys.iter().map(value).collect())),
        ]));
    }
    let definition = Node::Object(vec![
        ("service_code", Node::text(hazard.as_str())),
        ("attributes", Node::List("attribute", attributes)),
    ]);
    Ok(asking.format.answer("service_definition", &definition))
}

/// What somebody must hear who reports something dangerous.
fn service_notice(state: &AppState, words: &Catalogue, hazard: Hazard) -> Node {
    if !hazard.is_emergency() {
        return Node::Empty;
    }
    Node::text(format!("{} {}", words.text("emergency.text"), state.config.emergency_numbers.join(", ")))
}
