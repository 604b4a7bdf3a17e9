//! Who may do what: roles of staff and the actor behind a change.

use super::ids::{PartyId, UserId};
use super::names::named_enum;

named_enum! {
    /// What a member of staff may do. Citizens need no account and have no role.
    Role as "role" {
        /// Fits plates, surveys covers.
        Crew = "crew",
        /// 网格员: looks after one grid, reports and checks.
        GridWorker = "grid_worker",
        /// Works for one party; sees that party's cases only.
        Handler = "handler",
        /// 派遣员: files and dispatches.
        Dispatcher = "dispatcher",
        /// 监督员: checks, closes, suspends.
        Supervisor = "supervisor",
        /// Keeps the registry: imports, edits, queries.
        Engineer = "engineer",
        /// Everything, users included.
        Admin = "admin",
    }
}

/// Who is behind a change, as written into the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody without an account.
    Citizen,
    /// Lidmark itself, e.g. filing an emergency without waiting for a person.
    System,
    Staff {
        user: UserId,
        role: Role,
        party: Option<PartyId>,
    },
}

impl Actor {
    /// Whether they deal with cases and may ask the citizen back: crews and engineers look after
    /// covers and need nobody's telephone number.
    pub const fn may_see_contacts(&self) -> bool {
        match self {
            Actor::Citizen => false,
            Actor::System => true,
            Actor::Staff { role, .. } => !matches!(role, Role::Crew | Role::Engineer),
        }
    }

    /// The member of staff; `None` for everybody else.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Actor::Citizen | Actor::System => None,
            Actor::Staff { user, .. } => Some(*user),
        }
    }

    /// The word the history keeps: `citizen`, `system` or `user:<uuid>`. Never a name.
    pub fn word(&self) -> String {
        match self {
            Actor::Citizen => "citizen".to_owned(),
            Actor::System => "system".to_owned(),
            Actor::Staff { user, .. } => format!("user:{user}"),
        }
    }
}
