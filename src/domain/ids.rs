//! Identities. Each is a UUIDv7 of its own type, never reused; a client may make one offline.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

use super::Refusal;

macro_rules! uuid_id {
    ($( $(#[$meta:meta])* $name:ident, )+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh identity, ordered by time of making.
            pub fn fresh() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Refusal;
            fn from_str(text: &str) -> Result<Self, Refusal> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| Refusal::new("id.not_a_uuid").with("read", text.chars().take(60).collect::<String>()))
            }
        }
    )+ };
}

uuid_id! {
    /// 检查井: the shaft and its place; the file is kept for it.
    ManholeId,
    /// 井盖: what closes the manhole, has the official code and wears plates.
    CoverId,
    /// 上报: what one person said.
    ReportId,
    /// 案件: one problem on its way from filed to closed.
    CaseId,
    /// 请示: what a party asked of the desk.
    AskId,
    /// A department, owner or maintainer.
    PartyId,
    UserId,
    /// One order of plates.
    BatchId,
    PhotoId,
    /// A photo on its way in from the field, named by the phone.
    FieldPhotoId,
    /// 督办单: has a number only when it is issued.
    NoticeId,
    /// 会商: one joint meeting.
    MeetingId,
    /// 抽查: plates drawn at random to be looked at.
    SpotCheckId,
    /// 任务: one visit to one cover.
    TaskId,
    /// 专项巡护, or a patrol plan.
    CampaignId,
    /// 合并: one merge of two manholes.
    MergeId,
    /// 批量修改: one change of many covers.
    BulkEditId,
    /// A census file that waits to be looked at and written.
    UploadId,
    /// What passes between the desk and whoever reported.
    WordId,
    /// Who wants to hear of a report or a cover.
    FollowerId,
    /// What one of them is told.
    MessageId,
    /// 回访: somebody wants to be called.
    CallBackId,
    /// 事件接收方: who hears of events by webhook.
    ReceiverId,
    /// A sender whose reports wait for a look.
    BlockId,
    /// 红包: what is owed for a report.
    RewardId,
    /// 发放批次
    PayoutId,
    /// 传感器
    SensorId,
    /// Client-made; repeating a call under the same key gives the first answer.
    IdempotencyKey,
}

/// Milliseconds since 1970-01-01T00:00:00Z. Stored as such in both engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// RFC 3339 in UTC with seconds, e.g. `2026-11-23T08:00:00Z`.
    pub fn to_rfc3339(self) -> String {
        time::OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000))
            .ok()
            .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
            .unwrap_or_else(|| self.0.to_string())
    }
}
