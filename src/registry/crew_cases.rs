//! 即查即改 and 上报: what crews say about a hazard, with photos of before and after where they mended it.

use serde_json::json;

use super::case_flow::{Ground, state_event};
use super::crew::{Noted, Work, tidy};
use super::files::{self, NewEntry};
use super::filing::{self, Finding};
use super::{ActiveRules, RegistryError, user_areas};
use crate::domain::Refusal;
use crate::domain::case::{self, Case, CaseMove, CaseSource, CaseState, MoveRequest, PhonePosition};
use crate::domain::cover::CoverFile;
use crate::domain::crew::{CrewKind, Found};
use crate::domain::history::HistoryKind;
use crate::domain::ids::PartyId;
use crate::domain::role::{Actor, Role};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{Tx, cases};

impl Work {
    pub(super) async fn report(&self, tx: &mut Tx, found: &Found) -> Result<Noted, RegistryError> {
        self.file_case(tx, found, CrewKind::Report, None).await
    }

    pub(super) async fn fix(&self, tx: &mut Tx, found: &Found) -> Result<Noted, RegistryError> {
        self.file_case(tx, found, CrewKind::Fix, None).await
    }

    /// Files a report as a citizen's is filed; a fix moves the case on to be checked by somebody else. Without a source it is
    /// told by who works there.
    pub(super) async fn file_case(
        &self,
        tx: &mut Tx,
        found: &Found,
        kind: CrewKind,
        source: Option<CaseSource>,
    ) -> Result<Noted, RegistryError> {
        let description = tidy(found.description.as_deref(), "description")?.unwrap_or_default();
        let taken = self.take(tx, found.cover).await?;
        self.refuse_changed(tx, &taken.file, None).await?;
        let file = &taken.file;
        let rules = self.registry.rule_book.active(tx, self.now).await?;
        let place = &file.survey.position;
        let source = source.unwrap_or_else(|| source_of(&self.actor, file));
        let spot = ((place.lon, place.lat), file.district.code.as_str());
        user_areas::keep_to_own(tx, (&self.actor, source), spot).await?;
        let fix = self.fix_at((place.lon, place.lat));
        let finding = Finding {
            manhole: file.manhole,
            cover: Some(file.cover),
            head: taken.locked.head,
            ground: Ground::of(file),
            hazard: found.hazard,
            source,
            known: None,
            description,
            contact: None,
            external_number: None,
            phone_position: self.action.position.map(|fix| PhonePosition {
                lon: fix.lon,
                lat: fix.lat,
                accuracy_m: fix.accuracy_m,
            }),
            photos: self.photos.iter().map(|(role, photo)| (role.as_str(), photo.clone())).collect(),
            mended: kind == CrewKind::Fix,
            actor: self.actor.word(),
            story: self.story(fix),
            language: filing::STAFF_LANGUAGE,
            weighed: None,
        };
        let filed = filing::file(tx, &self.registry, &rules, finding).await?;
        let mut noted = Noted { cover: Some(file.cover), ..Noted::of(kind) };
        noted.case = Some((filed.case.id, filed.case.number.clone()));
        noted.distance_m = fix.and_then(|fix| fix.distance_m);
        if kind == CrewKind::Fix && case::find_rule(filed.case.state, CaseMove::Fix).is_some() {
            self.mend(tx, filed.case, file, &rules).await?;
        } else if kind == CrewKind::Fix {
            noted.notice(&Refusal::new("crew.case_underway").with("number", &filed.case.number));
        } else if !filed.is_new {
            noted.notice(&Refusal::new("crew.case_joined").with("number", &filed.case.number));
        }
        self.keep(tx, &noted, (None, fix), None).await?;
        Ok(noted)
    }

    /// Takes the case where the table of moves says.
    async fn mend(
        &self,
        tx: &mut Tx,
        mut case: Case,
        file: &CoverFile,
        rules: &ActiveRules,
    ) -> Result<(), RegistryError> {
        let request = MoveRequest { photos: self.photos.len(), ..MoveRequest::default() };
        let rule = case::check_move(&case, CaseMove::Fix, &self.actor, &request)
            .map_err(RegistryError::Forbidden)?;
        let (from, before, version) = (case.state, case.next_step(), case.version);
        case.state = rule.to;
        case.handed_in_by = Some(self.user);
        case.handled_at = Some(self.now);
        case.filed_at = case.filed_at.or(Some(self.now));
        // Whoever is asked when the check fails.
        case.party = case
            .party
            .or(self.own_party())
            .or_else(|| [&file.maintainer, &file.owner].into_iter().flatten().map(|party| party.id).next());
        case.updated_at = self.now;
        case.version = version + 1;
        case.tick(before, CaseMove::Fix, Some(file.survey.class), &rules.limits, self.now);
        if !cases::update_case(tx, &case, version).await? {
            return Err(RegistryError::Conflict(Refusal::new("case.moved_meanwhile").with("state", from)));
        }
        let head = files::head_of(tx, file.manhole).await?;
        files::append(tx, file.manhole, head, self.now, vec![self.mended(&case, from)]).await?;
        let news = News { events: vec![state_event(&case)], changed: vec![(ChangeKind::Case, case.id.0)] };
        Ok(feed::record(tx, self.now, news).await?)
    }

    fn own_party(&self) -> Option<PartyId> {
        match &self.actor {
            Actor::Staff { party, .. } => *party,
            _ => None,
        }
    }

    fn mended(&self, case: &Case, from: CaseState) -> NewEntry {
        let body = json!({"case": case.number, "move": CaseMove::Fix, "from": from, "to": case.state, "party": case.party});
        NewEntry { actor: self.actor.word(), kind: HistoryKind::CaseMoved, case: Some(case.id), body }
    }
}

/// Who found it: people of the party that looks after the cover, or of the city.
fn source_of(actor: &Actor, file: &CoverFile) -> CaseSource {
    let Actor::Staff { role, party, .. } = actor else { return CaseSource::Watch };
    let looks_after = [&file.maintainer, &file.owner].into_iter().flatten().any(|own| Some(own.id) == *party);
    match role {
        Role::GridWorker => CaseSource::GridWorker,
        Role::Supervisor | Role::Dispatcher => CaseSource::KeyInspection,
        _ if looks_after => CaseSource::OwnerPatrol,
        _ => CaseSource::Patrol,
    }
}
