//! Who is calling: session cookie or API token, role, and proof that a form is ours.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Reader, cookie};
use super::doors::Wanted;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::role::{Actor, Role};
use crate::domain::scope::{TokenScope, TokenScopes};
use crate::registry::{DEVICE_KEEPERS, RegistryError, Session, TokenHolder, User};

/// A member of staff who passed the gate.
#[derive(Clone)]
pub(super) struct Caller {
    pub user: User,
    /// `None` for programs, which come with an API token.
    pub session: Option<Session>,
    /// What their token opens of what they may do; whoever logged in may do all of it.
    scopes: TokenScopes,
}

impl Caller {
    fn of_token(holder: TokenHolder) -> Self {
        Self { user: holder.user, session: None, scopes: holder.scopes }
    }

    pub(super) fn actor(&self) -> Actor {
        self.user.actor()
    }

    /// Refuses what is wider than the token.
    pub(super) fn check_scope(&self, wanted: TokenScope) -> Result<(), Problem> {
        if self.scopes.opens(wanted) {
            return Ok(());
        }
        let refusal = Refusal::new(SCOPE).with("scope", wanted).with("read", self.scopes);
        Err(Problem { status: StatusCode::FORBIDDEN, refusal })
    }

    /// Refuses a form that another site made the browser send.
    pub(super) fn check_csrf(&self, token: Option<&str>) -> Result<(), Problem> {
        match &self.session {
            None => Ok(()),
            Some(session) if token == Some(session.csrf.as_str()) => Ok(()),
            Some(_) => Err(Problem::new(StatusCode::FORBIDDEN, "http.csrf")),
        }
    }
}

const LOG_IN: &str = "http.log_in";
const DEAD_TOKEN: &str = "http.token";
const SCOPE: &str = "http.scope";

/// Only behind a gate.
impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(unknown_caller)
    }
}

/// Stands before every address that is not public.
pub(super) async fn gate(
    State((state, Wanted { roles, scope })): State<(AppState, Wanted)>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match find_caller(&state, request.headers()).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return ask_to_log_in(&request),
        Err(problem) => return problem.into_response(),
    };
    if caller.user.role != Role::Admin && !roles.is_empty() && !roles.contains(&caller.user.role) {
        return wrong_role(caller.user.role, roles).into_response();
    }
    if let Err(problem) = caller.check_scope(scope) {
        return problem.into_response();
    }
    // Pages carry the token in the form, which the handler reads; programs with a cookie, in a header.
    let is_api = ["/api/", "/ogc/"].iter().any(|group| request.uri().path().starts_with(group));
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_api && is_write {
        let token = request.headers().get("x-csrf-token").and_then(|value| value.to_str().ok());
        if let Err(problem) = caller.check_csrf(token) {
            return problem.into_response();
        }
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Stands before what devices send in.
pub(super) async fn sensor_gate(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(secret) = bearer(request.headers()) else { return ask_to_log_in(&request) };
    let holder = match find_holder(&state, secret).await {
        Ok(Some(holder)) => holder,
        Ok(None) => return ask_to_log_in(&request),
        Err(error) => return Problem::from(error).into_response(),
    };
    if !DEVICE_KEEPERS.contains(&holder.user.role) {
        return wrong_role(holder.user.role, DEVICE_KEEPERS).into_response();
    }
    match Caller::of_token(holder).check_scope(TokenScope::Sensors) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn wrong_role(role: Role, fits: &[Role]) -> Problem {
    let fits = fits.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let refusal = Refusal::new("http.role").with("role", role).with("fits", fits);
    Problem { status: StatusCode::FORBIDDEN, refusal }
}

/// What programs are told of their token beside the sentence (RFC 6750, section 3).
pub(super) fn challenge(refusal: &Refusal) -> Option<HeaderValue> {
    match refusal.code {
        LOG_IN => Some(HeaderValue::from_static("Bearer")),
        DEAD_TOKEN => Some(HeaderValue::from_static("Bearer error=\"invalid_token\"")),
        SCOPE => {
            let (_, wanted) = refusal.params.iter().find(|(name, _)| *name == "scope")?;
            HeaderValue::try_from(format!("Bearer error=\"insufficient_scope\", scope=\"{wanted}\"")).ok()
        }
        _ => None,
    }
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (kind, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

pub(super) async fn find_caller(state: &AppState, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    if let Some(secret) = bearer(headers) {
        return Ok(find_holder(state, secret).await?.map(Caller::of_token));
    }
    let Some(secret) = cookie(headers, session_cookie(state)) else { return Ok(None) };
    let session = state.registry.find_session(secret).await?;
    let scopes = TokenScopes::of(TokenScope::Staff);
    Ok(session.map(|session| Caller { user: session.user.clone(), session: Some(session), scopes }))
}

async fn find_holder(state: &AppState, secret: &str) -> Result<Option<TokenHolder>, RegistryError> {
    let holder = state.registry.find_api_token(secret).await?;
    if holder.is_some() {
        state.shared.quotas.know(secret);
    }
    Ok(holder)
}

/// Whoever asks where nobody needs an account but sees more with one. A token must open reading: a script whose token has
/// died must not take what everybody may see for the whole.
pub(super) async fn find_reader(state: &AppState, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let caller = find_caller(state, headers).await?;
    match &caller {
        Some(caller) => caller.check_scope(TokenScope::Read)?,
        None if bearer(headers).is_some() => return Err(dead_token()),
        None => {}
    }
    Ok(caller)
}

fn ask_to_log_in(request: &Request) -> Response {
    let reader = Reader::of(request);
    if !reader.wants_json && *request.method() == Method::GET {
        let path = request.uri().path_and_query().map_or("/desk", |path| path.as_str());
        return Redirect::to(&format!("/login?next={}", percent_encode(path))).into_response();
    }
    let problem = if bearer(request.headers()).is_some() { dead_token() } else { unknown_caller() };
    problem.into_response()
}

/// For whoever brought nothing that tells who they are.
pub(super) fn unknown_caller() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, LOG_IN)
}

/// For whoever brought a token that opens nothing: a mistyped one, or one whose time is over.
fn dead_token() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, DEAD_TOKEN)
}

/// Text as part of an address.
pub(super) fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// `__Host-` ties the cookie to this host over TLS; without TLS browsers refuse the name.
pub(super) fn session_cookie(state: &AppState) -> &'static str {
    if state.config.secure_cookies { "__Host-lidmark" } else { "lidmark" }
}

/// The cookie that opens (or, empty, ends) a session.
pub(super) fn set_session(state: &AppState, secret: &str) -> HeaderValue {
    let secure = if state.config.secure_cookies { "; Secure" } else { "" };
    let age = if secret.is_empty() { 0 } else { 12 * 3600 };
    let line =
        format!("{}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}", session_cookie(state));
    HeaderValue::try_from(line).expect("a session secret is base32")
}

/// Where to go after logging in: an address of ours, never another site.
pub(super) fn safe_next(next: &str) -> &str {
    let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if ours { next } else { "/desk" }
}
