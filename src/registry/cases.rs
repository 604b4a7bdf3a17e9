//! 案件: listing, finding and moving cases.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::case_flow::{self, Ground, event_body};
use super::citizens::{self, CaseVoices};
use super::files::{self, NewEntry, PhotoHome};
use super::reports::clean_text;
use super::tasks::{self, NewTask};
use super::{ActiveRules, AttachedPhoto, Call, Hold, Registry, RegistryError, sha256, year_at};
use super::{citizen_messages, released_photos};
use crate::domain::Refusal;
use crate::domain::case::{
    self, Case, CaseMove, CaseState, MoveRequest, PHOTO_LIMIT, PhonePosition, Report, TEXT_LIMIT,
};
use crate::domain::case_ask::CaseAsk;
use crate::domain::citizen::MessageKind;
use crate::domain::cover::{CoverFile, Party};
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::{CaseId, IdempotencyKey, Millis};
use crate::domain::limits::HandInEvidence;
use crate::domain::meeting::Decision;
use crate::domain::position::distance_m;
use crate::domain::role::{Actor, Role};
use crate::domain::task::TaskKind;
use crate::store::case_list::{self, CaseFilter, CaseLine};
use crate::store::cases as case_store;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::photos::{self, PhotoRecord};
use crate::store::{EngineKind, Tx, case_asks, covers, history, people};

/// Everything the case page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseFile {
    pub case: Case,
    pub cover: Option<CoverFile>,
    pub party: Option<Party>,
    pub reports: Vec<Report>,
    pub photos: Vec<PhotoRecord>,
    pub timeline: Vec<HistoryEntry>,
    /// What its party asked of the desk, oldest first.
    pub asks: Vec<CaseAsk>,
    /// Why it waits for a look before the public sees it.
    pub hold: Option<Hold>,
    pub voices: CaseVoices,
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
    /// Name of the claim pool to which it is offered.
    pub pool: Option<String>,
    /// 立案条件: the row of limits that holds from now on; `None` = as it is.
    pub condition: Option<String>,
    /// Where the phone was.
    pub position: Option<PhonePosition>,
    /// On disk already.
    pub photos: Vec<AttachedPhoto>,
    /// What was there before the work; on disk already.
    pub before_photos: Vec<AttachedPhoto>,
    pub actor: Actor,
}

/// What is kept under the idempotency key: enough to give the same answer again.
#[derive(Serialize, Deserialize)]
pub(super) struct Moved {
    number: String,
}

/// Days that a crew has for a look back.
const LOOK_BACK_DAYS: i64 = 7;

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
            Actor::Staff { role: Role::Handler, party: Some(party), .. } => filter.business_of = Some(*party),
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
        Ok(case_list::list_cases(&mut self.store.read().await?, &filter).await?)
    }

    /// The case to which a report belongs, by the report's tracking number.
    pub async fn find_case_of_report(
        &self,
        tracking: &str,
        actor: &Actor,
    ) -> Result<Option<CaseFile>, RegistryError> {
        if tracking.contains('\0') {
            return Ok(None);
        }
        let report = {
            let mut tx = self.store.read().await?;
            match case_store::find_report(&mut tx, tracking).await? {
                Some(report) => case_store::find_case(&mut tx, report.case).await?,
                None => None,
            }
        };
        match report {
            Some(case) => self.find_case(&case.number, actor).await,
            None => Ok(None),
        }
    }

    /// A case by its number or its id, with everything around it; `None` too when it is another party's business.
    pub async fn find_case(&self, number: &str, actor: &Actor) -> Result<Option<CaseFile>, RegistryError> {
        if number.contains('\0') {
            return Ok(None);
        }
        let mut tx = self.store.read().await?;
        // The change feed names a case by its id.
        let case = match number.parse::<CaseId>() {
            Ok(id) => case_store::find_case(&mut tx, id).await?,
            Err(_) => case_store::find_case_by_number(&mut tx, number).await?,
        };
        let Some(case) = case.filter(|case| may_see(case, actor)) else { return Ok(None) };
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
            photos: photos::list_case_photos(&mut tx, case.id).await?,
            timeline: history::list_case_entries(&mut tx, case.id).await?,
            asks: case_asks::list_case_asks(&mut tx, case.id).await?,
            hold: match case.state {
                CaseState::Reported => crate::store::abuse::find_hold(&mut tx, case.id).await?,
                _ => None,
            }
            .filter(|hold| hold.ended_at.is_none()),
            voices: citizens::voices_of(&mut tx, case.id, actor).await?,
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
        for (field, photos) in [("photos", &order.photos), ("before_photos", &order.before_photos)] {
            if photos.len() > PHOTO_LIMIT {
                let refusal = Refusal::new("photo.too_many").at(field).with("count", photos.len());
                return Err(refusal.with("most", PHOTO_LIMIT).into());
            }
        }
        if let Some(at) = &order.position {
            at.check()?;
        }
        if let Some(reason) = &order.request.reason {
            order.request.reason = Some(clean_text(reason, "reason", TEXT_LIMIT)?);
        }
        order.request.photos = order.photos.len();
        let request_hash = request_hash(&order);
        let now = self.now();
        let scope = format!("move:{}:{}", order.actor.word(), order.number);
        let registry = self.clone();
        let moved = self
            .once::<Moved, _>(Call { key: order.key, scope, hash: request_hash, now }, move |tx| {
                let (order, registry) = (order.clone(), registry.clone());
                Box::pin(async move { make_move(tx, &registry, order, now).await })
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
        Actor::Staff { role: Role::Handler, party, .. } => case.is_business_of(*party),
        Actor::Staff { .. } => true,
    }
}

fn request_hash(order: &MoveOrder) -> [u8; 32] {
    let digests =
        |photos: &[AttachedPhoto]| photos.iter().flat_map(|photo| photo.digest).collect::<Vec<u8>>();
    let request = &order.request;
    let at = order.position.map(|at| [at.lon, at.lat].map(f64::to_be_bytes).concat()).unwrap_or_default();
    sha256(&[
        order.made.as_str().as_bytes(),
        request.reason.as_deref().unwrap_or_default().as_bytes(),
        request.party.map(|party| party.0.into_bytes()).unwrap_or_default().as_slice(),
        order.target_number.as_deref().unwrap_or_default().as_bytes(),
        &request.until.map_or(0, |until| until.0).to_be_bytes(),
        &digests(&order.photos),
        &digests(&order.before_photos),
        order.pool.as_deref().unwrap_or_default().as_bytes(),
        order.condition.as_deref().unwrap_or_default().as_bytes(),
        &at,
        &[u8::from(request.release)],
    ])
}

/// Makes a move within a transaction.
pub(super) async fn make_move(
    tx: &mut Tx,
    registry: &Registry,
    mut order: MoveOrder,
    now: Millis,
) -> Result<Moved, RegistryError> {
    let (mut case, head) = take_case(tx, &order.number, &order.actor).await?;
    if order.expected_version.is_some_and(|version| version != case.version) {
        let refusal = Refusal::new("case.moved_meanwhile").with("state", case.state);
        return Err(RegistryError::Conflict(refusal));
    }
    let rules = registry.rule_book.active(tx, now).await?;
    let (ground, place) = ground_of(tx, &case).await?;
    complete(tx, registry, &rules, &ground, &case, &mut order).await?;
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
            "case.move_not_allowed" | "case.pool_move" => RegistryError::Conflict(refusal),
            _ => RegistryError::Refused(refusal),
        })?;
    check_limits(&case, &order, &ground, &rules)?;
    if rule.made == CaseMove::Reopen {
        refuse_open_twin(tx, &case).await?;
        refuse_retired_cover(tx, &case).await?;
    }
    if matches!(rule.made, CaseMove::HandIn) {
        check_evidence(tx, &case, &order, &ground, &rules).await?;
    }
    let (from, before, version) = (case.state, case.next_step(), case.version);
    if let Some(condition) = &order.condition {
        case.clock.condition = Some(condition.clone());
    }
    apply(&mut case, rule.to, &order, now);
    if rule.made == CaseMove::Close {
        let year = year_at(now, registry.utc_offset_minutes);
        let [number] = people::advance_counters(tx, [(&format!("strike:{year}"), 1)]).await?;
        case.strike_number = Some(format!("{year}-{number:06}"));
    }
    if rule.made == CaseMove::Dispatch {
        let decision = case_flow::decision_on(tx, &case, &ground, now).await?;
        let is_theirs = |decision: &Decision| Some(decision.lead) == case.party;
        case.clock.fixed_due = decision.filter(is_theirs).map(|decision| decision.due_at);
    }
    case.tick(before, rule.made, ground.class, &rules.limits, now);
    if rule.made == CaseMove::Close {
        plan_look_backs(tx, &case, &rules).await?;
    }
    let home = PhotoHome { manhole: case.manhole, cover: case.cover, case: Some(case.id), report: None };
    let attached = files::attach_photos(tx, home, order.made.as_str(), &order.photos, now).await?;
    files::attach_photos(tx, home, "before", &order.before_photos, now).await?;
    let is_released = order.request.release && rule.made == CaseMove::Close;
    if is_released {
        released_photos::release_as_they_are(tx, &attached, &order.actor, now).await?;
    }
    let distance_m = order.position.map(|at| (distance_m((at.lon, at.lat), place) * 10.0).round() / 10.0);
    let mut body = json!({
        "case": case.number,
        "move": order.made,
        "from": from,
        "to": case.state,
        "why": order.request.reason,
        "party": order.request.party,
        "pool": order.pool,
        "condition": order.condition,
        "joined_to": order.target_number,
        "until": order.request.until,
        "due_at": case.due_at,
        "strike_number": (rule.made == CaseMove::Close).then_some(&case.strike_number),
        "distance_m": distance_m,
        "photos": files::digest_list(&order.photos),
        "before_photos": files::digest_list(&order.before_photos),
    });
    if is_released {
        body["released"] = json!(true);
    }
    let actor = order.actor.word();
    let mut entries = vec![NewEntry { actor, kind: HistoryKind::CaseMoved, case: Some(case.id), body }];
    let mut moved = event_body(&case);
    moved["move"] = json!(order.made);
    moved["from"] = json!(from);
    let mut events = vec![(format!("case.{}", case.state), moved.to_string())];
    if rule.made == CaseMove::File
        && let Some((entry, event)) =
            case_flow::send_on(tx, &registry.rule_book, &rules, &ground, &mut case).await?
    {
        entries.push(entry);
        events.push(event);
    }
    if !case_store::update_case(tx, &case, version).await? {
        return Err(RegistryError::Conflict(Refusal::new("case.moved_meanwhile").with("state", from)));
    }
    if from == CaseState::Reported {
        // Somebody looked.
        crate::store::abuse::end_hold(tx, case.id, &order.actor.word(), now).await?;
    }
    if let Some(kind) = MessageKind::of_move(order.made, &case) {
        events.extend(citizen_messages::tell_all(tx, &case, kind, now).await?);
    }
    if rule.made == CaseMove::Reopen {
        // While it was closed, a border may have been drawn anew.
        case_store::follow_manhole(tx, case.id).await?;
        crate::store::tasks::withdraw_looks(tx, case.id).await?;
    }
    files::append(tx, case.manhole, head, now, entries).await?;
    let mut changed = vec![(ChangeKind::Case, case.id.0)];
    changed.extend(case.cover.map(|cover| (ChangeKind::Cover, cover.0)));
    feed::record(tx, now, News { events, changed }).await?;
    Ok(Moved { number: case.number })
}

/// 回头看: whoever is drawn is looked at again after so many days, within a week.
async fn plan_look_backs(tx: &mut Tx, case: &Case, rules: &ActiveRules) -> Result<(), RegistryError> {
    const DAY_MS: i64 = 86_400_000;
    let Some(cover) = case.cover else { return Ok(()) };
    let looks: Vec<NewTask> = rules
        .limits
        .look_backs(case.id, case.emergency)
        .map(|rule| {
            let from_at = Millis(rules.now().0 + i64::from(rule.days) * DAY_MS);
            let due_at = Millis(from_at.0 + LOOK_BACK_DAYS * DAY_MS);
            NewTask { kind: TaskKind::LookBack, case: Some(case.id), cover, from_at, due_at }
        })
        .collect();
    tasks::schedule(tx, &looks, rules.now()).await.map(drop)
}

/// Takes the file of a case's manhole until the commit, so that moves on one file queue here, and reads the case
/// behind the lock.
pub(super) async fn take_case(
    tx: &mut Tx,
    number: &str,
    actor: &Actor,
) -> Result<(Case, ChainHead), RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("case.unknown").with("read", number));
    let seen = case_store::find_case_by_number(tx, number).await?.ok_or_else(unknown)?;
    if !may_see(&seen, actor) {
        return Err(unknown());
    }
    let mut taken = seen.manhole;
    loop {
        let file = files::lock(tx, taken).await?;
        if tx.engine() == EngineKind::Sqlite {
            // The one writer saw what stands.
            return Ok((seen, file.head));
        }
        let case = case_store::find_case_by_number(tx, number).await?.ok_or_else(unknown)?;
        if case.manhole == taken {
            return Ok((case, file.head));
        }
        // Its manhole was merged or split while this waited.
        taken = case.manhole;
    }
}

/// What the rules ask of the place of a case, and where it lies.
pub(super) async fn ground_of(tx: &mut Tx, case: &Case) -> Result<(Ground, (f64, f64)), RegistryError> {
    if let Some(cover) = case.cover
        && let Some(file) = covers::find_cover(tx, cover).await?
    {
        let position = &file.survey.position;
        return Ok((Ground::of(&file), (position.lon, position.lat)));
    }
    let place = case_store::find_place(tx, case.manhole).await?;
    let ground = Ground { placement: place.placement, road: place.road, ..Ground::unknown(place.district) };
    Ok((ground, (place.lon, place.lat)))
}

/// Turns the names in an order into what they name.
async fn complete(
    tx: &mut Tx,
    registry: &Registry,
    rules: &ActiveRules,
    ground: &Ground,
    case: &Case,
    order: &mut MoveOrder,
) -> Result<(), RegistryError> {
    if let Some(number) = &order.target_number {
        order.request.target = Some(find_target(tx, case, number).await?);
    }
    if let Some(party) = order.request.party
        && people::find_party(tx, party).await?.is_none()
    {
        return Err(RegistryError::Refused(Refusal::new("party.unknown").at("party").with("read", party)));
    }
    if let Some(name) = &order.pool {
        let facts = case_flow::routing_facts(case, ground, rules);
        order.request.pool = registry.rule_book.pool(tx, rules, name, &facts).await?;
        if order.request.pool.is_empty() {
            let known: Vec<&str> = rules.routing.pools.keys().map(String::as_str).collect();
            let refusal = Refusal::new("case.pool_unknown").at("pool").with("fits", known.join(", "));
            return Err(RegistryError::Refused(refusal));
        }
    }
    if let Actor::Staff { party: Some(party), .. } = &order.actor
        && order.made == CaseMove::Decline
        && case.offered_to == [*party]
    {
        // Nobody is left: it goes back to the desk.
        order.made = CaseMove::Refuse;
    }
    if let Some(condition) = &order.condition
        && rules.limits.find_row(condition, case.hazard, ground.class).is_none()
    {
        let fits: Vec<&str> =
            rules.limits.rows(case.hazard, ground.class).map(|row| row.id.as_str()).collect();
        let refusal = Refusal::new("case.condition_unfit").at("condition").with("fits", fits.join(", "));
        return Err(RegistryError::Refused(refusal));
    }
    Ok(())
}

/// What the rules of time say against a move that the table allows.
fn check_limits(
    case: &Case,
    order: &MoveOrder,
    ground: &Ground,
    rules: &ActiveRules,
) -> Result<(), RegistryError> {
    let (limits, now) = (&rules.limits, rules.now());
    let checked = match order.made {
        CaseMove::Extend => case.check_extension(limits, now),
        CaseMove::Suspend => {
            order.request.until.map_or(Ok(()), |until| case.check_suspension(until, limits, now))
        }
        CaseMove::MakeSafe => case.check_make_safe(ground.class, limits),
        _ => Ok(()),
    };
    checked.map_err(RegistryError::Conflict)
}

/// What the row of the case wants to see when a party hands in.
async fn check_evidence(
    tx: &mut Tx,
    case: &Case,
    order: &MoveOrder,
    ground: &Ground,
    rules: &ActiveRules,
) -> Result<(), RegistryError> {
    let evidence = &rules.limits.row_of(case, ground.class).evidence;
    let has_reason = order.request.reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
    if evidence.contains(&HandInEvidence::Before) && order.before_photos.is_empty() {
        // What whoever reported it photographed shows it as well.
        let shown = photos::list_case_photos(tx, case.id).await?;
        if !shown.iter().any(|photo| photo.report.is_some() || photo.role == "before") {
            return Err(RegistryError::Refused(Refusal::new("case.needs_before").at("before_photos")));
        }
    }
    if evidence.contains(&HandInEvidence::Position) && order.position.is_none() && !has_reason {
        return Err(RegistryError::Refused(Refusal::new("case.needs_position").at("reason")));
    }
    Ok(())
}

fn apply(case: &mut Case, to: CaseState, order: &MoveOrder, now: Millis) {
    let was_in_pool = case.is_in_pool();
    case.state = to;
    case.version += 1;
    case.updated_at = now;
    match order.made {
        CaseMove::File => case.filed_at = case.filed_at.or(Some(now)),
        CaseMove::Dispatch => {
            // Whoever had it was the wrong one.
            case.counts.refusals += i64::from(case.party.is_some());
            case.counts.dispatches += 1;
            case.party = order.request.party;
            case.offered_to.clear();
            case.handed_in_by = None;
            case.dispatched_at = case.dispatched_at.or(Some(now));
        }
        CaseMove::Offer => {
            case.party = None;
            case.offered_to.clone_from(&order.request.pool);
            case.handed_in_by = None;
            case.dispatched_at = case.dispatched_at.or(Some(now));
        }
        CaseMove::Accept if was_in_pool => {
            if let Actor::Staff { party, .. } = &order.actor {
                case.party = *party;
            }
            case.counts.dispatches += 1;
            case.offered_to.clear();
        }
        CaseMove::Decline => {
            if let Actor::Staff { party: Some(party), .. } = &order.actor {
                case.offered_to.retain(|offered| offered != party);
            }
        }
        CaseMove::Refuse => {
            case.counts.refusals += i64::from(case.party.is_some());
            case.party = None;
            case.offered_to.clear();
        }
        CaseMove::HandIn | CaseMove::Fix => {
            case.handed_in_by = match &order.actor {
                Actor::Staff { user, .. } => Some(*user),
                _ => None,
            };
            case.handled_at = Some(now);
            case.filed_at = case.filed_at.or(Some(now));
        }
        CaseMove::Join => case.joined_to = order.request.target,
        CaseMove::Suspend => case.until = order.request.until,
        CaseMove::Resume => case.until = None,
        CaseMove::SendBack => case.counts.reworks += 1,
        CaseMove::Close => case.closed_at = Some(now),
        CaseMove::Reopen => {
            case.closed_at = None;
            case.strike_number = None;
            case.party = None;
            case.counts.reopenings += 1;
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
