//! Where other systems begin: which endpoints there are, in which formats.

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::model::{Format, Node};
use super::{Asking, without_ending};
use crate::http::ask::{Named, Reader};
use crate::http::views::{self, EndpointView};
use crate::http::{AppState, Problem};

const SPECIFICATION: &str = "http://wiki.open311.org/GeoReport_v2";
/// When services or attributes were last changed.
const CHANGESET: &str = "2026-11-29T00:00:00Z";
/// Type and address of each endpoint; clients put the rest right behind the last stroke.
const ENDPOINTS: [(&str, &str); 2] = [("production", "/open311/v2/"), ("test", "/open311/test/v2/")];
const FORMATS: [&str; 2] = ["text/xml", "application/json"];

pub(in crate::http) async fn discover(
    State(state): State<AppState>,
    reader: Reader,
    asking: Asking,
    Named(file): Named,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("http.unknown_address");
    let (words, settings) = (reader.catalogue(), &state.config.open311);
    if file == "discovery.html" {
        let endpoints =
            ENDPOINTS.map(|(kind, path)| EndpointView { kind, address: format!("{}{path}", asking.base) });
        let page = reader.page(&state, None);
        return Ok(Html(views::open311(&page, &endpoints)).into_response());
    }
    if without_ending(&file)? != "discovery" {
        return Err(unknown());
    }
    let said = |text: &str, otherwise: String| if text.is_empty() { otherwise } else { text.to_owned() };
    let contact = words.fill_one("open311.contact", "hotline", &state.config.hotline);
    let endpoint = |(kind, path): &(&str, &str)| {
        let formats = FORMATS.map(Node::text).to_vec();
        Node::Object(vec![
            ("specification", Node::text(SPECIFICATION)),
            ("url", Node::text(format!("{}{path}", asking.base))),
            ("changeset", Node::text(CHANGESET)),
            ("type", Node::text(*kind)),
            ("formats", Node::List("format", formats)),
        ])
    };
    let discovery = Node::Object(vec![
        ("changeset", Node::text(CHANGESET)),
        ("contact", Node::text(said(&settings.contact, contact))),
        (
            "key_service",
            Node::text(said(&settings.key_service, words.text("open311.key_service").to_owned())),
        ),
        ("endpoints", Node::List("endpoint", ENDPOINTS.iter().map(endpoint).collect())),
    ]);
    // A validator in use compares the bare media type; the declaration of the XML says how it is encoded.
    let media_type = match asking.format {
        Format::Xml => "text/xml",
        Format::Json => "application/json",
    };
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, asking.format.write("discovery", &discovery)).into_response())
}
