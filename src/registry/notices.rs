//! 督办单: drafting and moving notices, what their addressees say, reminders, and what a year comes to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::notice_steps::{confirm, feed_back, issue, remind, withdraw};
use super::reports::clean_text;
use super::{AttachedPhoto, Call, Registry, RegistryError, notice_answers, sha256};
use crate::domain::Refusal;
use crate::domain::case::{CaseState, PHOTO_LIMIT, TEXT_LIMIT};
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CaseId, IdempotencyKey, Millis, NoticeId, PartyId};
use crate::domain::notice::{
    self, NOTICE_READERS, NoticeMove, NoticeNumber, NoticeStanding, NoticeState, reminder_due,
};
use crate::domain::role::{Actor, Role};
use crate::store::case_list::{CaseFilter, CaseLine};
use crate::store::cases as case_store;
use crate::store::notices::{self, NewItem};
use crate::store::photos::PhotoRecord;
use crate::store::{Tx, people};

pub use crate::store::notices::{
    Addressee, Feedback as NoticeFeedback, Notice, NoticeFilter, NoticeItem, NoticeLine, NoticeYear,
    OverdueParty,
};

/// Most cases of a notice.
pub const NOTICE_CASES: usize = 200;
const TITLE_LIMIT: usize = 100;
const PAGE_LIMIT: i64 = 200;

/// What a notice says, as somebody writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeText {
    pub title: String,
    /// What is asked for.
    pub body: String,
    pub due_at: Millis,
    /// Numbers of its cases, in their order.
    pub cases: Vec<String>,
    /// To whom it goes; `None` = every case to the party that handles it.
    pub to: Option<PartyId>,
}

/// A new draft, or what a draft is to say from now on.
#[derive(Debug, Clone)]
pub struct NoticeDraft {
    pub key: IdempotencyKey,
    pub text: NoticeText,
    pub actor: Actor,
}

/// A step that somebody asks for: issue, withdraw or confirm.
#[derive(Debug, Clone)]
pub struct NoticeOrder {
    pub key: IdempotencyKey,
    /// Its number, or its id while it is a draft.
    pub notice: String,
    /// The version that the person saw; `None` = whatever stands.
    pub expected_version: Option<i64>,
    pub made: NoticeMove,
    pub reason: String,
    pub actor: Actor,
}

/// What an addressee says of one case.
#[derive(Debug, Clone)]
pub struct NoticeAnswer {
    pub key: IdempotencyKey,
    pub notice: String,
    /// The case's number.
    pub case: String,
    pub text: String,
    /// On disk already.
    pub photos: Vec<AttachedPhoto>,
    pub actor: Actor,
}

/// Everything the page of a notice shows. People of a party get their party's part.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeFile {
    pub notice: Notice,
    pub standing: NoticeStanding,
    pub parties: Vec<Addressee>,
    pub items: Vec<NoticeItem>,
    /// That came with what addressees said.
    pub photos: Vec<PhotoRecord>,
    /// What the reader may do.
    pub moves: Vec<NoticeMove>,
}

/// Which open cases are offered to be put on a notice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CandidateFilter {
    pub party: Option<PartyId>,
    pub hazard: Option<Hazard>,
    pub district: Option<String>,
    /// Reported so many days ago or more.
    pub days: Option<i64>,
    /// Only those whose limit is over.
    pub overdue: bool,
    /// Only those that are on no notice that stands.
    pub fresh: bool,
}

/// An open case, and the notices on which it is.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeCandidate {
    pub line: CaseLine,
    pub notices: Vec<NoticeNumber>,
}

/// What the clock did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reminded {
    pub reminders: u64,
    pub overdue: u64,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    notice: NoticeId,
}

/// For whom a reader sees notices.
enum Sight {
    Nothing,
    All,
    Own(PartyId),
}

impl Sight {
    fn of(actor: &Actor) -> Self {
        match actor {
            Actor::System => Sight::All,
            Actor::Staff { role: Role::Handler, party: Some(party), .. } => Sight::Own(*party),
            Actor::Staff { role: Role::Handler, party: None, .. } | Actor::Citizen => Sight::Nothing,
            Actor::Staff { role, .. } if NOTICE_READERS.contains(role) => Sight::All,
            Actor::Staff { .. } => Sight::Nothing,
        }
    }

    fn party(&self) -> Option<PartyId> {
        match self {
            Sight::Own(party) => Some(*party),
            _ => None,
        }
    }
}

impl Registry {
    /// One page of notices: drafts first, then the newest number.
    pub async fn list_notices(
        &self,
        mut filter: NoticeFilter,
        actor: &Actor,
    ) -> Result<Vec<NoticeLine>, RegistryError> {
        match Sight::of(actor) {
            Sight::Nothing => return Ok(Vec::new()),
            Sight::All => {}
            Sight::Own(party) => (filter.party, filter.issued_only) = (Some(party), true),
        }
        filter.limit = filter.limit.clamp(1, PAGE_LIMIT);
        Ok(notices::list_notices(&mut self.store.read().await?, &filter, self.now()).await?)
    }

    /// Where a page of notices begins: behind the one that this names.
    pub async fn find_notice_cursor(
        &self,
        reference: &str,
    ) -> Result<(Option<NoticeNumber>, NoticeId), RegistryError> {
        let notice = find(&mut self.store.read().await?, reference).await?;
        let notice = notice.ok_or_else(|| RegistryError::Refused(unknown_refusal(reference).at("before")))?;
        Ok((notice.number, notice.id))
    }

    /// A notice by its number, or by its id while it is a draft; `None` too where it is not for this reader.
    pub async fn find_notice(
        &self,
        reference: &str,
        actor: &Actor,
    ) -> Result<Option<NoticeFile>, RegistryError> {
        let mut tx = self.store.read().await?;
        let Some(notice) = find(&mut tx, reference).await? else { return Ok(None) };
        let sight = Sight::of(actor);
        let mut parties = notices::list_addressees(&mut tx, notice.id).await?;
        match sight {
            Sight::Nothing => return Ok(None),
            Sight::All => {}
            Sight::Own(party) => {
                parties.retain(|addressee| addressee.party == party);
                if parties.is_empty() || notice.number.is_none() {
                    return Ok(None);
                }
            }
        }
        let items = notices::list_items(&mut tx, notice.id, sight.party()).await?;
        let mut photos = Vec::new();
        for item in items.iter().filter(|item| item.feedback.is_some()) {
            let asked = (notice.reference(), item.party);
            photos.extend(notice_answers::list_photos(&mut tx, item.case, asked).await?);
        }
        let open = items.iter().filter(|item| item.state.is_open()).count() as i64;
        let moves = match actor {
            Actor::Staff { role, .. } => notice::possible_moves(notice.state, *role).collect(),
            _ => Vec::new(),
        };
        let standing = NoticeStanding::of(notice.state, notice.due_at, open, self.now());
        Ok(Some(NoticeFile { standing, notice, parties, items, photos, moves }))
    }

    /// What each year comes to, oldest first: notices that stand, their cases, and how many of those are closed.
    pub async fn count_notice_years(&self, actor: &Actor) -> Result<Vec<NoticeYear>, RegistryError> {
        match Sight::of(actor) {
            Sight::Nothing => Ok(Vec::new()),
            sight => Ok(notices::count_years(&mut self.store.read().await?, sight.party()).await?),
        }
    }

    /// Parties with open cases on notices whose day has passed, the most first.
    pub async fn list_overdue_parties(&self, actor: &Actor) -> Result<Vec<OverdueParty>, RegistryError> {
        match Sight::of(actor) {
            Sight::Nothing => Ok(Vec::new()),
            sight => {
                let mut tx = self.store.read().await?;
                Ok(notices::list_overdue(&mut tx, sight.party(), self.now()).await?)
            }
        }
    }

    /// Open cases to choose from, newest first, up to 200 of which the filter is then taken.
    pub async fn list_notice_candidates(
        &self,
        filter: &CandidateFilter,
    ) -> Result<Vec<NoticeCandidate>, RegistryError> {
        let cases = CaseFilter {
            states: CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect(),
            hazard: filter.hazard,
            district: filter.district.clone(),
            party: filter.party,
            limit: PAGE_LIMIT,
            ..CaseFilter::default()
        };
        let mut lines = self.list_cases(cases, &Actor::System).await?;
        if let Some(days) = filter.days {
            let latest = self.now().0 - days.clamp(0, 10_000) * 86_400_000;
            lines.retain(|line| line.case.created_at.0 <= latest);
        }
        if filter.overdue {
            let now = self.now();
            lines.retain(|line| line.case.due_at.is_some_and(|due| due <= now));
        }
        let ids: Vec<CaseId> = lines.iter().map(|line| line.case.id).collect();
        let mut on: BTreeMap<CaseId, Vec<NoticeNumber>> = BTreeMap::new();
        for (case, number) in notices::list_notices_of(&mut self.store.read().await?, &ids).await? {
            on.entry(case).or_default().push(number);
        }
        let candidate =
            |line: CaseLine| NoticeCandidate { notices: on.remove(&line.case.id).unwrap_or_default(), line };
        let found = lines.into_iter().map(candidate);
        Ok(found.filter(|one| !filter.fresh || one.notices.is_empty()).collect())
    }

    /// Numbers of the notices that stand and on which a case is.
    pub async fn list_notices_of_case(&self, case: CaseId) -> Result<Vec<NoticeNumber>, RegistryError> {
        let found = notices::list_notices_of(&mut self.store.read().await?, &[case]).await?;
        Ok(found.into_iter().map(|(_, number)| number).collect())
    }

    /// Writes a draft; it has no number and nobody outside the desk sees it.
    pub async fn draft_notice(&self, mut new: NoticeDraft) -> Result<NoticeFile, RegistryError> {
        notice::check_move(NoticeState::Draft, NoticeMove::Edit, &new.actor).map_err(forbidden)?;
        new.text = checked(new.text, self.now())?;
        let (now, hash, actor) = (self.now(), text_hash(&new.text), new.actor.clone());
        let scope = format!("supervise:{}", new.actor.word());
        let answered = self
            .once::<Answered, _>(Call { key: new.key, scope, hash, now }, move |tx| {
                let new = new.clone();
                Box::pin(async move {
                    let items = items_of(tx, &new.text).await?;
                    let notice = Notice {
                        id: NoticeId::fresh(),
                        number: None,
                        title: new.text.title,
                        body: new.text.body,
                        state: NoticeState::Draft,
                        due_at: new.text.due_at,
                        created_by: new.actor.word(),
                        created_at: now,
                        issued_by: None,
                        issued_at: None,
                        withdrawn_at: None,
                        withdrawn_why: None,
                        reminded: 0,
                        version: 1,
                    };
                    notices::add_notice(tx, &notice).await?;
                    notices::put_items(tx, notice.id, &items).await?;
                    Ok(Answered { notice: notice.id })
                })
            })
            .await?;
        self.known_notice(&answered.notice.to_string(), &actor).await
    }

    /// Lets a draft say something else.
    pub async fn edit_notice(
        &self,
        reference: &str,
        expected_version: Option<i64>,
        mut draft: NoticeDraft,
    ) -> Result<NoticeFile, RegistryError> {
        draft.text = checked(draft.text, self.now())?;
        let (now, hash, actor) = (self.now(), text_hash(&draft.text), draft.actor.clone());
        let scope = format!("supervise:{}:{reference}", draft.actor.word());
        let wanted = reference.to_owned();
        let answered = self
            .once::<Answered, _>(Call { key: draft.key, scope, hash, now }, move |tx| {
                let (draft, wanted) = (draft.clone(), wanted.clone());
                Box::pin(async move {
                    let mut notice = take(tx, &wanted, &draft.actor, expected_version).await?;
                    notice::check_move(notice.state, NoticeMove::Edit, &draft.actor).map_err(not_now)?;
                    let items = items_of(tx, &draft.text).await?;
                    (notice.title, notice.body) = (draft.text.title, draft.text.body);
                    notice.due_at = draft.text.due_at;
                    put(tx, &notice).await?;
                    notices::put_items(tx, notice.id, &items).await?;
                    Ok(Answered { notice: notice.id })
                })
            })
            .await?;
        self.known_notice(&answered.notice.to_string(), &actor).await
    }

    /// Issues, withdraws or confirms a notice.
    pub async fn move_notice(&self, mut order: NoticeOrder) -> Result<NoticeFile, RegistryError> {
        order.reason = clean_text(&order.reason, "reason", TEXT_LIMIT)?;
        if matches!(order.made, NoticeMove::Edit | NoticeMove::Feedback) {
            let refusal = Refusal::new("notice.step").at("move").with("read", order.made);
            return Err(refusal.with("fits", "issue, withdraw, confirm").into());
        }
        let (now, actor) = (self.now(), order.actor.clone());
        let hash = sha256(&[order.made.as_str().as_bytes(), order.reason.as_bytes()]);
        let scope = format!("supervise:{}:{}", order.actor.word(), order.notice);
        let year = super::year_at(now, self.utc_offset_minutes);
        let answered = self
            .once::<Answered, _>(Call { key: order.key, scope, hash, now }, move |tx| {
                let order = order.clone();
                Box::pin(async move {
                    let notice = take(tx, &order.notice, &order.actor, order.expected_version).await?;
                    let to = notice::check_move(notice.state, order.made, &order.actor).map_err(not_now)?;
                    let answered = Answered { notice: notice.id };
                    match order.made {
                        NoticeMove::Issue => {
                            issue(tx, Notice { state: to, ..notice }, &order, (year, now)).await?
                        }
                        NoticeMove::Withdraw => {
                            withdraw(tx, Notice { state: to, ..notice }, &order, now).await?
                        }
                        _ => confirm(tx, &notice, &order, now).await?,
                    }
                    Ok(answered)
                })
            })
            .await?;
        self.known_notice(&answered.notice.to_string(), &actor).await
    }

    /// Keeps what an addressee says of one of its cases, in place of what it said before.
    pub async fn answer_notice(&self, mut answer: NoticeAnswer) -> Result<NoticeFile, RegistryError> {
        answer.text = clean_text(&answer.text, "text", TEXT_LIMIT)?;
        if answer.text.is_empty() {
            return Err(Refusal::new("form.missing").at("text").with("field", "text").into());
        }
        if answer.photos.len() > PHOTO_LIMIT {
            let refusal = Refusal::new("photo.too_many").at("photos").with("count", answer.photos.len());
            return Err(refusal.with("most", PHOTO_LIMIT).into());
        }
        let (now, actor) = (self.now(), answer.actor.clone());
        let photos: Vec<u8> = answer.photos.iter().flat_map(|photo| photo.digest).collect();
        let hash = sha256(&[answer.case.as_bytes(), answer.text.as_bytes(), &photos]);
        let scope = format!("supervise:{}:{}", answer.actor.word(), answer.notice);
        let answered = self
            .once::<Answered, _>(Call { key: answer.key, scope, hash, now }, move |tx| {
                let answer = answer.clone();
                Box::pin(async move { Ok(Answered { notice: feed_back(tx, &answer, now).await? }) })
            })
            .await?;
        self.known_notice(&answered.notice.to_string(), &actor).await
    }

    /// Reminds of notices whose time is half over, four fifths over, or over, once each. Where a server slept through
    /// several of these, only the last one is told; a clock that is set back tells nothing again.
    pub async fn remind_notices(&self, now: Millis) -> Result<Reminded, RegistryError> {
        let mut sum = Reminded::default();
        for notice in notices::list_to_remind(&mut self.store.read().await?).await? {
            let Some(issued_at) = notice.issued_at else { continue };
            let level = reminder_due(issued_at, notice.due_at, now);
            if level <= notice.reminded {
                continue;
            }
            let told = self
                .store
                .write::<bool, RegistryError, _>(move |tx| {
                    let notice = notice.clone();
                    Box::pin(async move { remind(tx, &notice, level, now).await })
                })
                .await?;
            match (told, level) {
                (false, _) => {}
                (true, 100) => sum.overdue += 1,
                (true, _) => sum.reminders += 1,
            }
        }
        Ok(sum)
    }

    async fn known_notice(&self, reference: &str, actor: &Actor) -> Result<NoticeFile, RegistryError> {
        self.find_notice(reference, actor).await?.ok_or_else(|| unknown(reference))
    }
}

fn unknown_refusal(reference: &str) -> Refusal {
    let read: String = reference.chars().take(60).collect();
    Refusal::new("notice.unknown").with("read", read)
}

fn unknown(reference: &str) -> RegistryError {
    RegistryError::NotFound(unknown_refusal(reference))
}

fn forbidden(refusal: Refusal) -> RegistryError {
    RegistryError::Forbidden(refusal)
}

/// What the table of moves refuses, as it is told.
pub(super) fn not_now(refusal: Refusal) -> RegistryError {
    match refusal.code {
        "notice.role" => RegistryError::Forbidden(refusal),
        _ => RegistryError::Conflict(refusal),
    }
}

/// By number; by id as well, which is how drafts are named.
async fn find(tx: &mut Tx, reference: &str) -> Result<Option<Notice>, RegistryError> {
    if let Ok(number) = reference.parse::<NoticeNumber>() {
        return Ok(notices::find_by_number(tx, number).await?);
    }
    match reference.parse::<NoticeId>() {
        Ok(id) => Ok(notices::find_notice(tx, id).await?),
        Err(_) => Ok(None),
    }
}

/// A notice that this actor may see, taken until the commit.
pub(super) async fn take(
    tx: &mut Tx,
    reference: &str,
    actor: &Actor,
    expected_version: Option<i64>,
) -> Result<Notice, RegistryError> {
    let seen = find(tx, reference).await?.ok_or_else(|| unknown(reference))?;
    let notice = notices::lock_notice(tx, seen.id).await?.ok_or_else(|| unknown(reference))?;
    match Sight::of(actor) {
        Sight::Nothing => return Err(unknown(reference)),
        Sight::All => {}
        Sight::Own(party) => {
            let parties = notices::list_addressees(tx, notice.id).await?;
            if notice.number.is_none() || !parties.iter().any(|addressee| addressee.party == party) {
                return Err(unknown(reference));
            }
        }
    }
    if expected_version.is_some_and(|version| version != notice.version) {
        return Err(moved_meanwhile(&notice));
    }
    Ok(notice)
}

fn moved_meanwhile(notice: &Notice) -> RegistryError {
    RegistryError::Conflict(Refusal::new("notice.moved_meanwhile").with("notice_state", notice.state))
}

pub(super) async fn put(tx: &mut Tx, notice: &Notice) -> Result<(), RegistryError> {
    match notices::update_notice(tx, notice).await? {
        true => Ok(()),
        false => Err(moved_meanwhile(notice)),
    }
}

fn text_hash(text: &NoticeText) -> [u8; 32] {
    sha256(&[
        text.title.as_bytes(),
        text.body.as_bytes(),
        &text.due_at.0.to_be_bytes(),
        text.cases.join("\n").as_bytes(),
        text.to.map(|party| party.0.into_bytes()).unwrap_or_default().as_slice(),
    ])
}

/// What can be said of a text without looking at the cases.
fn checked(mut text: NoticeText, now: Millis) -> Result<NoticeText, RegistryError> {
    text.title = clean_text(&text.title, "title", TITLE_LIMIT)?;
    text.body = clean_text(&text.body, "body", TEXT_LIMIT)?;
    for (field, value) in [("title", &text.title), ("body", &text.body)] {
        if value.is_empty() {
            return Err(Refusal::new("form.missing").at(field).with("field", field).into());
        }
    }
    if text.due_at <= now {
        return Err(Refusal::new("notice.due_past").at("due").into());
    }
    let mut seen = BTreeSet::new();
    text.cases.retain(|number| seen.insert(number.clone()));
    if text.cases.is_empty() || text.cases.len() > NOTICE_CASES {
        let refusal = Refusal::new("notice.case_count").at("cases").with("count", text.cases.len());
        return Err(refusal.with("most", NOTICE_CASES).into());
    }
    Ok(text)
}

/// The cases of a text with their addressees.
async fn items_of(tx: &mut Tx, text: &NoticeText) -> Result<Vec<NewItem>, RegistryError> {
    if let Some(party) = text.to
        && people::find_party(tx, party).await?.is_none()
    {
        return Err(Refusal::new("party.unknown").at("to").with("read", party).into());
    }
    let mut items = Vec::with_capacity(text.cases.len());
    for number in &text.cases {
        let read: String = number.chars().take(60).collect();
        let refuse = |code| RegistryError::Refused(Refusal::new(code).at("cases").with("read", &read));
        let case = match number.contains('\0') {
            true => None,
            false => case_store::find_case_by_number(tx, number).await?,
        };
        let case = case.ok_or_else(|| refuse("notice.case_unknown"))?;
        if !case.state.is_open() {
            return Err(refuse("notice.case_over"));
        }
        let party = text.to.or(case.party).ok_or_else(|| refuse("notice.no_addressee"))?;
        items.push(NewItem { case: case.id, party });
    }
    Ok(items)
}
