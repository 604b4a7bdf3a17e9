//! 疑似重复: pairs of covers that may be one, side by side, and what people decide about them.

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::stream;
use serde::Deserialize;

use super::ask::{Asked, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::csv_body;
use super::desk::page;
use super::edit_fields::version;
use super::edit_page::Lists;
use super::forms::Form;
use super::problem::page_with_problem;
use super::views::{self, CloseFiles, DuplicatesView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::edit::MergeKind;
use crate::domain::ids::{CoverId, IdempotencyKey};
use crate::domain::position::distance_m;
use crate::registry::{Amended, CoverOrder, MergeOrder};

/// Pairs on one page.
const PAGE: usize = 10;
/// Pairs of a CSV that are read at a time.
const CSV_PAGE: usize = 200;
/// Decisions that are shown below, to be taken back.
const LATEST: i64 = 20;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PairQuery {
    district: Option<String>,
    /// The newer cover of the last pair on the page before.
    cursor: Option<String>,
}

impl PairQuery {
    fn district(&self) -> Option<&str> {
        self.district.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    fn cursor(&self) -> Result<Option<CoverId>, Problem> {
        let text = self.cursor.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let read = text.map(str::parse::<CoverId>).transpose();
        read.map_err(|refusal| Problem::bad_request(refusal.at("cursor")))
    }
}

/// Pairs after `after`, at most `most`, with how many there are in all and where the next page begins. A pair that
/// is none any more since the sweep is left out.
pub(super) async fn pairs(
    state: &AppState,
    district: Option<&str>,
    after: Option<CoverId>,
    most: usize,
) -> Result<(Vec<CloseFiles>, usize, Option<CoverId>), Problem> {
    let sweep = state.sweep().await?;
    let (page, count) = state
        .ask_board(|board| {
            let here = |pair: &&crate::quality::ClosePair| {
                board.district_of(pair.newer).is_some_and(|at| district.is_none_or(|wanted| wanted == at))
            };
            let there = sweep.pairs.iter().filter(here);
            let count = there.clone().count();
            let page: Vec<_> = there
                .filter(|pair| after.is_none_or(|after| pair.newer > after))
                .take(most)
                .copied()
                .collect();
            (page, count)
        })
        .await?;
    let next = page.last().filter(|_| page.len() == most).map(|pair| pair.newer);
    let ids: Vec<CoverId> = page.iter().flat_map(|pair| [pair.older, pair.newer]).collect();
    let files = state.registry.list_covers_by_id(&ids).await?;
    let apart = state.registry.list_told_apart().await?;
    let file = |cover| files.iter().find(|file| file.cover == cover).cloned();
    let tolerance_m = state.rules().duplicates.tolerance_m;
    let found = page.iter().filter_map(|pair| {
        let (older, newer) = (file(pair.older)?, file(pair.newer)?);
        let place = |file: &CoverFile| (file.survey.position.lon, file.survey.position.lat);
        let distance_m = distance_m(place(&older), place(&newer));
        let still = older.retired.is_none()
            && newer.retired.is_none()
            && older.manhole != newer.manhole
            && older.survey.class == newer.survey.class
            && distance_m <= tolerance_m
            && !apart.contains(&(pair.older.min(pair.newer), pair.older.max(pair.newer)));
        still.then_some(CloseFiles { older, newer, distance_m })
    });
    Ok((found.collect(), count, next))
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<PairQuery>,
) -> Result<Response, Problem> {
    Ok(page(list_page(&state, &reader, &caller, &query, None).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    query: &PairQuery,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let (pairs, count, next) = pairs(state, query.district(), query.cursor()?, PAGE).await?;
    let lists = Lists::read(state).await?;
    let registry = &state.registry;
    let apart = registry.list_latest_told_apart(LATEST).await?;
    let same = registry.list_latest_same(LATEST).await?;
    let named = apart.iter().flat_map(|pair| [pair.older, pair.newer]);
    let named: Vec<CoverId> = named
        .chain(same.iter().filter_map(|merge| merge.same).flat_map(|(gone, kept)| [gone, kept]))
        .collect();
    let files = registry.list_covers_by_id(&named).await?;
    let view = DuplicatesView {
        pairs: &pairs,
        count,
        next,
        district: query.district(),
        cursor: query.cursor.as_deref().unwrap_or_default(),
        names: lists.names(),
        apart: &apart,
        same: &same,
        files: &files,
        tolerance_m: state.rules().duplicates.tolerance_m,
        key: IdempotencyKey::fresh,
        wrong,
    };
    Ok(views::duplicates(&reader.page(state, caller.session.as_ref()), &view))
}

/// Takes a decision about a pair: one cover, two covers, or not decided after all.
pub(super) async fn decide(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&[
        "csrf",
        "key",
        "older",
        "newer",
        "older_version",
        "newer_version",
        "decision",
        "reason",
        "district",
        "cursor",
    ])?;
    caller.check_csrf(form.field("csrf"))?;
    let query = PairQuery {
        district: form.field("district").map(str::to_owned),
        cursor: form.field("cursor").map(str::to_owned),
    };
    match carry_out(&state, &caller, &form).await {
        Ok(changed) => {
            state.covers_changed(&changed);
            let pairs = [("district", query.district()), ("cursor", query.cursor.as_deref())];
            let pairs: Vec<String> = pairs
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", percent_encode(value?))))
                .collect();
            let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
            Ok(Redirect::to(&format!("/quality/duplicates{query}")).into_response())
        }
        Err(problem) if problem.status.is_client_error() => {
            let html = list_page(&state, &reader, &caller, &query, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn carry_out(state: &AppState, caller: &Caller, form: &Form) -> Result<Vec<CoverId>, Problem> {
    let (older, newer) = (form.needed("older")?, form.needed("newer")?);
    let file = async |code: &str| {
        let found = state.registry.find_cover_by_code(code).await?;
        found.ok_or_else(|| super::desk::unknown_cover(code))
    };
    let (older, newer) = (file(older).await?, file(newer).await?);
    let reason = form.field("reason").unwrap_or_default();
    let pair = (older.cover, newer.cover);
    let changed = vec![older.cover, newer.cover];
    let (kept, gone) = match form.needed("decision")? {
        "two" => {
            state.registry.tell_apart(pair, reason, &caller.actor()).await?;
            return Ok(changed);
        }
        "take_back" => {
            state.registry.take_back_apart(pair, reason, &caller.actor()).await?;
            return Ok(changed);
        }
        "keep_older" => ((&older, "older_version"), (&newer, "newer_version")),
        "keep_newer" => ((&newer, "newer_version"), (&older, "older_version")),
        other => {
            let refusal =
                Refusal::new("apart.decision").at("decision").with("read", super::forms::shortened(other));
            return Err(refusal.with("fits", "keep_older, keep_newer, two, take_back").into());
        }
    };
    let order = CoverOrder {
        key: form.key()?,
        code: kept.0.code.digits.clone(),
        expected_version: version(form, kept.1)?,
        reason: reason.to_owned(),
        actor: caller.actor(),
        what: MergeOrder {
            other: gone.0.code.digits.clone(),
            other_version: version(form, gone.1)?,
            kind: MergeKind::Same,
        },
    };
    match state.registry.merge_manholes(order).await? {
        Amended::Done(_) => Ok(changed),
        Amended::Meanwhile(_) => {
            let code = state.registry.grouped_code(&kept.0.code);
            let refusal = Refusal::new("apart.changed").with("code", code);
            Err(Problem { status: axum::http::StatusCode::PRECONDITION_FAILED, refusal })
        }
    }
}

pub(super) async fn list_csv(
    State(state): State<AppState>,
    reader: Reader,
    Asked(query): Asked<PairQuery>,
) -> Result<Response, Problem> {
    let headings = views::duplicate_headings(&reader.page(&state, None));
    let from = query.cursor()?;
    let pages =
        stream::try_unfold((state, reader, query, Some(from)), |(state, reader, query, from)| async move {
            let Some(from) = from else { return Ok::<_, Problem>(None) };
            let (pairs, _, next) = pairs(&state, query.district(), from, CSV_PAGE).await?;
            let around = reader.page(&state, None);
            let rows: Vec<Vec<String>> =
                pairs.iter().map(|pair| views::duplicate_cells(&around, pair)).collect();
            Ok(Some((rows, (state, reader, query, next.map(Some)))))
        });
    Ok(csv_body::csv("quality-duplicates", headings, pages))
}
