//! Where a report comes from that needs no account, and how much of it one network may send.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

use super::ask::{From, cookie};
use super::auth::session_cookie;
use super::public::REPORT_BYTES;
use super::{AppState, Problem};
use crate::domain::hazard::Hazard;
use crate::registry::Origin;

/// By which a browser is known again: a random word, kept for half a year.
const PHONE: &str = "phone";
const PHONE_SECONDS: u32 = 180 * 86_400;
/// What a network may still send whose minute is used up: a report of danger, without photos.
const SHORT_BYTES: usize = 100_000;

/// Whoever sends a report.
pub(super) struct Sender {
    pub origin: Origin,
    /// Why nothing but danger is taken from there this minute.
    over: Option<Problem>,
}

impl FromRequestParts<AppState> for Sender {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Ok(From(network)) = From::from_request_parts(parts, state).await;
        let over = state.shared.reports.count(network, state.registry.now()).err();
        let by_staff = match cookie(&parts.headers, session_cookie(state)) {
            Some(secret) => state.registry.find_session(secret).await?.is_some(),
            None => false,
        };
        let device = known_phone(&parts.headers).map(|id| id.simple().to_string());
        Ok(Self { origin: Origin { network, device, by_staff }, over })
    }
}

impl Sender {
    /// Bytes that are read of what they send.
    pub(super) fn most_bytes(&self) -> usize {
        if self.over.is_some() { SHORT_BYTES } else { REPORT_BYTES }
    }

    /// Lets a report of danger pass whatever was sent before; anything else waits for the next minute.
    pub(super) fn admit(&mut self, hazard: Option<Hazard>) -> Result<(), Problem> {
        match self.over.take() {
            Some(problem) if !hazard.is_some_and(Hazard::is_emergency) => Err(problem),
            _ => Ok(()),
        }
    }
}

fn known_phone(headers: &HeaderMap) -> Option<Uuid> {
    cookie(headers, PHONE).and_then(|word| Uuid::try_parse(word).ok())
}

/// Gives a browser that comes to report its word, where it has none.
pub(super) fn know_again(state: &AppState, asked: &HeaderMap, mut response: Response) -> Response {
    if known_phone(asked).is_none() {
        let secure = if state.config.secure_cookies { "; Secure" } else { "" };
        let word = Uuid::new_v4().simple();
        let line = format!("{PHONE}={word}; Path=/; HttpOnly; SameSite=Lax; Max-Age={PHONE_SECONDS}{secure}");
        let line = HeaderValue::try_from(line).expect("a number in base 16 is ASCII");
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}
