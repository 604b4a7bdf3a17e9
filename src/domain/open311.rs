//! What GeoReport (Open311) and we call the same things.

use super::case::CaseState;
use super::hazard::Hazard;
use super::names::named_enum;

named_enum! {
    /// What stands behind a report as far as Open311 is concerned.
    Open311Kind as "open311_kind" {
        /// Sent as a service request.
        Request = "request",
        /// What somebody added to a request later; no request of its own.
        Word = "word",
        /// Came another way, and goes on in another case since somebody wrote that it is not mended.
        Followed = "followed",
    }
}

named_enum! {
    /// How a request stands in the words of the updates extension; what a FixMyStreet may send.
    UpdateStatus as "update_status" {
        Open = "OPEN",
        Reopen = "REOPEN",
        Investigating = "INVESTIGATING",
        ForTriage = "FOR_TRIAGE",
        InProgress = "IN_PROGRESS",
        ActionScheduled = "ACTION_SCHEDULED",
        Fixed = "FIXED",
        Closed = "CLOSED",
        Duplicate = "DUPLICATE",
        NoFurtherAction = "NO_FURTHER_ACTION",
        NotCouncilsResponsibility = "NOT_COUNCILS_RESPONSIBILITY",
        InternalReferral = "INTERNAL_REFERRAL",
        Cancelled = "CANCELLED",
    }
}

impl UpdateStatus {
    /// As the public hears of a case in this state.
    pub const fn of(state: CaseState) -> Self {
        match state {
            CaseState::Reported => UpdateStatus::Open,
            CaseState::Filed | CaseState::Returned => UpdateStatus::Investigating,
            CaseState::Dispatched | CaseState::Suspended => UpdateStatus::ActionScheduled,
            CaseState::Handling | CaseState::Handled | CaseState::Checked => UpdateStatus::InProgress,
            CaseState::Closed => UpdateStatus::Fixed,
            CaseState::Rejected => UpdateStatus::NoFurtherAction,
            CaseState::Joined => UpdateStatus::Duplicate,
            CaseState::Reopened => UpdateStatus::Reopen,
        }
    }

    /// Whether whoever says it finds that something is still to be done.
    pub const fn asks_for_more(self) -> bool {
        matches!(
            self,
            UpdateStatus::Open
                | UpdateStatus::Reopen
                | UpdateStatus::Investigating
                | UpdateStatus::ForTriage
                | UpdateStatus::InProgress
                | UpdateStatus::ActionScheduled
        )
    }
}

named_enum! {
    /// Under what the services are listed together.
    ServiceGroup as "service_group" {
        Cover = "cover",
        Surroundings = "surroundings",
        Water = "water",
        Plate = "plate",
        Other = "other",
    }
}

/// A hazard is a service.
impl ServiceGroup {
    pub const fn of(hazard: Hazard) -> Self {
        match hazard {
            Hazard::Missing
            | Hazard::Displaced
            | Hazard::Broken
            | Hazard::Rocking
            | Hazard::Level
            | Hazard::NoNet
            | Hazard::WrongCover => ServiceGroup::Cover,
            Hazard::Collapsed | Hazard::Gas | Hazard::Odour | Hazard::Cable => ServiceGroup::Surroundings,
            Hazard::Overflow | Hazard::Ponding | Hazard::Blocked => ServiceGroup::Water,
            Hazard::Plate | Hazard::PlatePastedOver | Hazard::PlateOutOfPlace => ServiceGroup::Plate,
            Hazard::Abandoned | Hazard::Other => ServiceGroup::Other,
        }
    }
}

/// Whether a request for this must say if somebody may get hurt: the cover itself is gone, broken, loose or uneven.
pub const fn asks_for_danger(hazard: Hazard) -> bool {
    matches!(hazard, Hazard::Missing | Hazard::Displaced | Hazard::Broken | Hazard::Rocking | Hazard::Level)
}
