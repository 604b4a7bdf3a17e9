//! What a request asks for: language, form of the answer, query parameters, JSON bodies.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, Uri, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::open311::Format;
use super::views::Page;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::IdempotencyKey;
use crate::messages::{Catalogue, Language};
use crate::registry::Session;

/// Who reads the answer: in which language, as a page or as JSON.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub language: Language,
    pub wants_json: bool,
    /// The format of Open311, at its addresses.
    pub georeport: Option<Format>,
    /// Where the language form returns to; empty where the address opens something by itself.
    path: String,
}

impl Reader {
    pub(super) fn of(request: &Request) -> Self {
        Self::from_parts(request.headers(), request.uri())
    }

    fn from_parts(headers: &HeaderMap, uri: &Uri) -> Self {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let path = uri.path();
        let program = ["/api/", "/tiles/", "/openapi.yaml", "/healthz", "/readyz", "/metrics"];
        let accept = text(header::ACCEPT).unwrap_or_default();
        let opens = ["/r/", "/mail/", "/photos/"];
        Self {
            language: Language::from_header(text(header::ACCEPT_LANGUAGE), cookie(headers, "lang")),
            wants_json: program.iter().any(|start| path.starts_with(start))
                || (path.starts_with("/ogc") && !accept.contains("text/html"))
                || (accept.contains("json") && !accept.contains("text/html")),
            georeport: Format::of_path(path),
            path: if opens.iter().any(|start| path.starts_with(start)) {
                String::new()
            } else {
                uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
            },
        }
    }

    pub(super) fn catalogue(&self) -> &'static Catalogue {
        Catalogue::of(self.language)
    }

    /// What every page needs around its content.
    pub(super) fn page<'a>(&'a self, state: &'a AppState, session: Option<&'a Session>) -> Page<'a> {
        Page {
            catalogue: self.catalogue(),
            config: &state.config,
            schemes: state.registry.schemes_by_id(),
            session,
            path: &self.path,
            now: state.registry.now(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::from_parts(&parts.headers, &parts.uri))
    }
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Query parameters; an unknown one is refused by name.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_query(&parts.uri).map(Self)
    }
}

/// The query parameters of an address.
pub(super) fn read_query<T: DeserializeOwned>(address: &Uri) -> Result<T, Problem> {
    Query::try_from_uri(address).map(|Query(asked)| asked).map_err(|rejection| {
        use std::error::Error;
        let reason = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
        Problem::bad_request(Refusal::new("http.query").with("reason", reason))
    })
}

/// No query parameters at all.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A path parameter as text; one that is no UTF-8 names nothing we know.
pub(super) struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Self(name))
            .map_err(|_| Problem::not_found("http.unknown_address"))
    }
}

/// A JSON body; what does not fit is named with its place.
pub(super) struct Said<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Said<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !has_media_type(request.headers(), "application/json") {
            let refusal = Refusal::new("http.media_type").with("fits", "application/json");
            return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"))?;
        parse_json(&bytes).map(Self)
    }
}

pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let parsed = serde_json::from_slice::<Object<T>>(bytes);
    parsed.map(|Object(said)| said).map_err(|error| {
        let (status, code) = if error.is_data() {
            (StatusCode::UNPROCESSABLE_ENTITY, "http.json_data")
        } else {
            (StatusCode::BAD_REQUEST, "http.json")
        };
        Problem { status, refusal: Refusal::new(code).with("reason", error) }
    })
}

/// An object with named fields. Left alone, serde would take a list of their values as well.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object with named fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

pub(super) fn has_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
}

/// The `Idempotency-Key` header, which every write from the field must carry.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let text = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let text =
        text.ok_or_else(|| Problem::bad_request(Refusal::new("idempotency.missing").at("Idempotency-Key")))?;
    text.trim_matches('"')
        .parse()
        .map_err(|refusal: Refusal| Problem::bad_request(refusal.at("Idempotency-Key")))
}

/// The network address that asks. Behind a proxy the last hop the proxy names.
pub(super) struct From(pub IpAddr);

impl From {
    pub(super) fn of(state: &AppState, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let direct = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        let forwarded = state.config.behind_proxy.then(|| {
            let line = headers.get("x-forwarded-for")?.to_str().ok()?;
            line.rsplit(',').next()?.trim().parse().ok()
        });
        Self(forwarded.flatten().unwrap_or(direct))
    }
}

impl FromRequestParts<AppState> for From {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        Ok(Self::of(state, &parts.headers, &parts.extensions))
    }
}
