//! 群众: what passes between the city and whoever reported: words, marks, photos that were looked at, and what they are
//! told.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::case::{Case, CaseMove, CaseState};
use super::ids::{CallBackId, CoverId, FollowerId, MessageId, Millis, PhotoId, ReportId, WordId};
use super::names::named_enum;

named_enum! {
    /// Who said something.
    Voice as "voice" {
        /// The desk or a party asks, or answers.
        City = "city",
        Citizen = "citizen",
    }
}

named_enum! {
    /// How a follower is reached.
    Channel as "channel" {
        Mail = "mail",
        /// By the city's own gateway, which hears of it as a receiver.
        Phone = "phone",
    }
}

named_enum! {
    /// What a follower is told.
    MessageKind as "message_kind" {
        /// 确认: whether the address is meant. The only one that goes to an address nobody confirmed.
        Confirm = "confirm",
        /// The first after that, with the link.
        Received = "received",
        /// The desk wrote something.
        Question = "question",
        /// Somebody has it in hand; once, until it is opened again.
        UnderWay = "under_way",
        Closed = "closed",
        Rejected = "rejected",
        Reopened = "reopened",
        /// A photo of the work may be seen.
        Result = "result",
    }
}

impl MessageKind {
    /// What is told of a move that was made; `None` for those that change nothing for whoever waits.
    pub fn of_move(made: CaseMove, case: &Case) -> Option<Self> {
        match (made, case.state) {
            (CaseMove::Close, _) => Some(MessageKind::Closed),
            (CaseMove::Reject, _) => Some(MessageKind::Rejected),
            (CaseMove::Reopen, _) => Some(MessageKind::Reopened),
            (CaseMove::File | CaseMove::Dispatch | CaseMove::Accept, CaseState::Dispatched)
                if case.party.is_some() =>
            {
                Some(MessageKind::UnderWay)
            }
            (CaseMove::Accept, CaseState::Handling) => Some(MessageKind::UnderWay),
            _ => None,
        }
    }
}

named_enum! {
    /// What whoever is not content wants.
    Wish as "wish" {
        /// 回访
        CallBack = "call_back",
        /// It is not mended: the hazard is reported again.
        NotMended = "not_mended",
    }
}

/// A word of one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CitizenWord {
    pub id: WordId,
    pub report: ReportId,
    pub voice: Voice,
    pub text: String,
    /// `citizen` or `user:<uuid>`.
    pub actor: String,
    pub created_at: Millis,
    /// When the other side answered, or said that there is nothing to answer.
    pub answered_at: Option<Millis>,
}

/// Who wants to hear.
#[derive(Clone, PartialEq, Eq)]
pub struct Follower {
    pub id: FollowerId,
    /// What they follow: one of the two.
    pub report: Option<ReportId>,
    pub cover: Option<CoverId>,
    pub channel: Channel,
    /// Told to nobody but who carries messages.
    pub address: String,
    /// `zh-CN` or `en`.
    pub language: String,
    pub created_at: Millis,
    pub confirmed_at: Option<Millis>,
}

/// Addresses are in no log.
impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// What a follower is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CitizenMessage {
    pub id: MessageId,
    pub follower: FollowerId,
    pub kind: MessageKind,
    pub case: Option<super::ids::CaseId>,
    pub word: Option<WordId>,
    pub created_at: Millis,
}

/// How content somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rating {
    pub report: ReportId,
    pub score: i64,
    pub text: String,
    /// The report by which they said that it is not mended.
    pub again: Option<ReportId>,
    pub rated_at: Millis,
    pub changed_at: Millis,
}

/// Scores, the worst first.
pub const SCORES: std::ops::RangeInclusive<i64> = 1..=5;
/// From which score on nobody is asked what they want.
pub const CONTENT: i64 = 3;
const DAY_MS: i64 = 86_400_000;
/// How long a mark may be changed.
const RATING_MS: i64 = 30 * DAY_MS;

impl Rating {
    pub fn may_change(&self, now: Millis) -> bool {
        now.0 - self.rated_at.0 <= RATING_MS && self.again.is_none()
    }
}

/// Somebody wants to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBack {
    pub id: CallBackId,
    pub report: ReportId,
    pub asked_at: Millis,
    pub outcome: Option<String>,
    pub done_by: Option<String>,
    pub done_at: Option<Millis>,
}

/// What is covered up in a photo, in percent of its sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurBox {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Most boxes of one photo.
pub const BOX_LIMIT: usize = 12;

impl BlurBox {
    fn check(&self) -> Result<(), Refusal> {
        let BlurBox { left, top, width, height } = *self;
        let within = |number: f64| (0.0..=100.0).contains(&number);
        let fits = [left, top, width, height].into_iter().all(within) && width > 0.0 && height > 0.0;
        match fits && left < 100.0 && top < 100.0 {
            true => Ok(()),
            false => Err(Refusal::new("release.box").at("boxes")),
        }
    }
}

pub fn check_boxes(boxes: &[BlurBox]) -> Result<(), Refusal> {
    if boxes.len() > BOX_LIMIT {
        let refusal = Refusal::new("release.too_many_boxes").at("boxes").with("count", boxes.len());
        return Err(refusal.with("most", BOX_LIMIT));
    }
    boxes.iter().try_for_each(BlurBox::check)
}

/// Whether a text is boxes as they are stored.
pub fn is_boxes(text: &str) -> bool {
    serde_json::from_str::<Vec<BlurBox>>(text).is_ok_and(|boxes| check_boxes(&boxes).is_ok())
}

/// A photo that the public may see.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleasedPhoto {
    pub photo: PhotoId,
    pub boxes: Vec<BlurBox>,
    pub actor: String,
    pub released_at: Millis,
}

/// Longest address to be told something at.
pub const ADDRESS_LIMIT: usize = 100;

/// Which way leads to an address as somebody typed it; `None` when it is neither a mail address nor a telephone number.
pub fn channel_of(address: &str) -> Option<Channel> {
    if address.len() > ADDRESS_LIMIT
        || address.chars().any(|c| c.is_control() || c.is_whitespace() && c != ' ')
    {
        return None;
    }
    if is_mail_address(address) {
        return Some(Channel::Mail);
    }
    let digits = address.bytes().filter(u8::is_ascii_digit).count();
    let is_number = address.bytes().all(|b| b.is_ascii_digit() || b" +-()".contains(&b));
    (is_number && (7..=15).contains(&digits)).then_some(Channel::Phone)
}

/// One address that mail can be sent to: no names, lists or comments, and nothing that a header could be made of.
pub fn is_mail_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=64).contains(&local.len())
        && text.len() <= ADDRESS_LIMIT
        && local.bytes().all(is_local)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_somewhere_or_is_none() {
        for mail in ["li@example.cn", "a.b+c@mail.example.com", "x_1@xn--fiq.cn"] {
            assert_eq!(channel_of(mail), Some(Channel::Mail), "{mail}");
        }
        for phone in ["13800000000", "+86 138 0000 0000", "0546-8000000"] {
            assert_eq!(channel_of(phone), Some(Channel::Phone), "{phone}");
        }
        for neither in
            ["", "@", "a@b", "a@b.c\r\nBcc: x@y.z", "王师傅", "a b@c.d", "a@-b.cn", ".a@b.cn", "12345"]
        {
            assert_eq!(channel_of(neither), None, "{neither}");
        }
    }

    #[test]
    fn boxes_lie_on_the_photo() {
        let fit = BlurBox { left: 10.0, top: 0.0, width: 90.0, height: 100.0 };
        assert!(check_boxes(&[fit]).is_ok() && check_boxes(&[]).is_ok());
        for wrong in [
            BlurBox { width: 0.0, ..fit },
            BlurBox { left: -1.0, ..fit },
            BlurBox { left: 100.0, ..fit },
            BlurBox { height: f64::NAN, ..fit },
            BlurBox { top: f64::INFINITY, ..fit },
        ] {
            assert!(check_boxes(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(check_boxes(&[fit; BOX_LIMIT + 1]).is_err());
    }
}
