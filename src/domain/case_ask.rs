//! 请示: what a party asks of the desk about its case: 延期, 挂账, 超期申诉, or simply something. An appeal is looked at
//! twice, by two people; being late stays in the file whatever they say.

use super::Refusal;
use super::case::{Case, CaseState};
use super::ids::{AskId, CaseId, Millis, PartyId, UserId};
use super::limits::LimitRules;
use super::names::named_enum;
use super::role::{Actor, Role};

named_enum! {
    AskKind as "ask_kind" {
        /// 延期
        Extension = "extension",
        /// 挂账
        Suspension = "suspension",
        /// 超期申诉
        Appeal = "appeal",
        /// 咨询
        Question = "question",
    }
}

named_enum! {
    AskState as "ask_state" {
        Open = "open",
        /// 初审通过: one of two has agreed to an appeal.
        Endorsed = "endorsed",
        Granted = "granted",
        Denied = "denied",
        Answered = "answered",
    }
}

impl AskState {
    /// Whether somebody at the desk has to say something.
    pub const fn is_open(self) -> bool {
        matches!(self, AskState::Open | AskState::Endorsed)
    }
}

named_enum! {
    /// What the desk says.
    AskVerdict as "ask_verdict" {
        /// 初审同意
        Endorse = "endorse",
        /// 同意
        Grant = "grant",
        /// 不同意
        Deny = "deny",
        /// 答复
        Answer = "answer",
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct CaseAsk {
    pub id: AskId,
    pub case: CaseId,
    pub kind: AskKind,
    pub state: AskState,
    pub party: PartyId,
    pub reason: String,
    /// Until when a pause is wanted.
    pub until: Option<Millis>,
    pub asked_by: UserId,
    pub asked_at: Millis,
    pub endorsed_by: Option<UserId>,
    pub endorsed_at: Option<Millis>,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<Millis>,
    pub answer: Option<String>,
}

/// Whether a party can ask this now; `before` is what it asked already.
pub fn check_ask(
    case: &Case,
    kind: AskKind,
    until: Option<Millis>,
    before: &[CaseAsk],
    rules: &LimitRules,
    now: Millis,
) -> Result<(), Refusal> {
    if before.iter().any(|ask| ask.kind == kind && ask.state.is_open()) {
        return Err(Refusal::new("ask.open_already").with("kind", kind));
    }
    let not_now = || Refusal::new("ask.not_now").with("kind", kind).with("state", case.state);
    match kind {
        AskKind::Extension if matches!(case.state, CaseState::Dispatched | CaseState::Handling) => {
            case.check_extension(rules, now)
        }
        AskKind::Suspension if case.state == CaseState::Handling => {
            let until = until.ok_or_else(|| Refusal::new("case.needs_until").at("until"))?;
            if until <= now {
                return Err(Refusal::new("case.until_past").at("until"));
            }
            case.check_suspension(until, rules, now)
        }
        AskKind::Extension | AskKind::Suspension => Err(not_now()),
        AskKind::Appeal => {
            if before.iter().any(|ask| ask.kind == AskKind::Appeal) {
                return Err(Refusal::new("ask.appealed_before"));
            }
            let is_late_now = matches!(case.state, CaseState::Dispatched | CaseState::Handling)
                && case.due_at.is_some_and(|due| due < now);
            if case.late_ms > 0 || is_late_now { Ok(()) } else { Err(Refusal::new("ask.not_late")) }
        }
        AskKind::Question if case.state.is_open() => Ok(()),
        AskKind::Question => Err(not_now()),
    }
}

/// The state that a verdict leads to, or why this person cannot give it now.
pub fn check_verdict(ask: &CaseAsk, verdict: AskVerdict, actor: &Actor) -> Result<AskState, Refusal> {
    let Actor::Staff { user, role, .. } = actor else { return Err(Refusal::new("ask.role")) };
    let is_supervisor = matches!(role, Role::Supervisor | Role::Admin);
    if !is_supervisor && *role != Role::Dispatcher {
        return Err(Refusal::new("ask.role"));
    }
    match (ask.kind, ask.state, verdict) {
        (_, state, _) if !state.is_open() => Err(Refusal::new("ask.decided").with("state", state)),
        (AskKind::Question, _, AskVerdict::Answer) => Ok(AskState::Answered),
        (AskKind::Appeal, AskState::Open, AskVerdict::Endorse) => Ok(AskState::Endorsed),
        (AskKind::Appeal, AskState::Open, AskVerdict::Deny) => Ok(AskState::Denied),
        (AskKind::Appeal, AskState::Endorsed, AskVerdict::Grant | AskVerdict::Deny) => {
            if !is_supervisor {
                return Err(Refusal::new("ask.needs_supervisor"));
            }
            if ask.endorsed_by == Some(*user) {
                return Err(Refusal::new("ask.second_person"));
            }
            Ok(if verdict == AskVerdict::Grant { AskState::Granted } else { AskState::Denied })
        }
        (AskKind::Extension | AskKind::Suspension, _, AskVerdict::Grant | AskVerdict::Deny) => {
            if !is_supervisor {
                return Err(Refusal::new("ask.needs_supervisor"));
            }
            Ok(if verdict == AskVerdict::Grant { AskState::Granted } else { AskState::Denied })
        }
        _ => Err(Refusal::new("ask.unfit_verdict").at("verdict").with("read", verdict)),
    }
}

/// What somebody can say to it now, for the buttons of a page.
pub fn possible_verdicts(ask: &CaseAsk, actor: &Actor) -> Vec<AskVerdict> {
    AskVerdict::ALL.iter().copied().filter(|verdict| check_verdict(ask, *verdict, actor).is_ok()).collect()
}
