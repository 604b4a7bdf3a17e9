//! What citizens meet: scan, report, tracking. No login, no script, nothing outside the publish
//! list.

use std::net::IpAddr;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, From, Named, Nothing, Reader};
use super::citizen_pages::check_address;
use super::feed_cache::Kept;
use super::forms::{Form, store_photos};
use super::page_cache::Drawn;
use super::problem::page_with_problem;
use super::sender::{Sender, know_again};
use super::views::{self, ReportDraft, ReportTarget};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::citizen::BlurBox;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{IdempotencyKey, PhotoId};
use crate::domain::token::Token;
use crate::photos::{PhotoDigest, PhotoError, PhotoStore};
use crate::registry::{NewFollower, NewReport, ScannedPlate, Tracked};

pub(super) async fn home(State(state): State<AppState>, reader: Reader, _: Asked<Nothing>) -> Response {
    page(views::home(&reader.page(&state, None), None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    token: String,
}

/// The form of the home page: leads to the plate, or says what is wrong with what was typed.
pub(super) async fn typed_token(
    State(state): State<AppState>,
    reader: Reader,
    Asked(typed): Asked<Typed>,
) -> Response {
    match typed.token.parse::<Token>() {
        Ok(token) => Redirect::to(&format!("/c/{token}")).into_response(),
        Err(refusal) => {
            let html = views::home(&reader.page(&state, None), Some((&typed.token, &refusal)));
            page_with_problem(StatusCode::UNPROCESSABLE_ENTITY, html)
        }
    }
}

/// `no-store`: an open hazard must not hide behind a phone's cache.
fn page(html: String) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

pub(super) async fn scan(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    headers: HeaderMap,
    Named(text): Named,
) -> Result<Response, Problem> {
    let token = match text.parse::<Token>() {
        Ok(token) => token,
        Err(refusal) => {
            let html = views::home(&reader.page(&state, None), Some((&text, &refusal)));
            return Ok(page_with_problem(StatusCode::NOT_FOUND, html));
        }
    };
    let gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    if let Some(drawn) = state.shared.pages.find(token, reader.language, state.registry.now()) {
        return Ok(drawn_page(&drawn, gzip));
    }
    let moment = state.shared.pages.moment();
    let Some(scanned) = state.registry.find_plate(token).await? else {
        state.shared.counters.count_unknown_token();
        state.shared.tries.count(network, state.registry.now())?;
        return Ok(page_with_problem(
            StatusCode::NOT_FOUND,
            views::unknown_plate(&reader.page(&state, None)),
        ));
    };
    let around = reader.page(&state, None);
    if !scanned.plate.state.is_live() {
        return Ok(page(views::withdrawn_plate(&around, &scanned, scanned.plate.successor)));
    }
    let Some(cover) = &scanned.cover else {
        return Ok(page(views::blank_plate(&around, token)));
    };
    let photos = state.registry.list_public_photos((cover.manhole, cover.cover)).await?;
    let taps = state.registry.count_same_here(&scanned.open_cases).await?;
    let html = views::scan(&around, &scanned, &taps, photos.first().map(|(photo, _)| photo));
    let drawn = Drawn::new(&html, views::TAP_KEY, state.registry.now());
    state.shared.pages.keep(moment, (token, reader.language), cover.cover, &drawn);
    Ok(drawn_page(&drawn, gzip))
}

fn drawn_page(drawn: &Drawn, gzip: bool) -> Response {
    const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
    // Whoever reads a page with a tap to count has a key of their own.
    let body = drawn.write(&IdempotencyKey::fresh().to_string(), gzip);
    let mut response = Response::new(axum::body::Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HTML);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, accept-language, cookie"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A photo of the cover that everybody may see, behind the words on the scan page.
pub(super) async fn cover_photo(
    State(state): State<AppState>,
    From(network): From,
    _: Asked<Nothing>,
    Path((token, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("photo.unknown");
    let (token, id) = token.parse::<Token>().ok().zip(id.parse::<PhotoId>().ok()).ok_or_else(unknown)?;
    let Some(scanned) = state.registry.find_plate(token).await? else {
        state.shared.tries.count(network, state.registry.now())?;
        return Err(unknown());
    };
    let cover = scanned.cover.filter(|_| scanned.plate.state.is_live()).ok_or_else(unknown)?;
    let photos = state.registry.list_public_photos((cover.manhole, cover.cover)).await?;
    let (photo, boxes) = photos.into_iter().find(|(photo, _)| photo.id == id).ok_or_else(unknown)?;
    // Not for long: a case that is opened again takes its photo back.
    covered_photo(&state, &headers, (photo.digest, boxes), "public, max-age=600").await
}

/// A live plate with a cover, or the answer that says what to do instead.
async fn reportable(
    state: &AppState,
    reader: &Reader,
    text: &str,
) -> Result<Result<ScannedPlate, Response>, Problem> {
    let token: Token = match text.parse() {
        Ok(token) => token,
        Err(refusal) => {
            let html = views::home(&reader.page(state, None), Some((text, &refusal)));
            return Ok(Err(page_with_problem(StatusCode::NOT_FOUND, html)));
        }
    };
    let around = reader.page(state, None);
    Ok(match state.registry.find_plate(token).await? {
        None => Err(page_with_problem(StatusCode::NOT_FOUND, views::unknown_plate(&around))),
        Some(scanned) if scanned.cover.is_none() => {
            Err(page_with_problem(StatusCode::CONFLICT, views::blank_plate(&around, token)))
        }
        Some(scanned) => Ok(scanned),
    })
}

pub(super) async fn report_form(
    State(state): State<AppState>,
    reader: Reader,
    headers: HeaderMap,
    Named(text): Named,
) -> Result<Response, Problem> {
    let scanned = match reportable(&state, &reader, &text).await? {
        Ok(scanned) => scanned,
        Err(response) => return Ok(response),
    };
    let target = ReportTarget::Plate(&scanned);
    let html = views::report_form(&reader.page(&state, None), &target, &ReportDraft::empty(), None);
    Ok(know_again(&state, &headers, page(html)))
}

const REPORT_FIELDS: &[&str] =
    &["key", "hazard", "description", "contact", "tell", "lon", "lat", "accuracy_m"];

impl ReportDraft {
    pub(super) fn of_form(form: &Form) -> Self {
        Self {
            key: form.field("key").and_then(|key| key.parse().ok()).unwrap_or_else(IdempotencyKey::fresh),
            hazard: form.field("hazard").and_then(|word| word.parse().ok()),
            description: form.field("description").unwrap_or_default().to_owned(),
            contact: form.field("contact").unwrap_or_default().to_owned(),
            tell: form.field("tell").is_some(),
        }
    }
}

/// Room for four photos at their limit and the texts.
pub(super) const REPORT_BYTES: usize = 4 * (12 << 20) + 200_000;

pub(super) async fn report(
    State(state): State<AppState>,
    mut sender: Sender,
    reader: Reader,
    Named(text): Named,
    mut request: Request,
) -> Result<Response, Problem> {
    let scanned = match reportable(&state, &reader, &text).await? {
        Ok(scanned) => scanned,
        Err(response) => return Ok(response),
    };
    axum::extract::DefaultBodyLimit::max(sender.most_bytes()).apply(&mut request);
    let (mut form, trouble) = Form::with_trouble(request, &state).await?;
    sender.admit(form.field("hazard").and_then(|word| word.parse().ok()))?;
    form.only(REPORT_FIELDS)?;
    let photos = std::mem::take(&mut form.photos);
    let filed = match trouble.or_else(|| check_telling(&state, &form).err().map(Problem::from)) {
        None => file_report((&state, &reader), sender, scanned.plate.token, &form, photos).await,
        Some(trouble) => Err(trouble),
    };
    match filed {
        Ok(link) => {
            tell_reporter(&state, &reader, &form, &link).await;
            Ok(Redirect::to(&format!("/r/{link}")).into_response())
        }
        Err(problem) if problem.status.is_client_error() => {
            // What was typed is kept; photos must be chosen again, browsers do not let them be.
            let draft = ReportDraft::of_form(&form);
            let around = reader.page(&state, None);
            let target = ReportTarget::Plate(&scanned);
            let html = views::report_form(&around, &target, &draft, Some(&problem.refusal));
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

/// Who wants to be told needs an address to be told at.
pub(super) fn check_telling(state: &AppState, form: &Form) -> Result<(), Refusal> {
    match form.field("tell") {
        Some(_) => check_address(state, form.field("contact").unwrap_or_default(), "contact"),
        None => Ok(()),
    }
}

/// Has whoever reported told how it goes on, where they want to be. The report stands whatever comes of this.
pub(super) async fn tell_reporter(state: &AppState, reader: &Reader, form: &Form, link: &str) {
    let (Some(_), Some(contact)) = (form.field("tell"), form.field("contact")) else { return };
    let new = NewFollower { address: contact.to_owned(), language: reader.language.tag() };
    if let Err(error) = state.registry.follow_report(link, new).await {
        tracing::warn!(%error, "somebody who reported is not told how it goes on");
    }
}

async fn file_report(
    (state, reader): (&AppState, &Reader),
    sender: Sender,
    token: Token,
    form: &Form,
    photos: Vec<axum::body::Bytes>,
) -> Result<String, Problem> {
    let new = NewReport {
        key: form.key()?,
        token,
        hazard: form.needed("hazard")?.parse::<Hazard>()?,
        description: form.field("description").unwrap_or_default().to_owned(),
        contact: form.field("contact").map(str::to_owned),
        phone_position: form.phone_position()?,
        photos: store_photos(state, photos).await?,
        language: reader.language.tag(),
        origin: Some(sender.origin),
    };
    send_report(state, new).await.map(|(link, _)| link)
}

/// Files a report and has the scan page drawn anew; answers the tracking link.
pub(super) async fn send_report(
    state: &AppState,
    new: NewReport,
) -> Result<(String, crate::registry::Reported), Problem> {
    let reported = state.registry.report_hazard(new).await?;
    state.covers_changed(reported.cover.as_slice());
    Ok((state.registry.tracking_link(&reported), reported))
}

/// An address that opens nothing, counted so that nobody tries them all.
pub(super) fn unknown(state: &AppState, from: IpAddr, code: &'static str) -> Problem {
    match state.shared.tries.count(from, state.registry.now()) {
        Ok(()) => Problem::not_found(code),
        Err(problem) => problem,
    }
}

/// The report behind a tracking link.
pub(super) async fn known_report(state: &AppState, network: IpAddr, link: &str) -> Result<Tracked, Problem> {
    let tracked = state.registry.find_tracked(link).await?;
    tracked.ok_or_else(|| unknown(state, network, "report.unknown"))
}

pub(super) async fn tracking(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    headers: HeaderMap,
    Named(link): Named,
) -> Result<Response, Problem> {
    const ANSWERED: (&str, &str) = ("text/html; charset=utf-8", "no-store");
    let key = format!("{} {link}", reader.language.tag());
    // Read before the report: what is committed in between makes the page be drawn anew.
    let minute = state.registry.now().0.div_euclid(60_000);
    let moment = (state.newest_change().await?, minute);
    if let Some(kept) = state.shared.tracking.find(moment, &key) {
        return Ok(kept.answer(ANSWERED, &headers));
    }
    let tracked = known_report(&state, network, &link).await?;
    let drawn = Kept::new(views::tracking(&reader.page(&state, None), &link, &tracked, None));
    state.shared.tracking.keep(moment, key, &drawn);
    Ok(drawn.answer(ANSWERED, &headers))
}

pub(super) async fn tracking_photo(
    State(state): State<AppState>,
    From(network): From,
    Path((link, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("photo.unknown");
    let Some(tracked) = state.registry.find_tracked(&link).await? else {
        state.shared.tries.count(network, state.registry.now())?;
        return Err(unknown());
    };
    let number: usize = number.parse().map_err(|_| unknown())?;
    let photo = tracked.photos.get(number).ok_or_else(unknown)?;
    let released = tracked.released.iter().find(|released| released.photo == photo.id);
    let boxes = released.map(|released| released.boxes.clone()).unwrap_or_default();
    // Private, because the address is a secret; of the work not for long, because it may be taken back.
    let kept = if released.is_some() { "private, max-age=600" } else { "private, max-age=3600" };
    covered_photo(&state, &headers, (photo.digest, boxes), kept).await
}

/// The rendition with what is covered up in it.
pub(super) async fn covered_photo(
    state: &AppState,
    asked: &HeaderMap,
    (digest, boxes): ([u8; 32], Vec<BlurBox>),
    kept: &'static str,
) -> Result<Response, Problem> {
    if boxes.is_empty() {
        return public_photo(state, asked, digest, kept).await;
    }
    let digest = PhotoDigest(digest);
    let photos = state.photos.clone();
    let name = PhotoStore::covered_name(digest, &boxes);
    send_photo(asked, name, kept, move || photos.open_covered(digest, &boxes)).await
}

/// The rendition without metadata. Its bytes never change, so its digest is the tag.
pub(super) async fn public_photo(
    state: &AppState,
    asked: &HeaderMap,
    digest: [u8; 32],
    kept: &'static str,
) -> Result<Response, Problem> {
    let digest = PhotoDigest(digest);
    let photos = state.photos.clone();
    send_photo(asked, digest, kept, move || photos.open_public(digest)).await
}

async fn send_photo(
    asked: &HeaderMap,
    name: PhotoDigest,
    kept: &'static str,
    open: impl FnOnce() -> Result<Option<std::fs::File>, PhotoError> + Send + 'static,
) -> Result<Response, Problem> {
    let etag = format!("\"{name}\"");
    let headers = [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, kept.to_owned())];
    if asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let bytes = read_file(open).await?;
    Ok((headers, [(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response())
}

/// The bytes of a photo's file; at most as many as were taken in.
pub(super) async fn read_file(
    open: impl FnOnce() -> Result<Option<std::fs::File>, PhotoError> + Send + 'static,
) -> Result<Vec<u8>, Problem> {
    let unknown = || Problem::not_found("photo.unknown");
    tokio::task::spawn_blocking(move || {
        let mut file = open()?.ok_or_else(unknown)?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).map_err(|_| unknown())?;
        Ok(bytes)
    })
    .await
    .map_err(|_| unknown())?
}

/// Sets the language by hand, for a year.
pub(super) async fn language(State(state): State<AppState>, request: Request) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["lang", "next"])?;
    let read = form.needed("lang")?;
    let language =
        crate::messages::Language::ALL.into_iter().find(|language| language.tag() == read).ok_or_else(
            || Refusal::new("form.language").at("lang").with("read", super::forms::shortened(read)),
        )?;
    let next = match super::auth::safe_next(form.field("next").unwrap_or("/")) {
        next if next.is_ascii() => next.to_owned(),
        _ => "/".to_owned(),
    };
    let cookie = format!("lang={}; Path=/; Max-Age=31536000; SameSite=Lax", language.tag());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
}

const ASSETS: &[(&str, &str, &str)] =
    &[("lidmark.css", "text/css; charset=utf-8", include_str!("../../assets/web/lidmark.css"))];

/// The style, revalidated by their digest.
pub(super) async fn asset(Named(name): Named, headers: HeaderMap) -> Result<Response, Problem> {
    let (_, media_type, body) = ASSETS
        .iter()
        .find(|(known, _, _)| *known == name)
        .ok_or_else(|| Problem::not_found("http.unknown_address"))?;
    let etag = crate::tiles::etag(body.as_bytes());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, (*media_type).to_owned()),
        (header::CACHE_CONTROL, "public, max-age=3600".to_owned()),
        (header::ETAG, etag),
    ];
    Ok((headers, *body).into_response())
}
