//! Files of pages that are made of scripts: each is asked for again and answered with 304 while it is the same; and the
//! words that stand on them.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, json};

use super::Problem;
use super::forms::shortened;
use crate::domain::Refusal;
use crate::messages::{Catalogue, Language};
use crate::tiles::{etag, is_known};

pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn revalidated(asked: &HeaderMap, media_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
    let body = body.into();
    let tag = etag(&body);
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| is_known(known, &body)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, [(header::ETAG, tag)], body).into_response()
}

/// In which language the words are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spoken {
    lang: String,
}

impl Spoken {
    pub(super) fn language(&self) -> Result<Language, Problem> {
        Language::ALL.into_iter().find(|language| language.tag() == self.lang).ok_or_else(|| {
            let read = shortened(&self.lang);
            Problem::bad_request(Refusal::new("form.language").at("lang").with("read", read))
        })
    }
}

/// The words of a language whose dotted keys begin like these, as JSON.
pub(super) fn words_of(language: Language, lists: &[&str]) -> String {
    let catalogue = Catalogue::of(language);
    let words: Map<_, _> = catalogue
        .keys()
        .filter(|key| lists.iter().any(|list| key.starts_with(list)))
        .map(|key| (key.to_owned(), json!(catalogue.text(key))))
        .collect();
    json!({"language": language.tag(), "words": words}).to_string()
}
