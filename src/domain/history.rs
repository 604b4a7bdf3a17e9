//! 井档案: one line in a manhole's file, append-only, hash-chained so that a check can prove that
//! nobody rewrote a file.

use sha2::{Digest, Sha256};

use super::ids::{CaseId, ManholeId, Millis};
use super::names::named_enum;

/// SHA-256 of an entry or, for an empty file, 32 zero bytes.
pub type EntryHash = [u8; 32];

named_enum! {
    /// What happened.
    HistoryKind as "history_kind" {
        Created = "created",
        Updated = "updated",
        PlateMade = "plate_made",
        PlateInstalled = "plate_installed",
        PlateChanged = "plate_changed",
        /// Somebody went to look at the plate.
        PlateChecked = "plate_checked",
        Reported = "reported",
        ReportJoined = "report_joined",
        /// A case that waited for a look goes on.
        HoldEnded = "hold_ended",
        CaseMoved = "case_moved",
        /// 超期: the step at which it stood was over.
        CaseOverdue = "case_overdue",
        /// What a party asked of the desk about a case, and what it was told.
        CaseAsked = "case_asked",
        PhotoAdded = "photo_added",
        /// The cover has another code; the old one still finds it.
        CodeChanged = "code_changed",
        /// One more cover on this manhole.
        CoverAdded = "cover_added",
        Retired = "retired",
        Reinstated = "reinstated",
        /// Another manhole's file goes on in this one.
        Merged = "merged",
        /// This file goes on in another manhole's; the last entry while that holds.
        MergedAway = "merged_away",
        Unmerged = "unmerged",
        /// Covers left for a manhole of their own.
        Split = "split",
        /// The first entry of a manhole that was split off.
        SplitOff = "split_off",
        /// It lies close to another cover, and they are two; or that is taken back.
        ToldApart = "told_apart",
        /// The cover has no owner and stands in a notice.
        ClaimOpened = "claim_opened",
        /// What a party or the desk said to that.
        ClaimAnswered = "claim_answered",
        /// Somebody owns it or answers for it now, or the notice no longer concerns it.
        ClaimSettled = "claim_settled",
        /// That was taken back.
        ClaimUndone = "claim_undone",
        /// Somebody visited it for a task.
        TaskDone = "task_done",
        /// When its fall net or itself must be looked at next.
        DueDateSet = "due_date_set",
        /// A case of this file stands on a notice that was issued.
        NoticeIssued = "notice_issued",
        /// That notice was withdrawn.
        NoticeWithdrawn = "notice_withdrawn",
        /// What an addressee of such a notice did about the case.
        NoticeFeedback = "notice_feedback",
        /// A joint meeting decided about a case or a cover of this file.
        MeetingDecided = "meeting_decided",
        /// That no longer holds.
        MeetingRevoked = "meeting_revoked",
        /// A case of this file is held up as an example.
        ExemplaryMarked = "exemplary_marked",
        ExemplaryUnmarked = "exemplary_unmarked",
        /// 数字城管一体化平台: what an upstream platform said of a case, where it moved nothing.
        UpstreamSaid = "upstream_said",
        /// A sensor was put under a cover of this manhole.
        SensorInstalled = "sensor_installed",
        SensorRemoved = "sensor_removed",
        /// 撤防: planned work, until a moment; what the sensor says meanwhile files no case.
        SensorDisarmed = "sensor_disarmed",
        /// 设防: by a person, or by itself when that was over.
        SensorArmed = "sensor_armed",
        /// The sensor that raised a case no longer says that anything is wrong.
        SensorQuiet = "sensor_quiet",
        /// What the desk and whoever reported said to each other.
        CitizenWord = "citizen_word",
        /// How content whoever reported is.
        CitizenRated = "citizen_rated",
        /// 回访: somebody called whoever was not content.
        CitizenCalled = "citizen_called",
        /// A photo of work was looked at, and the public may see it.
        PhotoReleased = "photo_released",
        /// That was taken back.
        PhotoWithdrawn = "photo_withdrawn",
        /// The file came from another registry, whole.
        Transferred = "transferred",
    }
}

/// One entry as stored: every field the hash covers is kept as text or number, never re-rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub manhole: ManholeId,
    /// From 1 within the file.
    pub sequence: i64,
    pub at: Millis,
    /// `citizen`, `system` or `user:<uuid>`.
    pub actor: String,
    pub kind: HistoryKind,
    pub case: Option<CaseId>,
    /// JSON object with what changed, from where and why.
    pub body: String,
    pub hash: EntryHash,
}

impl HistoryEntry {
    /// `SHA-256(previous ‖ canonical entry)`: the canonical entry is every field in order, each
    /// text led by its length, so that no two different entries have the same bytes.
    pub fn expected_hash(&self, previous: &EntryHash) -> EntryHash {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(self.manhole.0.as_bytes());
        hasher.update(self.sequence.to_be_bytes());
        hasher.update(self.at.0.to_be_bytes());
        for text in [self.actor.as_str(), self.kind.as_str()] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        match self.case {
            Some(case) => {
                hasher.update([1]);
                hasher.update(case.0.as_bytes());
            }
            None => hasher.update([0]),
        }
        hasher.update((self.body.len() as u64).to_be_bytes());
        hasher.update(&self.body);
        hasher.finalize().into()
    }
}
