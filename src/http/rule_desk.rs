//! 规则: what holds, in words; a new version after a look at what it would mean; a report that is only imagined; and
//! weather mode. For programs the same.

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Reader, Said};
use super::auth::Caller;
use super::desk::{end_of_day, page};
use super::edit_fields::moment;
use super::edit_page::Lists;
use super::forms::{Form, shortened};
use super::problem::page_with_problem;
use super::views::{self, RuleEditView, RulesView, TrialDraft, TrialView};
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::case::CaseSource;
use crate::domain::ids::Millis;
use crate::domain::rule_set::{RuleKind, RuleVersion, in_force};
use crate::domain::rule_text::RULES_BYTES;
use crate::outlet::start_of_day;
use crate::registry::{NewRules, RuleTrial, RulesLook};

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(page(rules_page(&state, &reader, &caller, None).await?))
}

async fn rules_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let rules = state.registry.rules_at(state.registry.now()).await?;
    let versions = state.registry.list_rule_versions().await?;
    let lists = Lists::read(state).await?;
    let view = RulesView { rules: &rules, versions: &versions, names: lists.names(), wrong };
    Ok(views::rules(&reader.page(state, caller.session.as_ref()), &view, caller.user.role))
}

fn kind_of(text: &str) -> Result<RuleKind, Problem> {
    text.parse().map_err(|refusal| Problem { status: StatusCode::NOT_FOUND, refusal })
}

/// The text in force, or the newest, of these rules.
fn text_of(versions: &[RuleVersion], kind: RuleKind) -> (i64, String) {
    let newest = versions.iter().filter(|rules| rules.kind == kind).max_by_key(|rules| rules.version);
    newest.map_or_else(|| (0, kind.built_in().to_owned()), |rules| (rules.version, rules.text.clone()))
}

pub(super) async fn edit(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(kind): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let kind = kind_of(&kind)?;
    let (seen, text) = text_of(&state.registry.list_rule_versions().await?, kind);
    let view = RuleEditView { kind, seen, text: &text, note: "", valid_from: "", look: None, wrong: None };
    Ok(page(views::rule_edit(&reader.page(&state, caller.session.as_ref()), &view)))
}

/// Shows what a text would mean; keeps it once that was seen.
pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(kind): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::with_texts(request, &state, &["text"], RULES_BYTES * 2).await?;
    form.only(&["csrf", "text", "note", "valid_from", "seen", "keep"])?;
    caller.check_csrf(form.field("csrf"))?;
    let kind = kind_of(&kind)?;
    let text = form.field("text").unwrap_or_default().replace("\r\n", "\n");
    let said = |name: &str| form.field(name).unwrap_or_default().to_owned();
    let (note, from) = (said("note"), said("valid_from"));
    let seen = form.field("seen").and_then(|seen| seen.parse().ok()).unwrap_or(0);
    let looked = match form.field("keep") {
        None => state.registry.look_at_rules(kind, &text).await.map(Some).map_err(Problem::from),
        Some(_) => keep(&state, &caller, kind, (&text, &note, &from), seen).await.map(|()| None),
    };
    let look = match looked {
        Ok(None) => return Ok(Redirect::to("/admin/rules").into_response()),
        Ok(Some(look)) => Ok(look),
        Err(problem) if problem.status.is_client_error() => Err(problem),
        Err(problem) => return Err(problem),
    };
    let view = RuleEditView {
        kind,
        seen,
        text: &text,
        note: &note,
        valid_from: &from,
        look: look.as_ref().ok(),
        wrong: look.as_ref().err().map(|problem| &problem.refusal),
    };
    let html = views::rule_edit(&reader.page(&state, caller.session.as_ref()), &view);
    Ok(match &look {
        Ok(_) => page(html),
        Err(problem) => page_with_problem(problem.status, html),
    })
}

async fn keep(
    state: &AppState,
    caller: &Caller,
    kind: RuleKind,
    (text, note, from): (&str, &str, &str),
    seen: i64,
) -> Result<(), Problem> {
    let valid_from = match from {
        "" => None,
        day => Some(start_of_day("valid_from", day, state.config.utc_offset_minutes, 0)?),
    };
    let new = NewRules { kind, text: text.to_owned(), valid_from, note: note.to_owned(), seen };
    state.registry.keep_rules(new, &caller.actor()).await?;
    Ok(())
}

/// A version as a file; `0` is the built-in one.
pub(super) async fn download(
    State(state): State<AppState>,
    Path((kind, version)): Path<(String, String)>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("rules.unknown_version");
    let kind: RuleKind = kind.parse().map_err(|_| unknown())?;
    let version: i64 = version.parse().map_err(|_| unknown())?;
    let text = match version {
        0 => kind.built_in().to_owned(),
        _ => {
            let versions = state.registry.list_rule_versions().await?;
            let found = versions.into_iter().find(|rules| rules.kind == kind && rules.version == version);
            found.ok_or_else(unknown)?.text
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/toml; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{kind}-{version}.toml\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, text).into_response())
}

/// A report that somebody imagines.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrialQuery {
    hazard: String,
    class: String,
    district: String,
    placement: String,
    source: String,
    owner: String,
    maintainer: String,
    /// RFC 3339, or a local time of an HTML form; now without.
    at: String,
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

impl TrialQuery {
    fn trial(&self, now: Millis, utc_offset_minutes: i32) -> Result<RuleTrial, Refusal> {
        let owned = |text: &str| filled(text).map(|text| text.chars().take(200).collect());
        Ok(RuleTrial {
            hazard: filled(&self.hazard)
                .ok_or_else(|| Refusal::new("form.missing").at("hazard").with("field", "hazard"))?
                .parse()?,
            class: filled(&self.class).map(str::parse).transpose()?,
            district: filled(&self.district).unwrap_or_default().to_owned(),
            placement: filled(&self.placement).map(str::parse).transpose()?,
            source: filled(&self.source).map_or(Ok(CaseSource::CitizenScan), str::parse)?,
            owner: owned(&self.owner),
            maintainer: owned(&self.maintainer),
            at: match filled(&self.at) {
                None => now,
                Some(text) => local_moment(text, "at", utc_offset_minutes)?,
            },
        })
    }
}

/// A moment as RFC 3339 has it, or as a form has it on the city's clock: `2026-11-29T08:30`.
pub(super) fn local_moment(
    text: &str,
    field: &'static str,
    utc_offset_minutes: i32,
) -> Result<Millis, Refusal> {
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]");
    match time::PrimitiveDateTime::parse(text, format) {
        Ok(local) if (1970..=2200).contains(&local.year()) => {
            let seconds = local.assume_utc().unix_timestamp() - i64::from(utc_offset_minutes) * 60;
            Ok(Millis(seconds * 1000))
        }
        _ => moment(text, field),
    }
}

pub(super) async fn try_page(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<TrialQuery>,
) -> Result<Response, Problem> {
    let offset = state.config.utc_offset_minutes;
    let asked = match query.hazard.is_empty() {
        true => Ok(None),
        false => query.trial(state.registry.now(), offset).map(Some),
    };
    let verdict = match asked {
        Ok(Some(trial)) => Ok(Some(state.registry.try_rules(&trial).await?)),
        Ok(None) => Ok(None),
        Err(refusal) => Err(refusal),
    };
    let lists = Lists::read(&state).await?;
    let draft = TrialDraft {
        hazard: query.hazard,
        class: query.class,
        district: query.district,
        placement: query.placement,
        source: query.source,
        owner: query.owner,
        maintainer: query.maintainer,
        at: query.at,
    };
    let around = reader.page(&state, caller.session.as_ref());
    let view = TrialView {
        draft: &draft,
        verdict: verdict.as_ref().ok().and_then(Option::as_ref),
        names: lists.names(),
        wrong: verdict.as_ref().err(),
    };
    let html = views::rule_trial(&around, &view);
    Ok(match &verdict {
        Ok(_) => page(html),
        Err(_) => page_with_problem(StatusCode::BAD_REQUEST, html),
    })
}

pub(super) async fn try_rules(
    State(state): State<AppState>,
    Asked(query): Asked<TrialQuery>,
) -> Result<Response, Problem> {
    let now = state.registry.now();
    let trial = query.trial(now, state.config.utc_offset_minutes).map_err(Problem::bad_request)?;
    Ok(Json(shapes::verdict(&state.registry.try_rules(&trial).await?)).into_response())
}

pub(super) async fn list_rules(
    State(state): State<AppState>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let (versions, now) = (state.registry.list_rule_versions().await?, state.registry.now());
    let rules = state.registry.rules_at(now).await?;
    let of_kind = |kind: &RuleKind| {
        let active = in_force(&versions, *kind, now).map_or(0, |rules| rules.version);
        let kept: Vec<Value> =
            versions.iter().filter(|rules| rules.kind == *kind).map(shapes::rule_version).collect();
        json!({"kind": kind, "in_force": active, "versions": kept})
    };
    let answer = json!({
        "rules": RuleKind::ALL.iter().map(of_kind).collect::<Vec<_>>(),
        "weather": shapes::weather(rules.weather.as_ref()),
    });
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesBody {
    text: String,
    note: String,
    valid_from: Option<String>,
    seen: i64,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn put_rules(
    State(state): State<AppState>,
    caller: Caller,
    Named(kind): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let kind = kind_of(&kind)?;
    let Said(body) = Said::<RulesBody>::from_request(request, &state).await?;
    let look = state.registry.look_at_rules(kind, &body.text).await?;
    let mut answer = look_json(&look);
    if !body.dry_run {
        let valid_from = body.valid_from.as_deref().map(|text| moment(text, "valid_from")).transpose()?;
        let new = NewRules { kind, text: body.text, valid_from, note: body.note, seen: body.seen };
        let version = state.registry.keep_rules(new, &caller.actor()).await?;
        answer["version"] = json!(version);
    }
    Ok(Json(answer).into_response())
}

fn look_json(look: &RulesLook) -> Value {
    match look {
        RulesLook::Limits(run) => json!({
            "open": run.open,
            "changed": run.changed,
            "newly_overdue": run.newly_overdue,
            "no_longer_overdue": run.no_longer_overdue,
        }),
        RulesLook::Routing { at_desk, changes } => json!({"open": at_desk, "changed": changes.len()}),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeatherBody {
    #[serde(default)]
    words: String,
    /// `None` ends it.
    until: Option<String>,
}

pub(super) async fn put_weather(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Said(body): Said<WeatherBody>,
) -> Result<Response, Problem> {
    let until = body.until.as_deref().map(|text| moment(text, "until")).transpose()?;
    let mode = state.registry.set_weather(&body.words, until, &caller.actor()).await?;
    Ok(Json(json!({"weather": shapes::weather(mode.as_ref())})).into_response())
}

pub(super) async fn send_weather(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "words", "until", "end"])?;
    caller.check_csrf(form.field("csrf"))?;
    let offset = state.config.utc_offset_minutes;
    let until = match (form.field("end"), form.field("until")) {
        (Some(_), _) => Ok(None),
        (None, Some(day)) => end_of_day("until", day, offset).map(Some),
        (None, None) => Err(Refusal::new("form.day").at("until").with("read", shortened(""))),
    };
    let set = match until {
        Ok(until) => {
            let words = form.field("words").unwrap_or_default();
            state.registry.set_weather(words, until, &caller.actor()).await.map_err(Problem::from)
        }
        Err(refusal) => Err(refusal.into()),
    };
    match set {
        Ok(_) => Ok(Redirect::to("/admin/rules").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = rules_page(&state, &reader, &caller, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}
