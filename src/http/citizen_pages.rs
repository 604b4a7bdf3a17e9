//! What citizens do after their report: they answer, say how content they are, tap that they stand in front of the same,
//! and follow by mail. No login, no script; a secret link is all that opens it.

use std::net::IpAddr;

use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Asked, From, Named, Nothing, Reader};
use super::desk::page;
use super::forms::{Form, store_photos};
use super::problem::page_with_problem;
use super::public::{REPORT_BYTES, known_report, unknown};
use super::views::{self, TrackingDraft};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::citizen::{Channel, channel_of};
use crate::domain::hazard::Hazard;
use crate::domain::token::Token;
use crate::registry::{CitizenSays, NewFollower, NewRating};

/// Back to the tracking page; with what was typed where it was refused.
async fn settle(
    state: &AppState,
    reader: &Reader,
    link: &str,
    done: Result<Option<String>, Problem>,
    draft: TrackingDraft,
) -> Result<Response, Problem> {
    match done {
        Ok(None) => Err(Problem::not_found("report.unknown")),
        Ok(Some(link)) => Ok(Redirect::to(&format!("/r/{link}")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let tracked = state.registry.find_tracked(link).await?;
            let tracked = tracked.ok_or_else(|| Problem::not_found("report.unknown"))?;
            let wrong = Some((&problem.refusal, &draft));
            let html = views::tracking(&reader.page(state, None), link, &tracked, wrong);
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

/// Opens the form of a tracking page; the network is counted first and the address looked at, so that a stranger's
/// photos are not even read.
async fn open_form(
    state: &AppState,
    network: IpAddr,
    link: &str,
    request: Request,
) -> Result<(Form, Option<Problem>), Problem> {
    state.shared.reports.count(network, state.registry.now())?;
    known_report(state, network, link).await?;
    Form::with_trouble(request, state).await
}

/// An answer to the desk, or a word more.
pub(super) async fn send_word(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Named(link): Named,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(REPORT_BYTES).apply(&mut request);
    let (mut form, trouble) = open_form(&state, network, &link, request).await?;
    form.only(&["key", "text"])?;
    let photos = std::mem::take(&mut form.photos);
    let text = form.field("text").unwrap_or_default().to_owned();
    let draft = TrackingDraft { word: text.clone(), ..TrackingDraft::default() };
    let said = async {
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let says = CitizenSays { key: form.key()?, text, photos: store_photos(&state, photos).await? };
        Ok(state.registry.say_as_citizen(&link, says).await?.map(|_| link.clone()))
    };
    let said = said.await;
    settle(&state, &reader, &link, said, draft).await
}

/// How content they are; who says that it is not mended goes on to the new report.
pub(super) async fn send_rating(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Named(link): Named,
    request: Request,
) -> Result<Response, Problem> {
    let (form, trouble) = open_form(&state, network, &link, request).await?;
    form.only(&["key", "score", "text", "wish", "contact"])?;
    let said = |name| form.field(name).unwrap_or_default().to_owned();
    let draft = TrackingDraft {
        rating: said("text"),
        score: said("score"),
        wish: said("wish"),
        contact: said("contact"),
        ..TrackingDraft::default()
    };
    let rated = async {
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let score = form.needed("score")?;
        let new = NewRating {
            key: form.key()?,
            score: score.parse().map_err(|_| Refusal::new("rating.score").at("score"))?,
            text: draft.rating.clone(),
            wish: form.field("wish").map(str::parse).transpose()?,
            contact: form.field("contact").map(str::to_owned),
        };
        let Some(rated) = state.registry.rate(&link, new).await? else { return Ok(None) };
        Ok(Some(match rated.again {
            Some(again) => {
                state.covers_changed(again.cover.as_slice());
                state.registry.tracking_link(&again)
            }
            None => link.clone(),
        }))
    };
    let rated = rated.await;
    settle(&state, &reader, &link, rated, draft).await
}

/// They want to be told how it goes on.
pub(super) async fn follow_report(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Named(link): Named,
    request: Request,
) -> Result<Response, Problem> {
    let (form, trouble) = open_form(&state, network, &link, request).await?;
    form.only(&["address"])?;
    let address = form.field("address").unwrap_or_default().to_owned();
    let draft = TrackingDraft { address: address.clone(), ..TrackingDraft::default() };
    let followed = async {
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        check_address(&state, &address, "address")?;
        let new = NewFollower { address, language: reader.language.tag() };
        Ok(state.registry.follow_report(&link, new).await?)
    };
    match followed.await {
        Ok(Some(followed)) => Ok(page(views::followed(&reader.page(&state, None), followed))),
        Ok(None) => Err(Problem::not_found("report.unknown")),
        Err(problem) => settle(&state, &reader, &link, Err(problem), draft).await,
    }
}

/// Refuses an address to which no way leads from here.
pub(super) fn check_address(state: &AppState, address: &str, field: &'static str) -> Result<(), Refusal> {
    let mail = &state.config.mail;
    match channel_of(address.trim()) {
        None => Err(Refusal::new("follow.address").at(field)),
        Some(Channel::Phone) if !mail.by_gateway => Err(Refusal::new("follow.mail_only").at(field)),
        Some(_) if !mail.tells() => Err(Refusal::new("follow.off").at(field)),
        Some(_) => Ok(()),
    }
}

fn token_of(text: &str) -> Result<Token, Problem> {
    text.parse().map_err(|_| Problem::not_found("plate.unknown"))
}

/// 我也遇到: one tap.
pub(super) async fn tap_same(
    State(state): State<AppState>,
    From(network): From,
    Named(text): Named,
    request: Request,
) -> Result<Response, Problem> {
    state.shared.reports.count(network, state.registry.now())?;
    let token = token_of(&text)?;
    let form = Form::from_request(request, &state).await?;
    form.only(&["key", "hazard"])?;
    let hazard = form.needed("hazard")?.parse::<Hazard>()?;
    let cover = state.registry.tap_same_here(token, hazard, form.key()?).await?;
    state.covers_changed(cover.as_slice());
    Ok(Redirect::to(&format!("/c/{token}")).into_response())
}

pub(super) async fn follow_form(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Named(text): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    follow_page(&state, &reader, network, &text, ("", None)).await
}

async fn follow_page(
    state: &AppState,
    reader: &Reader,
    network: IpAddr,
    text: &str,
    (typed, wrong): (&str, Option<&Problem>),
) -> Result<Response, Problem> {
    let scanned = state.registry.find_plate(token_of(text)?).await?;
    let Some((scanned, cover)) = scanned.and_then(|scanned| {
        let cover = scanned.cover.clone()?;
        scanned.plate.state.is_live().then_some((scanned, cover))
    }) else {
        return Err(unknown(state, network, "plate.unknown"));
    };
    let around = reader.page(state, None);
    let refusal = wrong.map(|problem| &problem.refusal);
    let html = views::follow_form(&around, scanned.plate.token, &cover, typed, refusal);
    Ok(match wrong {
        Some(problem) => page_with_problem(problem.status, html),
        None => page(html),
    })
}

pub(super) async fn follow_cover(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Named(text): Named,
    request: Request,
) -> Result<Response, Problem> {
    state.shared.reports.count(network, state.registry.now())?;
    let token = token_of(&text)?;
    let form = Form::from_request(request, &state).await?;
    form.only(&["address"])?;
    let address = form.field("address").unwrap_or_default().to_owned();
    let followed = async {
        check_address(&state, &address, "address")?;
        let new = NewFollower { address: address.clone(), language: reader.language.tag() };
        Ok(state.registry.follow_cover(token, new).await?)
    };
    match followed.await {
        Ok(followed) => Ok(page(views::followed(&reader.page(&state, None), followed))),
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            follow_page(&state, &reader, network, &text, (&address, Some(&problem))).await
        }
        Err::<_, Problem>(problem) => Err(problem),
    }
}

/// What somebody follows, with the button that the link of a mail is for. Opening a link changes nothing: programs that
/// look through mail open them all.
pub(super) async fn show_mail_link(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Path((link, step)): Path<(String, String)>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let stops = is_stop(&step)?;
    match state.registry.find_followed(&link).await? {
        Some(thing) => Ok(page(views::mail_link(&reader.page(&state, None), &link, &thing, stops))),
        // Who left has no address here any more; the link says so as often as it is opened.
        None if stops => {
            state.shared.tries.count(network, state.registry.now())?;
            Ok(page(views::left(&reader.page(&state, None))))
        }
        None => Err(unknown(&state, network, "follow.unknown")),
    }
}

/// Confirms or unsubscribes. A mail program unsubscribes by the same POST as the button (RFC 8058).
pub(super) async fn use_mail_link(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Path((link, step)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let stops = is_stop(&step)?;
    let form = Form::from_request(request, &state).await?;
    form.only(&["List-Unsubscribe"])?;
    if stops {
        if !state.registry.unfollow(&link).await? {
            state.shared.tries.count(network, state.registry.now())?;
        }
        return Ok(page(views::left(&reader.page(&state, None))));
    }
    match state.registry.confirm_follower(&link).await? {
        Some(thing) => Ok(page(views::mail_link(&reader.page(&state, None), &link, &thing, false))),
        None => Err(unknown(&state, network, "follow.unknown")),
    }
}

fn is_stop(step: &str) -> Result<bool, Problem> {
    match step {
        "stop" => Ok(true),
        "confirm" => Ok(false),
        _ => Err(Problem::not_found("http.unknown_address")),
    }
}
