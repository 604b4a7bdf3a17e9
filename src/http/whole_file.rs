//! The file of a cover as a person of the city may see it, for the page and for the paper alike.

use super::auth::Caller;
use super::desk::{may_see_photo, unknown_cover};
use super::edit_page::Lists;
use super::views::CoverView;
use super::{AppState, Problem};
use crate::domain::case::Case;
use crate::domain::code::ComponentCode;
use crate::domain::cover::CoverFile;
use crate::domain::history::HistoryEntry;
use crate::domain::plate::{Plate, PlateState};
use crate::domain::quality::Attached;
use crate::domain::role::Role;
use crate::registry::{ChainState, EarlierFile, PhotoRecord};

pub(super) struct WholeFile {
    pub(super) file: CoverFile,
    /// What hangs on the cover, whoever may see it.
    pub(super) attached: Attached,
    /// Oldest first, without those that the caller may not see; so are the cases.
    pub(super) photos: Vec<PhotoRecord>,
    cases: Vec<Case>,
    beside: Vec<CoverFile>,
    former: Vec<ComponentCode>,
    earlier: Vec<EarlierFile>,
    plates: Vec<Plate>,
    history: Vec<HistoryEntry>,
    chain: ChainState,
    lists: Lists,
}

impl WholeFile {
    pub(super) async fn read(state: &AppState, caller: &Caller, code: &str) -> Result<Self, Problem> {
        let registry = &state.registry;
        let file = registry.find_cover_by_code(code).await?.ok_or_else(|| unknown_cover(code))?;
        let chain = registry.verify_history(file.manhole).await?;
        let plates = registry.list_cover_plates(file.cover).await?;
        let mut photos = registry.list_photos(file.manhole).await?;
        let attached = Attached {
            plate: plates.iter().any(|plate| plate.state == PlateState::Installed),
            photo: photos.iter().any(|photo| photo.cover == Some(file.cover)),
        };
        let mut cases = registry.list_manhole_cases(file.manhole).await?;
        let user = &caller.user;
        cases.retain(|case| user.role != Role::Handler || (case.party.is_some() && case.party == user.party));
        photos.retain(|photo| may_see_photo(user, photo, &cases));
        let mut beside = registry.list_manhole_covers(file.manhole).await?;
        beside.retain(|other| other.cover != file.cover);
        Ok(Self {
            attached,
            photos,
            cases,
            beside,
            former: registry.list_former_codes(file.cover).await?,
            earlier: registry.list_earlier_files(file.manhole).await?,
            plates,
            history: registry.list_history(file.manhole).await?,
            chain: chain.unwrap_or(ChainState::Broken { sequence: 0 }),
            lists: Lists::read(state).await?,
            file,
        })
    }

    /// Without what only a page has.
    pub(super) fn view(&self) -> CoverView<'_> {
        CoverView {
            file: &self.file,
            beside: &self.beside,
            former: &self.former,
            earlier: &self.earlier,
            plates: &self.plates,
            cases: &self.cases,
            photos: &self.photos,
            history: &self.history,
            chain: self.chain,
            neighbors: &[],
            asked: None,
            names: self.lists.names(),
        }
    }
}
