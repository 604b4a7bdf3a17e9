//! The one place that turns errors into a status, a stable code and a sentence: a page for people,
//! problem details (RFC 9457) for programs. Also puts the security headers on every answer.

use std::sync::LazyLock;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::ask::Reader;
use super::{AppState, auth, open311, quota, views};
use crate::domain::Refusal;
use crate::photos::PhotoError;
use crate::plates::PlateError;
use crate::press::PressError;
use crate::registry::RegistryError;

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    pub refusal: Refusal,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, refusal: Refusal::new(code) }
    }

    pub(super) fn not_found(code: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code)
    }

    /// A task of ours that stopped.
    pub(super) fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken")
    }

    pub(super) fn bad_request(refusal: Refusal) -> Self {
        Self { status: StatusCode::BAD_REQUEST, refusal }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, refusal }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Refused(refusal) => refusal.into(),
            RegistryError::NotFound(refusal) => Self { status: StatusCode::NOT_FOUND, refusal },
            RegistryError::Conflict(refusal) => Self { status: StatusCode::CONFLICT, refusal },
            RegistryError::Forbidden(refusal) => Self { status: StatusCode::FORBIDDEN, refusal },
            RegistryError::Storage(refusal) => Self { status: StatusCode::INSUFFICIENT_STORAGE, refusal },
            RegistryError::Broken(error) => {
                // The cause is logged once, here; the public learns nothing from inside.
                tracing::error!(error = ?error, "the registry is broken");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken")
            }
        }
    }
}

impl From<PhotoError> for Problem {
    fn from(error: PhotoError) -> Self {
        let refusal = error.refusal();
        let status = match (&error, refusal.code) {
            (_, "photo.too_large") => StatusCode::PAYLOAD_TOO_LARGE,
            (PhotoError::Refused(_), _) => StatusCode::UNPROCESSABLE_ENTITY,
            (_, "storage.full" | "storage.read_only") => StatusCode::INSUFFICIENT_STORAGE,
            _ => {
                tracing::error!(error = ?error, "the photo folder is broken");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self { status, refusal }
    }
}

impl From<PressError> for Problem {
    fn from(error: PressError) -> Self {
        let refusal = error.refusal();
        match (error, refusal) {
            (PressError::Registry(error), _) => error.into(),
            (PressError::Plates(PlateError::Refused(refusal)), _) => refusal.into(),
            (_, Some(refusal)) => Self { status: StatusCode::INSUFFICIENT_STORAGE, refusal },
            (error, None) => {
                tracing::error!(error = ?error, "a plate batch failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken")
            }
        }
    }
}

/// A file of ours that cannot be written or read.
pub(super) fn from_io(error: &std::io::Error) -> Problem {
    use std::io::ErrorKind;
    let code = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "storage.full",
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => "storage.read_only",
        _ => {
            tracing::error!(%error, "the data folder is broken");
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken");
        }
    };
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, code)
}

/// Marks the response; [`dress`] writes its body, because only there language and form are known.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

pub(super) async fn unknown_address() -> Problem {
    Problem::not_found("http.unknown_address")
}

pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "http.method")
}

/// A handler gave up: the log gets its words, the public none of them.
pub(super) fn panicked(said: Box<dyn std::any::Any + Send>) -> Response {
    let said = said.downcast_ref::<String>().map(String::as_str).or(said.downcast_ref::<&str>().copied());
    tracing::error!(error = said.unwrap_or("no words"), "a handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken").into_response()
}

/// What a plain status of the framework means in our words.
fn generic(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "http.unknown_address",
        StatusCode::METHOD_NOT_ALLOWED => "http.method",
        StatusCode::PAYLOAD_TOO_LARGE => "http.too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "http.media_type",
        status if status.is_server_error() => "http.broken",
        _ => "http.bad_request",
    }
}

/// The scripts are named by their digests; no other text or address of a script runs.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let scripts = [
        views::REPORT_SCRIPT,
        views::UPLOAD_SCRIPT,
        views::DESIGNER_SCRIPT,
        views::CASE_SCRIPT,
        views::RELEASE_SCRIPT,
    ]
    .map(|script| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(script))))
    .join(" ");
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src {scripts}; img-src 'self' data: blob:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and our own words are visible ASCII")
});

const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // A tracking address holds its secret in the path.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("geolocation=(self), camera=(self), microphone=()"),
    ),
];

/// Outermost: writes the bodies of problems, adds the headers, logs the request without its path
/// parameters.
pub(super) async fn dress(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let reader = Reader::of(&request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let problem = response.extensions_mut().remove::<Problem>();
        let written = response.extensions_mut().remove::<Written>().is_some();
        if !written {
            let problem = problem.unwrap_or_else(|| Problem::new(status, generic(status)));
            response = write_problem(&state, &reader, &problem, response);
        }
    }
    // The crew's page brings a policy of its own.
    response.headers_mut().entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| POLICY.clone());
    for (name, value) in SECURITY {
        response.headers_mut().insert(name, value);
    }
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    let duration = begun.elapsed();
    state.shared.counters.count(status, duration);
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let duration_ms = duration.as_secs_f64() * 1000.0;
    if status.is_server_error() {
        tracing::error!(http.method = %method, http.route = route, http.status = status.as_u16(), duration_ms, "answered");
    } else {
        tracing::debug!(http.method = %method, http.route = route, http.status = status.as_u16(), duration_ms, "answered");
    }
    response
}

/// On a page that was rendered with its problem already, e.g. a form shown again.
#[derive(Clone)]
pub(super) struct Written;

/// A page that says what is wrong and keeps what the person typed.
pub(super) fn page_with_problem(status: StatusCode, html: String) -> Response {
    let mut response = (status, axum::response::Html(html)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Written);
    response
}

fn write_problem(state: &AppState, reader: &Reader, problem: &Problem, old: Response) -> Response {
    let catalogue = reader.catalogue();
    let mut status = problem.status;
    let (content_type, body) = if let Some(format) = reader.georeport {
        let (told, body) = open311::errors(catalogue, format, std::slice::from_ref(problem));
        status = told;
        (format.content_type(), body)
    } else if reader.wants_json {
        let mut details = json!({
            "type": "about:blank",
            "title": problem.status.canonical_reason().unwrap_or("Error"),
            "status": problem.status.as_u16(),
            "code": problem.refusal.code,
            "detail": catalogue.refusal(&problem.refusal),
        });
        if let Some(field) = &problem.refusal.field {
            details["field"] = json!(field);
        }
        if problem.refusal.code == quota::USED_UP {
            let policy = problem.refusal.params.iter().find(|(name, _)| *name == "policy");
            details["type"] = json!(quota::QUOTA_EXCEEDED);
            details["violated-policies"] = json!(policy.map(|(_, policy)| policy).as_slice());
        }
        ("application/problem+json", details.to_string())
    } else {
        let page = reader.page(state, None);
        ("text/html; charset=utf-8", views::error(&page, problem.status.as_u16(), &problem.refusal))
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // What the framework or the gate said beside the status: Allow, WWW-Authenticate, Set-Cookie.
    for name in [
        header::ALLOW,
        header::WWW_AUTHENTICATE,
        header::SET_COOKIE,
        header::RETRY_AFTER,
        quota::RATE_LIMIT,
        quota::RATE_LIMIT_POLICY,
    ] {
        if let Some(value) = old.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if let Some(told) = auth::challenge(&problem.refusal) {
        headers.insert(header::WWW_AUTHENTICATE, told);
    }
    if problem.status == StatusCode::METHOD_NOT_ALLOWED {
        // A handler that refuses so can be read and no more (RFC 9110, section 15.5.6).
        headers.entry(header::ALLOW).or_insert(const { HeaderValue::from_static("GET, HEAD, OPTIONS") });
    }
    if problem.status == StatusCode::TOO_MANY_REQUESTS {
        headers.entry(header::RETRY_AFTER).or_insert(const { HeaderValue::from_static("60") });
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
