//! 档案质量: the overview by district and the lists of files that want a look, as pages and as CSV.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;

use super::ask::{Asked, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::cover_query::{UNKNOWN, limit};
use super::csv_body;
use super::desk::page;
use super::views::{self, FileListView, OverviewView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::quality::{DistrictSum, FileFilter, MaterialFilter};

/// Files on one page, and the most that somebody may ask for.
const PAGE: i64 = 50;
const MOST: i64 = 500;
/// Files of a CSV that are read at a time.
const CSV_PAGE: usize = 500;

/// Which files, as it stands in an address. A form sends every field: those left blank count as absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileQuery {
    finding: Option<String>,
    district: Option<String>,
    class: Option<String>,
    placement: Option<String>,
    material: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl FileQuery {
    pub(super) fn filter(&self) -> Result<FileFilter, Refusal> {
        Ok(FileFilter {
            finding: filled(&self.finding).map(str::parse).transpose()?,
            district: filled(&self.district).map(str::to_owned),
            class: filled(&self.class).map(str::parse).transpose()?,
            placement: filled(&self.placement).map(str::parse).transpose()?,
            material: match filled(&self.material) {
                None => None,
                Some(UNKNOWN) => Some(MaterialFilter::Unknown),
                Some(word) => Some(MaterialFilter::Is(word.parse()?)),
            },
            after: filled(&self.cursor)
                .map(str::parse::<CoverId>)
                .transpose()
                .map_err(|refusal| refusal.at("cursor"))?,
        })
    }

    /// Files on a page.
    pub(super) fn size(&self, usual: i64, most: i64) -> Result<usize, Refusal> {
        Ok(usize::try_from(limit(filled(&self.limit), usual, most)?).unwrap_or_default())
    }

    fn pairs(&self) -> Vec<(&'static str, &str)> {
        [
            ("finding", &self.finding),
            ("district", &self.district),
            ("class", &self.class),
            ("placement", &self.placement),
            ("material", &self.material),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, filled(value)?)))
        .collect()
    }

    /// What narrows the list, as the query of an address.
    fn address(&self) -> String {
        let pairs: Vec<String> =
            self.pairs().iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        pairs.join("&")
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DistrictQuery {
    district: Option<String>,
}

impl DistrictQuery {
    pub(super) fn district(&self) -> Option<&str> {
        filled(&self.district)
    }
}

/// What there is to say of every district, or of one, with how many pairs of covers there may be one.
pub(super) async fn sums(
    state: &AppState,
    district: Option<&str>,
) -> Result<BTreeMap<String, (DistrictSum, u64)>, Problem> {
    let sweep = state.sweep().await?;
    state
        .ask_board(|board| {
            let mut sums: BTreeMap<String, (DistrictSum, u64)> =
                board.sums().into_iter().map(|(district, sum)| (district, (sum, 0))).collect();
            for pair in &sweep.pairs {
                if let Some((_, pairs)) = board.district_of(pair.newer).and_then(|at| sums.get_mut(at)) {
                    *pairs += 1;
                }
            }
            sums.retain(|code, _| district.is_none_or(|wanted| wanted == code));
            sums
        })
        .await
}

pub(super) async fn overview(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<DistrictQuery>,
) -> Result<Response, Problem> {
    let sums = sums(&state, query.district()).await?;
    let districts = state.registry.list_districts().await?;
    let view = OverviewView {
        sums: &sums,
        districts: &districts,
        chosen: query.district(),
        rules: state.rules(),
        open_claims: state.registry.count_pending_claims().await?,
    };
    Ok(page(views::quality_overview(&reader.page(&state, caller.session.as_ref()), &view)))
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<FileQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter().map_err(Problem::bad_request)?;
    let size = query.size(PAGE, MOST).map_err(Problem::bad_request)?;
    let year = state.this_year();
    let (ids, count) = state
        .ask_board(|board| (board.list(&filter).take(size).collect::<Vec<_>>(), board.count(&filter)))
        .await?;
    let lines = state.judge(&ids).await?;
    let (districts, query_text) = (state.registry.list_districts().await?, query.address());
    let view = FileListView {
        lines: &lines.iter().map(|line| (&line.file, line.facts)).collect::<Vec<_>>(),
        count,
        filters: &query.pairs(),
        finding: filter.finding,
        query: &query_text,
        districts: &districts,
        rules: state.rules(),
        this_year: year,
        next: ids.last().filter(|_| ids.len() == size).copied(),
    };
    Ok(page(views::quality_files(&reader.page(&state, caller.session.as_ref()), &view)))
}

pub(super) async fn list_csv(
    State(state): State<AppState>,
    reader: Reader,
    Asked(query): Asked<FileQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter().map_err(Problem::bad_request)?;
    let name = filter.finding.map_or("files", |finding| finding.as_str());
    let headings = views::quality_headings(&reader.page(&state, None));
    let pages = stream::try_unfold((state, reader, Some(filter)), |(state, reader, filter)| async move {
        let Some(mut filter) = filter else { return Ok(None) };
        let year = state.this_year();
        let ids: Vec<CoverId> = state.ask_board(|board| board.list(&filter).take(CSV_PAGE).collect()).await?;
        let Some(last) = ids.last().copied() else { return Ok::<_, Problem>(None) };
        let rows = state.judge(&ids).await?;
        let around = reader.page(&state, None);
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|one| views::quality_cells(&around, state.rules(), year, &one.file, &one.facts))
            .collect();
        filter.after = Some(last);
        let next = (ids.len() == CSV_PAGE).then_some(filter);
        Ok(Some((rows, (state, reader, next))))
    });
    Ok(csv_body::csv(&format!("quality-{name}"), headings, pages))
}

/// The overview as a file: a line for each district.
pub(super) async fn overview_csv(
    State(state): State<AppState>,
    reader: Reader,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let sums = sums(&state, None).await?;
    let districts = state.registry.list_districts().await?;
    let (headings, rows) = views::quality_sum_cells(&reader.page(&state, None), &districts, &sums);
    Ok(csv_body::csv("quality", headings, stream::iter([Ok(rows)])))
}
