//! A campaign's results as a file, and its report on paper.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::api_campaigns::{find, round_of};
use super::ask::{Asked, Named, Reader};
use super::auth::Caller;
use super::campaign_pages::{RoundQuery, troubled};
use super::csv_body;
use super::edit_page::Lists;
use super::views::{self, CampaignView};
use super::{AppState, Problem};
use crate::domain::checklist::Checklist;
use crate::domain::ids::IdempotencyKey;
use crate::plates::{Palette, PlateError, render_dossier};
use crate::registry::TaskFilter;

const CSV_PAGE: i64 = 1000;

pub(super) async fn results_csv(
    State(state): State<AppState>,
    reader: Reader,
    Named(id): Named,
    Asked(query): Asked<RoundQuery>,
) -> Result<Response, Problem> {
    let campaign = find(&state, &id).await?;
    let round = round_of(&campaign, Some(&query.round)).map_err(Problem::bad_request)?;
    let list = Checklist::read(&campaign.checklist)?;
    let headings = views::task_headings(&reader.page(&state, None), &list);
    let lists = Lists::read(&state).await?;
    let name = format!("campaign-{}-{round}", &campaign.id.to_string()[24..]);
    let filter = TaskFilter {
        campaign: Some(campaign.id),
        round: Some(round),
        limit: CSV_PAGE,
        ..TaskFilter::default()
    };
    let start = (state, reader, list, lists, Some(filter));
    let pages = stream::try_unfold(start, |(state, reader, list, lists, filter)| async move {
        let Some(mut filter) = filter else { return Ok::<_, Problem>(None) };
        let lines = state.registry.list_tasks(filter.clone()).await?;
        let Some(last) = lines.last() else { return Ok(None) };
        filter.after = Some(last.task.id);
        let around = reader.page(&state, None);
        let rows: Vec<Vec<String>> =
            lines.iter().map(|line| views::task_cells(&around, lists.names(), &list, line)).collect();
        let next = (lines.len() as i64 == CSV_PAGE).then_some(filter);
        Ok(Some((rows, (state, reader, list, lists, next))))
    });
    Ok(csv_body::csv(&name, headings, pages))
}

pub(super) async fn report_pdf(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    Asked(query): Asked<RoundQuery>,
) -> Result<Response, Problem> {
    let campaign = find(&state, &id).await?;
    let round = round_of(&campaign, Some(&query.round)).map_err(Problem::bad_request)?;
    let registry = &state.registry;
    let counts = registry.count_tasks(campaign.id, round).await?;
    let answers = registry.count_answers(campaign.id, round).await?;
    let troubled = registry.list_tasks(troubled(&campaign, round)).await?;
    let lists = Lists::read(&state).await?;
    let view = CampaignView {
        names: lists.names(),
        campaign: &campaign,
        round,
        counts: &counts,
        questions: &Checklist::read(&campaign.checklist)?.summarize(&answers),
        points: &[],
        troubled: &troubled,
        key: IdempotencyKey::fresh(),
        wrong: None,
    };
    let address = format!("{}/desk/campaigns/{}", state.config.plate_base(), campaign.id);
    let dossier = views::campaign_paper(&reader.page(&state, caller.session.as_ref()), &view, address);
    let rendered = tokio::task::spawn_blocking(move || {
        let mut pdf = Vec::new();
        render_dossier(&dossier, &Palette::built_in(), |_| None, &mut pdf).map(|_| pdf)
    });
    let pdf = match rendered.await {
        Ok(Ok(pdf)) => pdf,
        Ok(Err(PlateError::Refused(refusal))) => return Err(refusal.into()),
        Ok(Err(error)) => {
            tracing::error!(error = ?error, "a report was not printed");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken"));
        }
        Err(_) => return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken")),
    };
    let name = format!("campaign-{}-{round}", &campaign.id.to_string()[24..]);
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{name}.pdf\"")),
    ];
    Ok((headers, pdf).into_response())
}
