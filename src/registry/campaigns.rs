//! 专项巡护 and 日常巡护: made, started, divided among crews, filled with tasks some covers a transaction, and ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reports::clean_text;
use super::{Call, CoverFilter, CoversWithin, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::campaign::{CampaignStage, CampaignState, CampaignStep, Repeat, Scope, Street, divide};
use crate::domain::checklist::Checklist;
use crate::domain::cover::CoverFile;
use crate::domain::ids::{CampaignId, CoverId, IdempotencyKey, Millis, TaskId, UserId};
use crate::domain::role::{Actor, Role};
use crate::domain::task::{CheckAnswers, DAY_MS, TaskKind, TaskState};
use crate::store::feed::{self, News};
use crate::store::tasks::{self, Task, TaskCount, TaskPoint};
use crate::store::{Tx, campaigns};

pub use crate::store::campaigns::Campaign;

/// A campaign to be made.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    pub key: IdempotencyKey,
    pub name: String,
    pub kind: TaskKind,
    /// The outline of its area is looked up.
    pub scope: Scope,
    /// TOML.
    pub checklist: String,
    pub crews: Vec<UserId>,
    pub repeat: Option<Repeat>,
    pub from_at: Millis,
    pub until_at: Millis,
    pub actor: Actor,
}

/// A step with a campaign.
#[derive(Debug, Clone)]
pub struct CampaignOrder {
    pub key: IdempotencyKey,
    pub id: CampaignId,
    pub step: CampaignStep,
    /// The version that the person saw.
    pub expected_version: i64,
    pub actor: Actor,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    campaign: CampaignId,
}

/// Covers of one transaction, and of one look while streets are counted.
const TURN: i64 = 500;
const COUNTED: i64 = 1000;
/// Points of a map.
const POINTS: i64 = 400_000;
const MOST_CREWS: usize = 50;
const MOST_NAME: usize = 100;
const LONGEST_MS: i64 = 3660 * DAY_MS;

impl Registry {
    /// Makes a campaign as a draft; nobody is sent yet.
    pub async fn create_campaign(&self, mut new: NewCampaign) -> Result<Campaign, RegistryError> {
        new.name = clean_text(&new.name, "name", MOST_NAME)?;
        if new.name.is_empty() {
            return Err(Refusal::new("campaign.name").at("name").into());
        }
        if !new.kind.lapses() {
            return Err(Refusal::new("campaign.kind").at("kind").with("read", new.kind).into());
        }
        if new.from_at >= new.until_at || new.until_at.0 - new.from_at.0 > LONGEST_MS {
            return Err(Refusal::new("campaign.period").at("until").into());
        }
        Checklist::read(&new.checklist)?;
        self.check_crews(&new.crews).await?;
        self.settle_scope(&mut new.scope).await?;
        let now = self.now();
        let campaign = Campaign {
            id: CampaignId::fresh(),
            name: new.name.clone(),
            kind: new.kind,
            state: CampaignState::Draft,
            scope: new.scope.clone(),
            checklist: new.checklist.clone(),
            crews: new.crews.clone(),
            repeat: new.repeat.clone(),
            from_at: new.from_at,
            until_at: new.until_at,
            round: 0,
            round_from: new.from_at,
            round_until: new.until_at,
            stage: CampaignStage::Waiting,
            cursor: None,
            actor: new.actor.word(),
            created_at: now,
            ended_at: None,
            version: 1,
        };
        let said = Campaign { id: CampaignId(uuid::Uuid::nil()), created_at: Millis(0), ..campaign.clone() };
        let (key, hash) = (new.key, sha256(&[format!("{said:?}").as_bytes()]));
        let scope = format!("campaign:{}", new.actor.word());
        let answered = self
            .once::<Answered, _>(Call { key, scope, hash, now }, move |tx| {
                let campaign = campaign.clone();
                Box::pin(async move {
                    campaigns::add_campaign(tx, &campaign).await?;
                    Ok(Answered { campaign: campaign.id })
                })
            })
            .await?;
        self.known_campaign(answered.campaign).await
    }

    async fn check_crews(&self, crews: &[UserId]) -> Result<(), RegistryError> {
        let different: BTreeSet<&UserId> = crews.iter().collect();
        if crews.len() > MOST_CREWS || different.len() != crews.len() {
            return Err(Refusal::new("campaign.crews").at("crews").with("most", MOST_CREWS).into());
        }
        let users = self.list_users().await?;
        let works = |role| matches!(role, Role::Crew | Role::GridWorker | Role::Engineer | Role::Admin);
        let is_crew = |id: &&UserId| !users.iter().any(|user| user.id == **id && works(user.role));
        match crews.iter().find(is_crew) {
            Some(stranger) => Err(Refusal::new("campaign.crew").at("crews").with("read", stranger).into()),
            None => Ok(()),
        }
    }

    /// Looks up the outline, and refuses what no cover can be in.
    async fn settle_scope(&self, scope: &mut Scope) -> Result<(), RegistryError> {
        if let Some(district) = &scope.district
            && !self.list_districts().await?.iter().any(|known| known.code == *district)
        {
            let read: String = district.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(Refusal::new("campaign.district").at("district").with("read", read).into());
        }
        if let Some(road) = scope.road.take() {
            let road = clean_text(&road, "road", 200)?;
            scope.road = Some(road).filter(|road| !road.is_empty());
        }
        if let Some((kind, code)) = &scope.area {
            scope.outline = Some(self.find_area(*kind, code).await?.shape);
        }
        self.page_of(scope, None, 1).await.map(drop)
    }

    /// One page of the covers of a scope, in the order of their ids.
    async fn page_of(
        &self,
        scope: &Scope,
        after: Option<CoverId>,
        limit: i64,
    ) -> Result<CoversWithin, RegistryError> {
        let filter = CoverFilter {
            district: scope.district.clone(),
            road: scope.road.clone(),
            class: scope.class,
            state: scope.state,
            placement: scope.placement.map(super::Fact::Is),
            load_class: scope.load_class.map(super::Fact::Is),
            owner: scope.owner.map(super::Fact::Is),
            after,
            limit,
            ..CoverFilter::default()
        };
        match &scope.outline {
            Some(shape) => self.list_covers_within(shape, filter).await,
            None => {
                let covers = self.list_covers(filter).await?;
                let next = covers.last().filter(|_| covers.len() as i64 == limit).map(|last| last.cover);
                Ok(CoversWithin { covers, next })
            }
        }
    }

    /// Starts, closes or withdraws a campaign. [`Self::fill_campaign`] makes its tasks, a sweep settles them.
    pub async fn step_campaign(&self, order: CampaignOrder) -> Result<Campaign, RegistryError> {
        let (now, offset) = (self.now(), self.utc_offset_minutes);
        let id = order.id;
        let hash = sha256(&[order.step.as_str().as_bytes(), &order.expected_version.to_be_bytes()]);
        let scope = format!("campaign_step:{}:{id}", order.actor.word());
        self.once::<Answered, _>(Call { key: order.key, scope, hash, now }, move |tx| {
            let order = order.clone();
            Box::pin(async move {
                let mut campaign =
                    campaigns::lock_campaign(tx, id).await?.ok_or_else(|| unknown_campaign(id))?;
                let from = campaign.state;
                let refuse = |code| {
                    let refusal = Refusal::new(code).with("campaign_state", from);
                    RegistryError::Conflict(refusal)
                };
                if campaign.version != order.expected_version {
                    return Err(refuse("campaign.moved_meanwhile"));
                }
                campaign.state = from.after(order.step).ok_or_else(|| refuse("campaign.not_now"))?;
                campaign.version += 1;
                match order.step {
                    CampaignStep::Start if now >= campaign.until_at => {
                        return Err(refuse("campaign.over"));
                    }
                    CampaignStep::Start => begin_round(&mut campaign, now, offset),
                    CampaignStep::Close | CampaignStep::Withdraw => campaign.ended_at = Some(now),
                }
                campaigns::update_campaign(tx, &campaign).await?;
                tell(tx, &campaign, now).await?;
                Ok(Answered { campaign: id })
            })
        })
        .await?;
        self.known_campaign(id).await
    }

    /// Divides the streets of the newest round and makes its tasks, some covers a transaction, to its end. Two may do
    /// so at once: they take turns. What was broken off goes on where it was.
    pub async fn fill_campaign(&self, id: CampaignId) -> Result<(), RegistryError> {
        let mut streets = None;
        loop {
            let campaign = self.known_campaign(id).await?;
            if campaign.state != CampaignState::Running {
                return Ok(());
            }
            match campaign.stage {
                CampaignStage::Waiting | CampaignStage::Ready => return Ok(()),
                CampaignStage::Dividing => {
                    streets = None;
                    self.divide_streets(campaign).await?;
                }
                CampaignStage::Filling => {
                    if streets.is_none() {
                        let known = campaigns::list_streets(&mut self.store.read().await?, id).await?;
                        streets = Some(Division::new(&campaign, known));
                    }
                    if let Some(division) = &streets {
                        self.fill_turn(campaign, division).await?;
                    }
                }
            }
        }
    }

    async fn divide_streets(&self, campaign: Campaign) -> Result<(), RegistryError> {
        let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.page_of(&campaign.scope, after, COUNTED).await?;
            for file in &page.covers {
                *counts.entry(street_of(file)).or_default() += 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let street = |((district, road), covers)| Street { district, road, covers, crew: None };
        let mut streets: Vec<Street> = counts.into_iter().map(street).collect();
        divide(&mut streets, &campaign.crews);
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (campaign, streets) = (campaign.clone(), streets.clone());
                Box::pin(async move {
                    let Some(mut now) = take_turn(tx, &campaign).await? else { return Ok(()) };
                    campaigns::set_streets(tx, now.id, &streets).await?;
                    now.stage = CampaignStage::Filling;
                    now.cursor = None;
                    Ok(campaigns::update_campaign(tx, &now).await?)
                })
            })
            .await
    }

    async fn fill_turn(&self, campaign: Campaign, division: &Division) -> Result<(), RegistryError> {
        let page = self.page_of(&campaign.scope, campaign.cursor, TURN).await?;
        let made_at = self.now();
        let task = |file: &CoverFile| Task {
            id: TaskId::fresh(),
            kind: campaign.kind,
            campaign: Some(campaign.id),
            round: campaign.round,
            case: None,
            party: None,
            cover: file.cover,
            district: file.survey.district.clone(),
            road: file.survey.road.clone(),
            crew: division.crew_of(file),
            from_at: campaign.round_from,
            due_at: campaign.round_until,
            state: TaskState::Open,
            result: None,
            answers: "{}".to_owned(),
            note: None,
            done_by: None,
            done_at: None,
            distance_m: None,
            raised_case: None,
            created_at: made_at,
        };
        let made: Vec<Task> = page.covers.iter().map(task).collect();
        let next = page.next;
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (campaign, made) = (campaign.clone(), made.clone());
                Box::pin(async move {
                    let Some(mut now) = take_turn(tx, &campaign).await? else { return Ok(()) };
                    tasks::add_tasks(tx, &made).await?;
                    now.cursor = next.or(now.cursor);
                    if next.is_none() {
                        now.stage = CampaignStage::Ready;
                    }
                    Ok(campaigns::update_campaign(tx, &now).await?)
                })
            })
            .await
    }

    pub async fn find_campaign(&self, id: CampaignId) -> Result<Option<Campaign>, RegistryError> {
        Ok(campaigns::find_campaign(&mut self.store.read().await?, id).await?)
    }

    pub(super) async fn known_campaign(&self, id: CampaignId) -> Result<Campaign, RegistryError> {
        self.find_campaign(id).await?.ok_or_else(|| unknown_campaign(id))
    }

    /// The newest before `before`; at most 200.
    pub async fn list_campaigns(
        &self,
        before: Option<CampaignId>,
        limit: i64,
    ) -> Result<Vec<Campaign>, RegistryError> {
        let limit = limit.clamp(1, 200);
        Ok(campaigns::list_campaigns(&mut self.store.read().await?, before, limit).await?)
    }

    /// The streets of the newest round with their crews.
    pub async fn list_campaign_streets(&self, id: CampaignId) -> Result<Vec<Street>, RegistryError> {
        Ok(campaigns::list_streets(&mut self.store.read().await?, id).await?)
    }

    /// How the tasks of a round stand, by district, street and crew.
    pub async fn count_tasks(&self, id: CampaignId, round: i64) -> Result<Vec<TaskCount>, RegistryError> {
        Ok(tasks::count_tasks(&mut self.store.read().await?, id, round).await?)
    }

    /// The same as points.
    pub async fn list_task_points(
        &self,
        id: CampaignId,
        round: i64,
    ) -> Result<Vec<TaskPoint>, RegistryError> {
        Ok(tasks::list_points(&mut self.store.read().await?, (id, round), POINTS).await?)
    }

    /// Answers of a round, equal ones together, with how many gave them.
    pub async fn count_answers(
        &self,
        id: CampaignId,
        round: i64,
    ) -> Result<Vec<(CheckAnswers, i64)>, RegistryError> {
        let rows = tasks::count_answers(&mut self.store.read().await?, id, round).await?;
        let broken = || crate::store::StoreError::inconsistent("tasks", "answers", id);
        rows.into_iter()
            .map(|(answers, count)| Ok((serde_json::from_str(&answers).map_err(|_| broken())?, count)))
            .collect()
    }
}

/// Which crew goes to a cover.
struct Division {
    crews: HashMap<(String, String), Option<UserId>>,
    /// Of a street that came in since they were divided: whoever has the fewest covers.
    least: Option<UserId>,
}

impl Division {
    fn new(campaign: &Campaign, streets: Vec<Street>) -> Self {
        let load = |crew: &&UserId| -> i64 {
            streets.iter().filter(|street| street.crew == Some(**crew)).map(|street| street.covers).sum()
        };
        let least = campaign.crews.iter().min_by_key(load).copied();
        let crews = streets.into_iter().map(|street| ((street.district, street.road), street.crew)).collect();
        Self { crews, least }
    }

    fn crew_of(&self, file: &CoverFile) -> Option<UserId> {
        self.crews.get(&street_of(file)).copied().unwrap_or(self.least)
    }
}

fn street_of(file: &CoverFile) -> (String, String) {
    (file.survey.district.clone(), file.survey.road.clone().unwrap_or_default())
}

/// Takes a campaign where it still stands as it was read; `None` = somebody else was faster.
async fn take_turn(tx: &mut Tx, read: &Campaign) -> Result<Option<Campaign>, RegistryError> {
    let now = campaigns::lock_campaign(tx, read.id).await?.ok_or_else(|| unknown_campaign(read.id))?;
    let same = now.state == CampaignState::Running
        && (now.stage, now.round, now.cursor) == (read.stage, read.round, read.cursor);
    Ok(same.then_some(now))
}

/// Begins the round that goes on now, where there is one; a campaign without rounds has the one.
fn begin_round(campaign: &mut Campaign, now: Millis, utc_offset_minutes: i32) {
    let period = (campaign.from_at, campaign.until_at);
    let last = (campaign.round > 0).then_some(campaign.round_from);
    let round = match &campaign.repeat {
        Some(repeat) => repeat.round_at(period, last, now, utc_offset_minutes),
        None => last.is_none().then_some(period),
    };
    if let Some((from, until)) = round {
        campaign.round += 1;
        (campaign.round_from, campaign.round_until) = (from, until);
        (campaign.stage, campaign.cursor) = (CampaignStage::Dividing, None);
    }
}

/// Opens the next round of a plan whose day has come, or ends what is over: whether it did the one or the other. A round
/// whose tasks are still being made goes first.
pub(super) async fn open_round(
    tx: &mut Tx,
    id: CampaignId,
    now: Millis,
    utc_offset_minutes: i32,
) -> Result<(bool, bool), RegistryError> {
    let mut campaign = campaigns::lock_campaign(tx, id).await?.ok_or_else(|| unknown_campaign(id))?;
    if campaign.state != CampaignState::Running {
        return Ok((false, false));
    }
    if now >= campaign.until_at {
        campaign.state = CampaignState::Closed;
        campaign.ended_at = Some(now);
        campaign.version += 1;
        campaigns::update_campaign(tx, &campaign).await?;
        tell(tx, &campaign, now).await?;
        return Ok((false, true));
    }
    if !matches!(campaign.stage, CampaignStage::Waiting | CampaignStage::Ready) {
        return Ok((false, false));
    }
    let before = campaign.round;
    begin_round(&mut campaign, now, utc_offset_minutes);
    if campaign.round == before {
        return Ok((false, false));
    }
    campaigns::update_campaign(tx, &campaign).await?;
    Ok((true, false))
}

/// What becomes of open tasks when their campaign has ended so.
pub(super) fn settled_as(state: CampaignState) -> Option<TaskState> {
    match state {
        CampaignState::Closed => Some(TaskState::Missed),
        CampaignState::Withdrawn => Some(TaskState::Withdrawn),
        CampaignState::Draft | CampaignState::Running => None,
    }
}

async fn tell(tx: &mut Tx, campaign: &Campaign, now: Millis) -> Result<(), RegistryError> {
    let body = json!({"campaign": campaign.id, "kind": campaign.kind, "state": campaign.state});
    let events = vec![(format!("campaign.{}", campaign.state), body.to_string())];
    Ok(feed::record(tx, now, News { events, changed: Vec::new() }).await?)
}

pub(super) fn unknown_campaign(id: CampaignId) -> RegistryError {
    RegistryError::NotFound(Refusal::new("campaign.unknown").with("read", id))
}
