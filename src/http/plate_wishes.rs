//! What an order of plates says, from a form or from a program, as the press takes it.

use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::area::{AreaKind, AreaShape};
use crate::domain::ids::{CoverId, IdempotencyKey};
use crate::domain::plate::PlateState;
use crate::domain::role::Actor;
use crate::import::{ListedCode, read_outline};
use crate::press::{MOST_PLATES, Outline, PlateOrder, Wanted};
use crate::registry::CoverFilter;

/// Texts of an order as they came.
#[derive(Default)]
pub(super) struct Wishes<'t> {
    pub face: Option<&'t str>,
    pub sheet: Option<&'t str>,
    pub level: Option<&'t str>,
    pub finish: Option<&'t str>,
    pub printer: Option<&'t str>,
    pub split: Option<usize>,
    /// The file goes to a print shop.
    pub unprinted: bool,
    pub note: &'t str,
    pub key: Option<IdempotencyKey>,
}

impl Wishes<'_> {
    pub(super) fn order(&self, wanted: Wanted, actor: Actor) -> Result<PlateOrder, Refusal> {
        let usual = PlateOrder::usual(wanted, actor);
        Ok(PlateOrder {
            face: self.face.map_or(usual.face, str::to_owned),
            sheet: self.sheet.map_or(usual.sheet, str::to_owned),
            level: self.level.map(str::parse).transpose()?,
            finish: self.finish.map_or(Ok(usual.finish), str::parse)?,
            printer: self.printer.map(str::to_owned),
            split: self.split,
            made_as: if self.unprinted { PlateState::Made } else { PlateState::Printed },
            note: self.note.to_owned(),
            key: self.key,
            ..usual
        })
    }
}

/// Covers without a live plate.
pub(super) fn unplated() -> CoverFilter {
    CoverFilter { without_plate: true, limit: 1000, ..CoverFilter::default() }
}

pub(super) fn blank(count: usize) -> Result<Wanted, Refusal> {
    if (1..=MOST_PLATES).contains(&count) {
        return Ok(Wanted::Blank(count));
    }
    Err(Refusal::new("batch.count").at("count").with("count", count).with("most", MOST_PLATES))
}

/// Covers by their codes; refuses one that nothing has, with the line on which it stands.
pub(super) async fn listed(state: &AppState, listed: &[ListedCode]) -> Result<Wanted, Problem> {
    let codes: Vec<String> = listed.iter().map(|listed| listed.code.clone()).collect();
    let found = state.registry.list_covers_by_code(&codes).await?;
    let mut covers: Vec<CoverId> = Vec::with_capacity(found.len());
    for (listed, cover) in listed.iter().zip(found) {
        let unknown = || {
            let refusal = Refusal::new("batch.code_unknown").at("codes").with("line", listed.line);
            refusal.with("read", &listed.code)
        };
        covers.push(cover.ok_or_else(unknown)?);
    }
    Ok(Wanted::Covers(covers))
}

/// Covers in an area that the city keeps.
pub(super) async fn in_area(
    state: &AppState,
    kind: AreaKind,
    code: &str,
    filter: CoverFilter,
) -> Result<Wanted, Problem> {
    let area = state.registry.find_area(kind, code).await?;
    Ok(within(Some((kind, area.code.clone())), area.shape, filter))
}

/// Covers within an outline in GeoJSON.
pub(super) fn in_outline(text: &str, filter: CoverFilter) -> Result<Wanted, Refusal> {
    Ok(within(None, read_outline(text)?, filter))
}

fn within(area: Option<(AreaKind, String)>, shape: AreaShape, filter: CoverFilter) -> Wanted {
    Wanted::Within(Box::new(Outline { area, shape, filter }))
}
