//! 台账: every case with its dates, as a page and as a file that shows the same.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::ask::{Asked, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::page;
use super::forms::shortened;
use super::problem::from_io;
use super::views::{self, LedgerView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::case::CaseState;
use crate::domain::cover::{District, Party};
use crate::domain::ids::PartyId;
use crate::domain::role::{Actor, Role};
use crate::outlet::{Format, TableWriter, start_of_day};
use crate::stats::{LateFilter, LedgerFilter, StatFilter, number_key};

/// Who sees all of it; a handler sees what is of their own party.
pub(super) const READERS: &[Role] =
    &[Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Handler, Role::Admin];
const PAGE: usize = 50;
/// Lines of a file that are read at a time.
const FILE_PAGE: usize = 1000;

/// Which lines, as it stands in an address. A form sends every field: those left blank count as absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LedgerQuery {
    /// Days on which they were reported, both included.
    from: String,
    until: String,
    closed_from: String,
    closed_until: String,
    district: String,
    party: String,
    class: String,
    hazard: String,
    source: String,
    /// A state, or `open`.
    state: String,
    /// `overdue`, `late` or `exempt`.
    late: String,
    text: String,
    before: String,
    /// Of a file.
    format: String,
}

pub(super) fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// What a handler is held to: the cases of their own party.
pub(super) fn held_to_party(caller: &Caller, asked: Option<PartyId>) -> Option<PartyId> {
    match caller.actor() {
        // One without a party has no cases.
        Actor::Staff { role: Role::Handler, party, .. } => Some(party.unwrap_or(PartyId(uuid::Uuid::nil()))),
        _ => asked,
    }
}

impl LedgerQuery {
    pub(super) fn pairs(&self) -> [(&'static str, &str); 12] {
        [
            ("from", &self.from),
            ("until", &self.until),
            ("closed_from", &self.closed_from),
            ("closed_until", &self.closed_until),
            ("district", &self.district),
            ("party", &self.party),
            ("class", &self.class),
            ("hazard", &self.hazard),
            ("source", &self.source),
            ("state", &self.state),
            ("late", &self.late),
            ("text", &self.text),
        ]
    }

    /// What narrows the list, as the query of an address.
    fn address(&self) -> String {
        let pairs = self.pairs().into_iter().filter_map(|(name, value)| Some((name, filled(value)?)));
        pairs.map(|(name, value)| format!("{name}={}", percent_encode(value))).collect::<Vec<_>>().join("&")
    }

    async fn filter(&self, state: &AppState, caller: &Caller) -> Result<LedgerFilter, Problem> {
        let mut filter = self.read(state, caller).map_err(Problem::bad_request)?;
        if let Some(text) = filled(&self.text) {
            let numbers = state.registry.find_in_ledger(text).await?;
            filter.among = numbers.map(|numbers| {
                numbers.iter().filter_map(|number| number_key(number)).collect::<HashSet<u64>>()
            });
        }
        Ok(filter)
    }

    fn read(&self, state: &AppState, caller: &Caller) -> Result<LedgerFilter, Refusal> {
        let offset = state.config.utc_offset_minutes;
        let day = |field, text: &str, days| {
            filled(text).map(|text| start_of_day(field, text, offset, days)).transpose()
        };
        let party = filled(&self.party).map(str::parse::<PartyId>).transpose();
        Ok(LedgerFilter {
            of: StatFilter {
                district: filled(&self.district).map(str::to_owned),
                party: held_to_party(caller, party.map_err(|refusal| refusal.at("party"))?),
                class: filled(&self.class).map(str::parse).transpose()?,
                source: filled(&self.source).map(str::parse).transpose()?,
                hazard: filled(&self.hazard).map(str::parse).transpose()?,
            },
            states: match filled(&self.state) {
                None | Some("all") => Vec::new(),
                Some("open") => CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect(),
                Some(word) => vec![word.parse()?],
            },
            reported: (day("from", &self.from, 0)?, day("until", &self.until, 1)?),
            closed: (day("closed_from", &self.closed_from, 0)?, day("closed_until", &self.closed_until, 1)?),
            late: match filled(&self.late) {
                None => None,
                Some("overdue") => Some(LateFilter::Overdue(state.as_of())),
                Some("late") => Some(LateFilter::Late),
                Some("exempt") => Some(LateFilter::Exempt),
                Some(other) => {
                    let refusal = Refusal::new("form.choice").at("late").with("field", "late");
                    return Err(refusal.with("read", shortened(other)).with("fits", "overdue, late, exempt"));
                }
            },
            among: None,
        })
    }
}

/// The names that lines speak of.
pub(super) async fn names(state: &AppState) -> Result<(Vec<Party>, Vec<District>), Problem> {
    Ok((state.registry.list_parties().await?, state.registry.list_districts().await?))
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<LedgerQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter(&state, &caller).await?;
    let before = filled(&query.before).map(str::to_owned);
    let (numbers, count) = state.ask_tally(move |tally| tally.list(&filter, before.as_deref(), PAGE)).await?;
    let lines = state.registry.list_ledger_by_number(&numbers).await?;
    let (parties, districts) = names(&state).await?;
    let view = LedgerView {
        query: &query.pairs(),
        address: &query.address(),
        lines: &lines,
        count,
        next: numbers.last().filter(|_| numbers.len() == PAGE).map(String::as_str),
        parties: &parties,
        districts: &districts,
    };
    Ok(page(views::ledger(&reader.page(&state, caller.session.as_ref()), &view)))
}

/// The whole ledger as it is shown, all pages of it.
pub(super) async fn export(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<LedgerQuery>,
) -> Result<Response, Problem> {
    let format: Format = query.format.parse().map_err(Problem::bad_request)?;
    let filter = query.filter(&state, &caller).await?;
    let _slot = state.shared.export_slots.acquire().await;
    let before = filled(&query.before).map(str::to_owned);
    let (numbers, _) =
        state.ask_tally(move |tally| tally.list(&filter, before.as_deref(), usize::MAX)).await?;
    let (parties, districts) = names(&state).await?;
    let around = reader.page(&state, caller.session.as_ref());
    let folder = state.data.join("outgoing");
    std::fs::create_dir_all(&folder).map_err(|error| from_io(&error))?;
    // It has no name: whatever happens to this server, nothing stays behind.
    let file = tempfile::tempfile_in(&folder).map_err(|error| from_io(&error))?;
    let out = file.try_clone().map_err(|error| from_io(&error))?;
    let mut writer = TableWriter::begin(&views::ledger_table(&around), format, out, &folder)
        .map_err(super::exports::asked_wrong)?;
    for some in numbers.chunks(FILE_PAGE) {
        let lines = state.registry.list_ledger_by_number(some).await?;
        let cells = lines.iter().map(|line| views::ledger_cells(&around, (&parties, &districts), line));
        let rows: Vec<_> = match format {
            Format::Csv => cells.map(|cells| views::ledger_as_shown(&around, cells)).collect(),
            _ => cells.collect(),
        };
        let written = tokio::task::spawn_blocking(move || writer.rows(&rows).map(|()| writer));
        writer = written.await.map_err(|_| Problem::broken())??;
    }
    tokio::task::spawn_blocking(move || writer.finish()).await.map_err(|_| Problem::broken())??;
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"ledger.{}\"", format.extension())),
    ];
    Ok((headers, axum::body::Body::from_stream(super::exports::parts(file))).into_response())
}
