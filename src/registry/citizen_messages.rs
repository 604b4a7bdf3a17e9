//! 群众通知: who is told what, and what a message says when it leaves. The log names a message by its id and holds neither
//! text nor address; both are looked up when it is sent, so that who unsubscribed meanwhile is told nothing.

use serde_json::json;

use super::reports::standing_case;
use super::{Registry, RegistryError, base32, same_secret, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseMove, Report};
use crate::domain::citizen::{Channel, CitizenMessage, Follower, MessageKind, channel_of};
use crate::domain::cover::{CoverFile, Party};
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::{CaseId, FollowerId, MessageId, Millis, WordId};
use crate::domain::token::Token;
use crate::store::feed::{self, News};
use crate::store::{Tx, cases, citizen_messages, citizens, covers, history, people, plates};

/// Somebody wants to hear.
#[derive(Clone)]
pub struct NewFollower {
    pub address: String,
    /// `zh-CN` or `en`.
    pub language: &'static str,
}

/// Addresses are in no log.
impl std::fmt::Debug for NewFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewFollower").field("language", &self.language).finish_non_exhaustive()
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// A question whether the address is meant is on its way, or was before.
    Asked,
    /// They hear from now on.
    Confirmed,
}

/// What somebody follows, as their own page shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowedThing {
    pub follower: Follower,
    /// Tracking number; `None` where they follow a cover.
    pub tracking: Option<String>,
    pub cover: Option<CoverFile>,
}

/// A message with all that is told in it.
#[derive(Clone, PartialEq)]
pub struct CitizenLetter {
    pub id: MessageId,
    pub kind: MessageKind,
    pub channel: Channel,
    pub address: String,
    /// `zh-CN` or `en`.
    pub language: String,
    /// Last part of the addresses at which it is confirmed or unsubscribed.
    pub follower_link: String,
    /// Number and link of the report; `None` for who follows a cover, and before somebody confirmed.
    pub report: Option<(String, String)>,
    pub case: Option<Case>,
    pub cover: Option<CoverFile>,
    pub party: Option<Party>,
    /// What the desk wrote.
    pub word: Option<String>,
    /// Why nothing is done.
    pub why: Option<String>,
}

/// Addresses and secret links are in no log.
impl std::fmt::Debug for CitizenLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CitizenLetter")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Characters of the secret part of a follower's link: 80 bits.
const SECRET_CHARS: usize = 16;
/// Questions that wait at one address; more are not sent, so that nobody's mailbox is filled by a stranger.
const UNCONFIRMED: i64 = 3;
/// How long a question waits for its answer before the address is forgotten.
const CONFIRM_WITHIN_MS: i64 = 3 * 86_400_000;
const SWEPT: i64 = 500;

impl Registry {
    /// Tells whoever reported how it goes on; `None` when no report has this address.
    pub async fn follow_report(
        &self,
        link: &str,
        new: NewFollower,
    ) -> Result<Option<Followed>, RegistryError> {
        let (address, channel) = checked(&new.address)?;
        let Some(report) = self.find_linked(&mut self.store.read().await?, link).await? else {
            return Ok(None);
        };
        let follower = self.fresh_follower(channel, address, new.language);
        self.follow(Follower { report: Some(report.id), ..follower }, Some(report)).await.map(Some)
    }

    /// Tells somebody what happens with the cover on which this plate hangs. By mail only: a number that is typed
    /// wrongly cannot say so.
    pub async fn follow_cover(&self, token: Token, new: NewFollower) -> Result<Followed, RegistryError> {
        let (address, channel) = checked(&new.address)?;
        if channel != Channel::Mail {
            return Err(Refusal::new("follow.mail_only").at("address").into());
        }
        let plate = plates::find_plate(&mut self.store.read().await?, token).await?;
        let unknown = || RegistryError::NotFound(Refusal::new("plate.unknown").at("token"));
        let Some(cover) = plate.ok_or_else(unknown)?.cover else {
            return Err(Refusal::new("plate.blank").at("token").into());
        };
        let follower = self.fresh_follower(channel, address, new.language);
        self.follow(Follower { cover: Some(cover), ..follower }, None).await
    }

    fn fresh_follower(&self, channel: Channel, address: String, language: &str) -> Follower {
        let now = self.now();
        Follower {
            id: FollowerId::fresh(),
            report: None,
            cover: None,
            channel,
            address,
            language: language.to_owned(),
            created_at: now,
            confirmed_at: (channel == Channel::Phone).then_some(now),
        }
    }

    async fn follow(&self, follower: Follower, report: Option<Report>) -> Result<Followed, RegistryError> {
        let now = self.now();
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let (follower, report) = (follower.clone(), report.clone());
                Box::pin(async move {
                    let is_confirmed = follower.confirmed_at.is_some();
                    let outcome = if is_confirmed { Followed::Confirmed } else { Followed::Asked };
                    let waits = citizens::count_unconfirmed(tx, &follower.address).await?;
                    if (!is_confirmed && waits >= UNCONFIRMED)
                        || !citizens::add_follower(tx, &follower).await?
                    {
                        // Whether an address follows already is nobody else's business.
                        return Ok(outcome);
                    }
                    let kind = if is_confirmed { MessageKind::Received } else { MessageKind::Confirm };
                    let case = match &report {
                        Some(report) => standing_case(tx, report.case).await?,
                        None => None,
                    };
                    let events =
                        tell(tx, &[follower], report.as_ref(), case.as_ref(), (kind, None), now).await?;
                    feed::record(tx, now, News { events, changed: Vec::new() }).await?;
                    Ok(outcome)
                })
            })
            .await
    }

    /// The last part of the addresses at which a follower confirms and unsubscribes.
    fn follower_link(&self, follower: FollowerId) -> String {
        format!("{}-{}", follower.0.simple(), self.follower_secret(follower))
    }

    fn follower_secret(&self, follower: FollowerId) -> String {
        let digest = sha256(&[b"follower", self.instance_secret.as_slice(), follower.0.as_bytes()]);
        base32(&digest[..SECRET_CHARS * 5 / 8])
    }

    /// Who has this address, with what they follow; `None` for every address that does not fit, and once they left.
    pub async fn find_followed(&self, link: &str) -> Result<Option<FollowedThing>, RegistryError> {
        let Some((id, secret)) = link.rsplit_once('-') else { return Ok(None) };
        let Ok(id) = id.parse::<FollowerId>() else { return Ok(None) };
        if !same_secret(secret.to_ascii_uppercase().as_bytes(), self.follower_secret(id).as_bytes()) {
            return Ok(None);
        }
        let mut tx = self.store.read().await?;
        let Some(follower) = citizens::find_follower(&mut tx, id).await? else { return Ok(None) };
        let tracking = match follower.report {
            Some(report) => cases::find_report_by_id(&mut tx, report).await?.map(|report| report.tracking),
            None => None,
        };
        let cover = match follower.cover {
            Some(cover) => covers::find_cover(&mut tx, cover).await?,
            None => None,
        };
        Ok(Some(FollowedThing { follower, tracking, cover }))
    }

    /// It is their address: they hear from now on, first where it stands. Once more changes nothing.
    pub async fn confirm_follower(&self, link: &str) -> Result<Option<FollowedThing>, RegistryError> {
        let Some(found) = self.find_followed(link).await? else { return Ok(None) };
        let (follower, now) = (found.follower.clone(), self.now());
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let follower = follower.clone();
                Box::pin(async move {
                    if !citizens::confirm_follower(tx, follower.id, now).await? {
                        return Ok(());
                    }
                    let report = match follower.report {
                        Some(report) => cases::find_report_by_id(tx, report).await?,
                        None => None,
                    };
                    let case = match &report {
                        Some(report) => standing_case(tx, report.case).await?,
                        None => None,
                    };
                    let what = (MessageKind::Received, None);
                    let events = tell(tx, &[follower], report.as_ref(), case.as_ref(), what, now).await?;
                    Ok(feed::record(tx, now, News { events, changed: Vec::new() }).await?)
                })
            })
            .await?;
        self.find_followed(link).await
    }

    /// Forgets an address; `false` when it was not known, or forgotten already.
    pub async fn unfollow(&self, link: &str) -> Result<bool, RegistryError> {
        let Some(found) = self.find_followed(link).await? else { return Ok(false) };
        let id = found.follower.id;
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(citizens::remove_follower(tx, id).await?) })
            })
            .await?;
        Ok(true)
    }

    /// Forgets addresses that nobody confirmed; answers how many.
    pub async fn forget_unconfirmed(&self) -> Result<usize, RegistryError> {
        let before = Millis(self.now().0 - CONFIRM_WITHIN_MS);
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                Box::pin(async move {
                    let ids = citizens::list_unconfirmed_before(tx, before, SWEPT).await?;
                    for id in &ids {
                        citizens::remove_follower(tx, *id).await?;
                    }
                    Ok(ids.len())
                })
            })
            .await
    }

    /// What a message says now; `None` when whoever it is for wants nothing any more.
    pub async fn compose_message(&self, id: MessageId) -> Result<Option<CitizenLetter>, RegistryError> {
        let mut tx = self.store.read().await?;
        let Some(message) = citizen_messages::find_message(&mut tx, id).await? else { return Ok(None) };
        let Some(follower) = citizens::find_follower(&mut tx, message.follower).await? else {
            return Ok(None);
        };
        if follower.confirmed_at.is_none() && message.kind != MessageKind::Confirm {
            return Ok(None);
        }
        let report = match follower.report {
            Some(report) => cases::find_report_by_id(&mut tx, report).await?,
            None => None,
        };
        let case = match message.case {
            Some(case) => cases::find_case(&mut tx, case).await?,
            None => None,
        };
        let cover = match case.as_ref().map_or(follower.cover, |case| case.cover) {
            Some(cover) => covers::find_cover(&mut tx, cover).await?,
            None => None,
        };
        let party = match case.as_ref().and_then(|case| case.party) {
            Some(party) => people::find_party(&mut tx, party).await?,
            None => None,
        };
        let word = match (message.word, &report) {
            (Some(word), Some(report)) => {
                let words = citizens::list_report_words(&mut tx, report.id).await?;
                words.into_iter().find(|known| known.id == word).map(|word| word.text)
            }
            _ => None,
        };
        let why = match (&case, message.kind) {
            (Some(case), MessageKind::Rejected) => {
                let timeline = history::list_case_entries(&mut tx, case.id).await?;
                last_move(&timeline, CaseMove::Reject).and_then(|(_, why)| why)
            }
            _ => None,
        };
        let is_confirm = message.kind == MessageKind::Confirm;
        let link = |report: Report| {
            let link = if is_confirm { String::new() } else { self.link_of(&report.tracking, report.id) };
            (report.tracking, link)
        };
        Ok(Some(CitizenLetter {
            id,
            kind: message.kind,
            channel: follower.channel,
            follower_link: self.follower_link(follower.id),
            address: follower.address,
            language: follower.language,
            report: report.map(link),
            case,
            cover,
            party,
            word,
            why,
        }))
    }
}

fn checked(address: &str) -> Result<(String, Channel), Refusal> {
    let address = address.trim();
    match channel_of(address) {
        Some(channel) => Ok((address.to_owned(), channel)),
        None => Err(Refusal::new("follow.address").at("address")),
    }
}

/// When a move was made last, and why.
fn last_move(timeline: &[HistoryEntry], made: CaseMove) -> Option<(Millis, Option<String>)> {
    timeline.iter().rev().filter(|entry| entry.kind == HistoryKind::CaseMoved).find_map(|entry| {
        let body: serde_json::Value = serde_json::from_str(&entry.body).ok()?;
        (body["move"] == made.as_str()).then(|| (entry.at, body["why"].as_str().map(str::to_owned)))
    })
}

/// Tells everybody who follows a case or its cover; answers what the outbox hears.
pub(super) async fn tell_all(
    tx: &mut Tx,
    case: &Case,
    kind: MessageKind,
    now: Millis,
) -> Result<Vec<(String, String)>, RegistryError> {
    let mut followers = citizens::list_case_followers(tx, case.id).await?;
    if followers.is_empty() {
        return Ok(Vec::new());
    }
    if kind == MessageKind::UnderWay {
        // Once, until it is opened again.
        let timeline = history::list_case_entries(tx, case.id).await?;
        let since = last_move(&timeline, CaseMove::Reopen).map_or(Millis(0), |(at, _)| at);
        let told = citizen_messages::list_told(tx, case.id, kind, since).await?;
        followers.retain(|follower| !told.contains(&follower.id));
    }
    tell(tx, &followers, None, Some(case), (kind, None), now).await
}

/// Tells those who follow one report.
pub(super) async fn tell_reporter(
    tx: &mut Tx,
    report: &Report,
    case: Option<&Case>,
    what: (MessageKind, Option<WordId>),
    now: Millis,
) -> Result<Vec<(String, String)>, RegistryError> {
    let followers = citizens::list_report_followers(tx, report.id).await?;
    tell(tx, &followers, Some(report), case, what, now).await
}

async fn tell(
    tx: &mut Tx,
    followers: &[Follower],
    report: Option<&Report>,
    case: Option<&Case>,
    (kind, word): (MessageKind, Option<WordId>),
    now: Millis,
) -> Result<Vec<(String, String)>, RegistryError> {
    let case_id: Option<CaseId> = case.map(|case| case.id);
    let messages: Vec<CitizenMessage> = followers
        .iter()
        .map(|follower| CitizenMessage {
            id: MessageId::fresh(),
            follower: follower.id,
            kind,
            case: case_id,
            word,
            created_at: now,
        })
        .collect();
    citizen_messages::add_messages(tx, &messages).await?;
    let mut events = Vec::with_capacity(messages.len());
    for (message, follower) in messages.iter().zip(followers) {
        let tracking = match (report, follower.report) {
            (Some(report), Some(_)) => Some(report.tracking.clone()),
            (None, Some(id)) => cases::find_report_by_id(tx, id).await?.map(|report| report.tracking),
            _ => None,
        };
        let body = json!({
            "message": message.id,
            "follower": message.follower,
            "kind": kind,
            "channel": follower.channel,
            "case": case.map(|case| &case.number),
            "tracking": tracking,
        });
        events.push(("citizen.message".to_owned(), body.to_string()));
    }
    Ok(events)
}
