//! 案件: listing, finding and moving cases.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::files::{self, NewEntry, PhotoHome};
use super::reports::clean_text;
use super::{AttachedPhoto, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::{self, Case, CaseMove, CaseState, MoveRequest, PHOTO_LIMIT, Report, TEXT_LIMIT};
use crate::domain::cover::{CoverFile, Party};
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::{IdempotencyKey, Millis};
use crate::domain::role::{Actor, Role};
use crate::store::cases::{self as case_store, CaseFilter, CaseLine, PhotoRecord};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{Tx, covers, history, people};

/// Everything the case page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseFile {
    pub case: Case,
    pub cover: Option<CoverFile>,
    pub party: Option<Party>,
    pub reports: Vec<Report>,
    pub photos: Vec<PhotoRecord>,
    pub timeline: Vec<HistoryEntry>,
}

/// A move that somebody at the desk or a party asks for.
#[derive(Debug, Clone)]
pub struct MoveOrder {
    pub key: IdempotencyKey,
    /// The case's number.
    pub number: String,
    /// The version the person saw; a newer one is a conflict. `None` = whatever stands.
    pub expected_version: Option<i64>,
    pub made: CaseMove,
    /// What comes with it; `photos` is counted from the list below.
    pub request: MoveRequest,
    /// Number of the case to be joined to.
    pub target_number: Option<String>,
    /// On disk already.
    pub photos: Vec<AttachedPhoto>,
    pub actor: Actor,
}

/// What is kept under the idempotency key: enough to give the same answer again.
#[derive(Serialize, Deserialize)]
struct Moved {
    number: String,
}

/// Most cases on one page.
const PAGE_LIMIT: i64 = 200;

impl Registry {
    /// One page of cases, newest first. A handler sees the cases of their party and no others.
    pub async fn list_cases(
        &self,
        mut filter: CaseFilter,
        actor: &Actor,
    ) -> Result<Vec<CaseLine>, RegistryError> {
        match actor {
            Actor::Staff { role: Role::Handler, party: Some(party), .. } => filter.party = Some(*party),
            Actor::Staff { role: Role::Handler, party: None, .. } | Actor::Citizen => return Ok(Vec::new()),
            _ => {}
        }
        if let Some(text) = &filter.text {
            filter.text = Some(clean_text(text, "text", 100)?).filter(|text| !text.is_empty());
        }
        if filter.before.as_deref().is_some_and(|before| before.contains('\0'))
            || filter.district.as_deref().is_some_and(|district| district.contains('\0'))
        {
            return Ok(Vec::new());
        }
        filter.limit = filter.limit.clamp(1, PAGE_LIMIT);
        Ok(case_store::list_cases(&mut self.store.read().await?, &filter).await?)
    }

    /// A case with everything around it; `None` too when it is another party's business.
    pub async fn find_case(&self, number: &str, actor: &Actor) -> Result<Option<CaseFile>, RegistryError> {
        if number.contains('\0') {
            return Ok(None);
        }
        let mut tx = self.store.read().await?;
        let Some(case) = case_store::find_case_by_number(&mut tx, number).await? else { return Ok(None) };
        if !may_see(&case, actor) {
            return Ok(None);
        }
        let cover = match case.cover {
            Some(cover) => covers::find_cover(&mut tx, cover).await?,
            None => None,
        };
        let party = match case.party {
            Some(party) => people::find_party(&mut tx, party).await?,
            None => None,
        };
        let mut reports = case_store::list_case_reports(&mut tx, case.id).await?;
        if !actor.may_see_contacts() {
            reports.iter_mut().for_each(|report| report.contact = None);
        }
        Ok(Some(CaseFile {
            reports,
            photos: case_store::list_case_photos(&mut tx, case.id).await?,
            timeline: history::list_case_entries(&mut tx, case.id).await?,
            case,
            cover,
            party,
        }))
    }

    /// Moves a case by the table of allowed moves; the move goes into the manhole's file.
    pub async fn move_case(&self, mut order: MoveOrder) -> Result<Case, RegistryError> {
        if order.number.contains('\0') {
            return Err(RegistryError::NotFound(Refusal::new("case.unknown").with("read", "\\0")));
        }
        if order.photos.len() > PHOTO_LIMIT {
            let refusal = Refusal::new("photo.too_many").at("photos").with("count", order.photos.len());
            return Err(refusal.with("most", PHOTO_LIMIT).into());
        }
        if let Some(reason) = &order.request.reason {
            order.request.reason = Some(clean_text(reason, "reason", TEXT_LIMIT)?);
        }
        order.request.photos = order.photos.len();
        let request_hash = request_hash(&order);
        let now = self.now();
        let scope = format!("move:{}:{}", order.actor.word(), order.number);
        let moved = self
            .store
            .write::<Moved, RegistryError, _>(move |tx| {
                let (order, scope) = (order.clone(), scope.clone());
                Box::pin(async move {
                    if let Some(first) =
                        super::repeat_or_claim(tx, order.key, &scope, &request_hash, now).await?
                    {
                        return Ok(first);
                    }
                    let moved = make_move(tx, order.clone(), now).await?;
                    super::keep_answer(tx, order.key, &moved).await?;
                    Ok(moved)
                })
            })
            .await?;
        case_store::find_case_by_number(&mut self.store.read().await?, &moved.number)
            .await?
            .ok_or_else(|| RegistryError::NotFound(Refusal::new("case.unknown").with("read", moved.number)))
    }
}

fn may_see(case: &Case, actor: &Actor) -> bool {
    match actor {
        Actor::Citizen => false,
        Actor::System => true,
        Actor::Staff { role: Role::Handler, party, .. } => party.is_some() && *party == case.party,
        Actor::Staff { .. } => true,
    }
}

fn request_hash(order: &MoveOrder) -> [u8; 32] {
    let photos: Vec<u8> = order.photos.iter().flat_map(|photo| photo.digest).collect();
    let request = &order.request;
    sha256(&[
        order.made.as_str().as_bytes(),
        request.reason.as_deref().unwrap_or_default().as_bytes(),
        request.party.map(|party| party.0.into_bytes()).unwrap_or_default().as_slice(),
        order.target_number.as_deref().unwrap_or_default().as_bytes(),
        &request.until.map_or(0, |until| until.0).to_be_bytes(),
        &photos,
    ])
}

async fn make_move(tx: &mut Tx, mut order: MoveOrder, now: Millis) -> Result<Moved, RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("case.unknown").with("read", &order.number));
    let seen = case_store::find_case_by_number(tx, &order.number).await?.ok_or_else(unknown)?;
    if !may_see(&seen, &order.actor) {
        return Err(unknown());
    }
    // Moves on one file queue here; the case is read again behind the lock.
    let mut file = files::lock(tx, seen.manhole).await?;
    let mut case = case_store::find_case_by_number(tx, &order.number).await?.ok_or_else(unknown)?;
    let mut taken = seen.manhole;
    while case.manhole != taken {
        // Its manhole was merged or split while this waited.
        taken = case.manhole;
        file = files::lock(tx, taken).await?;
        case = case_store::find_case_by_number(tx, &order.number).await?.ok_or_else(unknown)?;
    }
    if order.expected_version.is_some_and(|version| version != case.version) {
        let refusal = Refusal::new("case.moved_meanwhile").with("state", case.state);
        return Err(RegistryError::Conflict(refusal));
    }
    if let Some(number) = &order.target_number {
        order.request.target = Some(find_target(tx, &case, number).await?);
    }
    if let Some(party) = order.request.party
        && people::find_party(tx, party).await?.is_none()
    {
        return Err(RegistryError::Refused(Refusal::new("party.unknown").at("party").with("read", party)));
    }
    if order.request.until.is_some_and(|until| until <= now) {
        return Err(RegistryError::Refused(Refusal::new("case.until_past").at("until")));
    }
    let rule =
        case::check_move(&case, order.made, &order.actor, &order.request).map_err(|refusal| match refusal
            .code
        {
            "case.role" | "case.other_party" | "case.needs_second_person" => {
                RegistryError::Forbidden(refusal)
            }
            "case.move_not_allowed" => RegistryError::Conflict(refusal),
            _ => RegistryError::Refused(refusal),
        })?;
    if rule.made == CaseMove::Reopen {
        refuse_open_twin(tx, &case).await?;
        refuse_retired_cover(tx, &case).await?;
    }
    let from = case.state;
    apply(&mut case, rule.to, &order, now);
    if !case_store::update_case(tx, &case, case.version - 1).await? {
        return Err(RegistryError::Conflict(Refusal::new("case.moved_meanwhile").with("state", from)));
    }
    if rule.made == CaseMove::Reopen {
        // While it was closed, a border may have been drawn anew.
        case_store::follow_manhole(tx, case.id).await?;
    }
    let home = PhotoHome { manhole: case.manhole, cover: case.cover, case: Some(case.id), report: None };
    files::attach_photos(tx, home, order.made.as_str(), &order.photos, now).await?;
    let body = json!({
        "case": case.number,
        "move": order.made,
        "from": from,
        "to": case.state,
        "why": order.request.reason,
        "party": order.request.party,
        "joined_to": order.target_number,
        "until": order.request.until,
        "photos": files::digest_list(&order.photos),
    });
    let actor = order.actor.word();
    let entry = NewEntry { actor, kind: HistoryKind::CaseMoved, case: Some(case.id), body };
    files::append(tx, case.manhole, file.head, now, vec![entry]).await?;
    let event = json!({"case": case.number, "move": order.made, "from": from, "state": case.state});
    let mut changed = vec![(ChangeKind::Case, case.id.0)];
    changed.extend(case.cover.map(|cover| (ChangeKind::Cover, cover.0)));
    let news = News { events: vec![(format!("case.{}", case.state), event.to_string())], changed };
    feed::record(tx, now, news).await?;
    Ok(Moved { number: case.number })
}

fn apply(case: &mut Case, to: CaseState, order: &MoveOrder, now: Millis) {
    case.state = to;
    case.version += 1;
    case.updated_at = now;
    match order.made {
        CaseMove::Dispatch => {
            case.party = order.request.party;
            case.handed_in_by = None;
        }
        CaseMove::Refuse => case.party = None,
        CaseMove::HandIn | CaseMove::Fix => {
            case.handed_in_by = match &order.actor {
                Actor::Staff { user, .. } => Some(*user),
                _ => None,
            };
        }
        CaseMove::Join => case.joined_to = order.request.target,
        CaseMove::Suspend | CaseMove::Extend => case.until = order.request.until,
        CaseMove::Resume => case.until = None,
        CaseMove::Close => case.closed_at = Some(now),
        CaseMove::Reopen => {
            case.closed_at = None;
            case.party = None;
        }
        _ => {}
    }
}

async fn find_target(
    tx: &mut Tx,
    case: &Case,
    number: &str,
) -> Result<crate::domain::ids::CaseId, RegistryError> {
    let refuse = |code| RegistryError::Refused(Refusal::new(code).at("target").with("read", number));
    if number.contains('\0') {
        return Err(refuse("case.target_unknown"));
    }
    let target =
        case_store::find_case_by_number(tx, number).await?.ok_or_else(|| refuse("case.target_unknown"))?;
    if target.id == case.id || !target.state.is_open() {
        return Err(refuse("case.target_unfit"));
    }
    Ok(target.id)
}

/// One cover and hazard has one open case at most.
async fn refuse_open_twin(tx: &mut Tx, case: &Case) -> Result<(), RegistryError> {
    let open = case_store::list_open_cases(tx, case.manhole).await?;
    match open
        .iter()
        .find(|other| other.id != case.id && other.cover == case.cover && other.hazard == case.hazard)
    {
        Some(twin) => {
            Err(RegistryError::Conflict(Refusal::new("case.open_twin").with("number", &twin.number)))
        }
        None => Ok(()),
    }
}

/// A cover that is no longer in use has no open case.
async fn refuse_retired_cover(tx: &mut Tx, case: &Case) -> Result<(), RegistryError> {
    let Some(cover) = case.cover else { return Ok(()) };
    match covers::find_cover(tx, cover).await? {
        Some(file) if file.retired.is_some() => {
            let code = file.code.digits;
            Err(RegistryError::Conflict(Refusal::new("cover.retired").with("code", code)))
        }
        _ => Ok(()),
    }
}
