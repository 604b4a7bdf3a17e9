//! 案件: the life of a hazard, as one table of allowed moves. Anything not in the table is refused.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::case_clock::CaseClock;
use super::hazard::Hazard;
use super::ids::{CaseId, CoverId, ManholeId, Millis, PartyId, ReportId, UserId};
use super::names::named_enum;
use super::position;
use super::role::{Actor, Role};

named_enum! {
    /// Where a case stands. `extended` 延期 is a mark on a case in handling, not a place to stand.
    CaseState as "case_state" {
        /// 已上报: somebody said so; nobody has looked yet.
        Reported = "reported",
        /// 已立案
        Filed = "filed",
        /// 已派遣: a party has it on its list.
        Dispatched = "dispatched",
        /// 处置中
        Handling = "handling",
        /// 已处置: handed in with a photo, waiting for the check.
        Handled = "handled",
        /// 已核查
        Checked = "checked",
        /// 已结案
        Closed = "closed",
        /// 已退回: the party says it is not theirs; back at the dispatcher's desk.
        Returned = "returned",
        /// 挂账: cannot be solved soon; the clock stands.
        Suspended = "suspended",
        /// 不予立案
        Rejected = "rejected",
        /// 已并案: duplicate of another case.
        Joined = "joined",
        /// 重新立案: found again after closing.
        Reopened = "reopened",
    }
}

impl CaseState {
    /// Whether somebody still has to act.
    pub const fn is_open(self) -> bool {
        !matches!(self, CaseState::Closed | CaseState::Rejected | CaseState::Joined)
    }
}

named_enum! {
    /// What people do to a case.
    CaseMove as "move" {
        /// 立案
        File = "file",
        /// 不予立案
        Reject = "reject",
        /// 并案
        Join = "join",
        /// 派遣
        Dispatch = "dispatch",
        /// 认领: offered to all parties of a claim pool, because nobody knows whose it is.
        Offer = "offer",
        /// 退回: the party refuses.
        Refuse = "refuse",
        /// 不认领: one party of a claim pool says that it is not theirs.
        Decline = "decline",
        /// 接单
        Accept = "accept",
        /// 先期处置: fenced and without danger; the repair comes next.
        MakeSafe = "make_safe",
        /// 处置反馈
        HandIn = "hand_in",
        /// 即查即改: whoever found it mended it at once.
        Fix = "fix",
        /// 返工: the check failed.
        SendBack = "send_back",
        /// 核查
        Check = "check",
        /// 结案
        Close = "close",
        /// 挂账
        Suspend = "suspend",
        /// 恢复
        Resume = "resume",
        /// 延期
        Extend = "extend",
        /// 重新立案
        Reopen = "reopen",
    }
}

named_enum! {
    /// What a move must bring along.
    Evidence as "evidence" {
        /// The party that shall handle it.
        Party = "party",
        /// The claim pool to which it is offered.
        Pool = "pool",
        /// Why.
        Reason = "reason",
        /// At least one photo, attached with this move.
        Photo = "photo",
        /// The case that this one joins.
        Target = "target",
        /// A day until which it holds.
        Until = "until",
        /// Made by somebody other than who handed in.
        SecondPerson = "second_person",
    }
}

/// One line of the table of allowed moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveRule {
    pub from: CaseState,
    pub made: CaseMove,
    pub to: CaseState,
    /// Who may make it. Admins may make every move.
    pub roles: &'static [Role],
    pub needs: &'static [Evidence],
}

/// The table: every allowed move, who may make it and what it needs.
/// ARCHITECTURE.md draws it; a test holds the drawing to the table.
pub const MOVES: &[MoveRule] = {
    use CaseMove::*;
    use CaseState::*;
    use Evidence::*;
    const DESK: &[Role] = &[Role::Dispatcher, Role::Supervisor];
    const PARTY: &[Role] = &[Role::Handler];
    const CHECK: &[Role] = &[Role::Supervisor, Role::Dispatcher, Role::GridWorker];
    const FIELD: &[Role] = &[Role::Crew, Role::GridWorker, Role::Engineer];
    const STRIKE_OFF: &[Role] = &[Role::Supervisor];
    const fn rule(
        from: CaseState,
        made: CaseMove,
        to: CaseState,
        roles: &'static [Role],
        needs: &'static [Evidence],
    ) -> MoveRule {
        MoveRule { from, made, to, roles, needs }
    }
    &[
        rule(Reported, File, Filed, DESK, &[]),
        rule(Reported, CaseMove::Reject, Rejected, DESK, &[Reason]),
        rule(Reported, Fix, Handled, FIELD, &[Photo]),
        rule(Reported, Join, Joined, DESK, &[Target]),
        rule(Filed, Dispatch, Dispatched, DESK, &[Evidence::Party]),
        rule(Filed, Offer, Dispatched, DESK, &[Pool]),
        rule(Filed, CaseMove::Reject, Rejected, DESK, &[Reason]),
        rule(Filed, Fix, Handled, FIELD, &[Photo]),
        rule(Filed, Join, Joined, DESK, &[Target]),
        rule(Dispatched, Accept, Handling, PARTY, &[]),
        rule(Dispatched, Refuse, Returned, PARTY, &[Reason]),
        rule(Dispatched, Decline, Dispatched, PARTY, &[Reason]),
        rule(Dispatched, Dispatch, Dispatched, DESK, &[Evidence::Party, Reason]),
        rule(Dispatched, CaseMove::Reject, Rejected, DESK, &[Reason]),
        rule(Dispatched, Join, Joined, DESK, &[Target]),
        rule(Dispatched, Fix, Handled, FIELD, &[Photo]),
        rule(Handling, Refuse, Returned, PARTY, &[Reason]),
        rule(Handling, Dispatch, Dispatched, DESK, &[Evidence::Party, Reason]),
        rule(Returned, Dispatch, Dispatched, DESK, &[Evidence::Party]),
        rule(Returned, Offer, Dispatched, DESK, &[Pool]),
        rule(Handling, Join, Joined, DESK, &[Target]),
        rule(Returned, CaseMove::Reject, Rejected, DESK, &[Reason]),
        rule(Returned, Join, Joined, DESK, &[Target]),
        rule(Returned, Fix, Handled, FIELD, &[Photo]),
        rule(Handling, MakeSafe, Handling, PARTY, &[Photo]),
        rule(Handling, HandIn, Handled, PARTY, &[Photo]),
        rule(Handling, Suspend, Suspended, STRIKE_OFF, &[Reason, Until]),
        rule(Suspended, Resume, Handling, STRIKE_OFF, &[]),
        rule(Dispatched, Extend, Dispatched, STRIKE_OFF, &[Reason]),
        rule(Handling, Extend, Handling, STRIKE_OFF, &[Reason]),
        rule(Handled, SendBack, Handling, CHECK, &[Reason, SecondPerson]),
        rule(Handled, Check, Checked, CHECK, &[SecondPerson]),
        rule(Checked, SendBack, Handling, STRIKE_OFF, &[Reason, SecondPerson]),
        rule(Checked, Close, Closed, STRIKE_OFF, &[Photo, SecondPerson]),
        rule(Closed, Reopen, Reopened, CHECK, &[Reason]),
        rule(Rejected, Reopen, Reopened, DESK, &[Reason]),
        rule(Reopened, Dispatch, Dispatched, DESK, &[Evidence::Party]),
        rule(Reopened, Offer, Dispatched, DESK, &[Pool]),
        rule(Reopened, CaseMove::Reject, Rejected, DESK, &[Reason]),
        rule(Reopened, Fix, Handled, FIELD, &[Photo]),
    ]
};

/// A move that somebody asks for, with what they bring.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MoveRequest {
    pub party: Option<PartyId>,
    /// The parties of the claim pool to which it is offered.
    pub pool: Vec<PartyId>,
    pub reason: Option<String>,
    /// How many photos come with it, those of before aside.
    pub photos: usize,
    pub target: Option<CaseId>,
    pub until: Option<Millis>,
    /// Whether the photos that come with a closing are released to the public as they are: whoever closes has looked.
    pub release: bool,
}

/// The line of the table for a move from this state.
pub fn find_rule(from: CaseState, made: CaseMove) -> Option<&'static MoveRule> {
    MOVES.iter().find(|rule| rule.from == from && rule.made == made)
}

/// Finds the rule for a move, or refuses in the order in which a person can do something about it:
/// not from this state, not this role, not this party's case, evidence missing.
pub fn check_move(
    case: &Case,
    made: CaseMove,
    actor: &Actor,
    request: &MoveRequest,
) -> Result<&'static MoveRule, Refusal> {
    let rule = find_rule(case.state, made).ok_or_else(|| {
        let fits: Vec<&str> =
            MOVES.iter().filter(|rule| rule.from == case.state).map(|rule| rule.made.as_str()).collect();
        Refusal::new("case.move_not_allowed")
            .with("state", case.state)
            .with("move", made)
            .with("fits", fits.join(", "))
    })?;
    let user = match actor {
        Actor::Citizen => {
            return Err(Refusal::new("case.role").with("move", made).with("fits", role_list(rule)));
        }
        Actor::System => None,
        Actor::Staff { user, role, party } => {
            if *role != Role::Admin && !rule.roles.contains(role) {
                return Err(Refusal::new("case.role").with("move", made).with("fits", role_list(rule)));
            }
            if *role == Role::Handler && !case.is_business_of(*party) {
                return Err(Refusal::new("case.other_party").with("move", made));
            }
            if !case.suits_pool(made, *party) {
                return Err(Refusal::new("case.pool_move").with("move", made));
            }
            Some(*user)
        }
    };
    for need in rule.needs {
        let brought = match need {
            Evidence::Party => request.party.is_some(),
            Evidence::Pool => !request.pool.is_empty(),
            Evidence::Reason => request.reason.as_deref().is_some_and(|reason| !reason.trim().is_empty()),
            Evidence::Photo => request.photos > 0,
            Evidence::Target => request.target.is_some_and(|target| target != case.id),
            Evidence::Until => request.until.is_some(),
            Evidence::SecondPerson => user.is_none() || user != case.handed_in_by,
        };
        if !brought {
            let code = match need {
                Evidence::Party => "case.needs_party",
                Evidence::Pool => "case.needs_pool",
                Evidence::Reason => "case.needs_reason",
                Evidence::Photo => "case.needs_photo",
                Evidence::Target => "case.needs_target",
                Evidence::Until => "case.needs_until",
                Evidence::SecondPerson => "case.needs_second_person",
            };
            return Err(Refusal::new(code).at(need.as_str()).with("move", made));
        }
    }
    Ok(rule)
}

fn role_list(rule: &MoveRule) -> String {
    rule.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

/// The moves that this actor could make now (evidence aside), for the buttons of a page.
pub fn possible_moves(case: &Case, actor: &Actor) -> Vec<&'static MoveRule> {
    MOVES
        .iter()
        .filter(|rule| rule.from == case.state)
        .filter(|rule| match actor {
            Actor::Staff { user, role, party } => {
                (*role == Role::Admin || rule.roles.contains(role))
                    && (*role != Role::Handler || case.is_business_of(*party))
                    && case.suits_pool(rule.made, *party)
                    && (!rule.needs.contains(&Evidence::SecondPerson) || Some(*user) != case.handed_in_by)
            }
            _ => false,
        })
        .collect()
}

/// A case as the desk sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub id: CaseId,
    /// Running number within the year, e.g. `2026-000041`.
    pub number: String,
    pub manhole: ManholeId,
    pub cover: Option<CoverId>,
    pub hazard: Hazard,
    pub state: CaseState,
    pub emergency: bool,
    /// Reports that say the same.
    pub report_count: i64,
    /// Who handles it.
    pub party: Option<PartyId>,
    /// Who handed it in last; must not check or close it.
    pub handed_in_by: Option<UserId>,
    pub joined_to: Option<CaseId>,
    /// Until when it is suspended.
    pub until: Option<Millis>,
    /// Who or what found it first.
    pub source: CaseSource,
    /// 分级: how much it hurries, by the rules of triage; higher is more.
    pub triage: i64,
    /// 认领池: the parties to which it is offered while it has none.
    pub offered_to: Vec<PartyId>,
    pub clock: CaseClock,
    /// When the step is over at which it stands; `None` where nothing counts.
    pub due_at: Option<Millis>,
    /// When somebody is reminded next.
    pub remind_at: Option<Millis>,
    pub counts: CaseCounts,
    /// How late parties handed in, in the time of their limits.
    pub late_ms: i64,
    /// 申诉: being late leaves the statistics, the fact stays.
    pub exempt: bool,
    /// 销号: year and number of the strike-off, e.g. `2026-000007`.
    pub strike_number: Option<String>,
    /// The closed case whose hazard this is again.
    pub recurs: Option<CaseId>,
    pub created_at: Millis,
    pub updated_at: Millis,
    /// First filed, first dispatched, handed in last.
    pub filed_at: Option<Millis>,
    pub dispatched_at: Option<Millis>,
    pub handled_at: Option<Millis>,
    pub closed_at: Option<Millis>,
    /// Counts moves; the `If-Match` of the next one.
    pub version: i64,
}

/// What is counted of a case for the statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    /// 派遣
    pub dispatches: i64,
    /// 退回: dispatches that a party refused.
    pub refusals: i64,
    /// 返工: checks that failed.
    pub reworks: i64,
    /// 复发
    pub reopenings: i64,
}

impl Case {
    /// A new case, reported once; filed at once when it is an emergency, because nobody may be at the desk.
    pub fn open(
        number: String,
        place: (ManholeId, Option<CoverId>),
        hazard: Hazard,
        source: CaseSource,
        now: Millis,
    ) -> Self {
        let emergency = hazard.is_emergency();
        Self {
            id: CaseId::fresh(),
            number,
            manhole: place.0,
            cover: place.1,
            hazard,
            state: if emergency { CaseState::Filed } else { CaseState::Reported },
            emergency,
            report_count: 1,
            party: None,
            handed_in_by: None,
            joined_to: None,
            until: None,
            source,
            triage: 0,
            offered_to: Vec::new(),
            clock: CaseClock { since: Some(now), ..CaseClock::default() },
            due_at: None,
            remind_at: None,
            counts: CaseCounts::default(),
            late_ms: 0,
            exempt: false,
            strike_number: None,
            recurs: None,
            created_at: now,
            updated_at: now,
            filed_at: emergency.then_some(now),
            dispatched_at: None,
            handled_at: None,
            closed_at: None,
            version: 1,
        }
    }

    /// Whether a party has it on its list, alone or with the others of a pool.
    pub fn is_business_of(&self, party: Option<PartyId>) -> bool {
        party.is_some_and(|party| self.party == Some(party) || self.offered_to.contains(&party))
    }

    /// Whether it waits for one of several parties to say that it is theirs.
    pub fn is_in_pool(&self) -> bool {
        self.state == CaseState::Dispatched && self.party.is_none()
    }

    /// What was offered to several is accepted or declined by one of them; what is a party's own it refuses.
    fn suits_pool(&self, made: CaseMove, party: Option<PartyId>) -> bool {
        let is_offered = party.is_some_and(|party| self.offered_to.contains(&party));
        match made {
            CaseMove::Accept => !self.is_in_pool() || is_offered,
            // With the last of them it goes back to the desk.
            CaseMove::Decline => self.is_in_pool() && is_offered && self.offered_to.len() > 1,
            CaseMove::Refuse => !self.is_in_pool() || (is_offered && self.offered_to.len() == 1),
            CaseMove::Extend => self.party.is_some(),
            _ => true,
        }
    }
}

named_enum! {
    /// 来源: who or what found a hazard (domain.md §7).
    CaseSource as "source" {
        /// 市民扫码
        CitizenScan = "citizen_scan",
        /// 市民随手拍: without a plate.
        CitizenPlace = "citizen_place",
        /// 日常巡护
        Patrol = "patrol",
        /// 专业巡护: the owner's own people.
        OwnerPatrol = "owner_patrol",
        /// 重点督查
        KeyInspection = "key_inspection",
        /// 民生热线
        Hotline = "hotline",
        /// 网格员
        GridWorker = "grid_worker",
        /// 专项巡护
        Campaign = "campaign",
        /// 回头看
        LookBack = "look_back",
        /// 物联网
        Sensor = "sensor",
        /// 其他系统
        Api = "api",
        /// Lidmark itself, e.g. a plate that is met far from its cover.
        Watch = "watch",
    }
}

/// What one person said.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub id: ReportId,
    /// What the citizen reads out on the phone, e.g. `R2026-000123`.
    pub tracking: String,
    pub case: CaseId,
    pub hazard: Hazard,
    pub description: String,
    /// Staff only; never on a public page.
    pub contact: Option<String>,
    pub phone_position: Option<PhonePosition>,
    pub source: CaseSource,
    /// 热线工单号: what another system calls it.
    pub external_number: Option<String>,
    pub created_at: Millis,
}

/// Where the reporting phone thinks it is: a hint, 5–20 m at best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhonePosition {
    pub lon: f64,
    pub lat: f64,
    pub accuracy_m: f64,
}

impl PhonePosition {
    /// Refuses what is no place on earth.
    pub fn check(&self) -> Result<(), Refusal> {
        position::check_degrees(self.lon, self.lat)?;
        if !self.accuracy_m.is_finite() || self.accuracy_m < 0.0 {
            return Err(Refusal::new("position.accuracy").at("accuracy_m").with("read", self.accuracy_m));
        }
        Ok(())
    }
}

/// Longest description of a report or reason of a move, in characters.
pub const TEXT_LIMIT: usize = 4000;
/// Most photos that come with one report or move.
pub const PHOTO_LIMIT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn case_in(state: CaseState) -> Case {
        let place = (ManholeId(Uuid::from_u128(2)), None);
        Case {
            state,
            party: Some(PartyId(Uuid::from_u128(3))),
            handed_in_by: Some(UserId(Uuid::from_u128(4))),
            ..Case::open("2026-000001".into(), place, Hazard::Broken, CaseSource::CitizenScan, Millis(0))
        }
    }

    fn full_request() -> MoveRequest {
        MoveRequest {
            party: Some(PartyId(Uuid::from_u128(3))),
            pool: vec![PartyId(Uuid::from_u128(3))],
            reason: Some("because".into()),
            photos: 1,
            target: Some(CaseId(Uuid::from_u128(9))),
            until: Some(Millis(1)),
            release: false,
        }
    }

    fn staff(user: u128, role: Role, party: Option<u128>) -> Actor {
        Actor::Staff {
            user: UserId(Uuid::from_u128(user)),
            role,
            party: party.map(|party| PartyId(Uuid::from_u128(party))),
        }
    }

    #[test]
    fn every_open_state_has_a_way_on_and_every_state_can_be_reached() {
        for state in CaseState::ALL {
            if state.is_open() {
                assert!(
                    MOVES.iter().any(|rule| rule.from == *state && rule.to != *state),
                    "{state} is a dead end"
                );
            }
            assert!(
                *state == CaseState::Reported || MOVES.iter().any(|rule| rule.to == *state),
                "{state} cannot be reached"
            );
        }
    }

    #[test]
    fn the_table_has_one_line_for_each_state_and_move() {
        for (at, rule) in MOVES.iter().enumerate() {
            let same =
                MOVES[at + 1..].iter().find(|other| other.from == rule.from && other.made == rule.made);
            assert_eq!(same, None, "{} from {} twice", rule.made, rule.from);
        }
    }

    #[test]
    fn whoever_handed_in_can_neither_check_nor_close() {
        let handler = staff(4, Role::Admin, None);
        for (state, made) in [(CaseState::Handled, CaseMove::Check), (CaseState::Checked, CaseMove::Close)] {
            let refused = check_move(&case_in(state), made, &handler, &full_request()).unwrap_err();
            assert_eq!(refused.code, "case.needs_second_person");
        }
    }

    #[test]
    fn a_handler_of_another_party_is_refused() {
        let stranger = staff(7, Role::Handler, Some(8));
        let refused = check_move(&case_in(CaseState::Handling), CaseMove::HandIn, &stranger, &full_request());
        assert_eq!(refused.unwrap_err().code, "case.other_party");
    }

    #[test]
    fn a_move_without_its_evidence_says_what_is_missing() {
        let handler = staff(7, Role::Handler, Some(3));
        let refused =
            check_move(&case_in(CaseState::Handling), CaseMove::HandIn, &handler, &MoveRequest::default());
        assert_eq!(refused.unwrap_err().code, "case.needs_photo");
    }

    proptest! {
        #[test]
        fn only_what_the_table_says_is_allowed(
            state in 0..CaseState::ALL.len(),
            made in 0..CaseMove::ALL.len(),
            role in 0..Role::ALL.len(),
        ) {
            let (state, made, role) = (CaseState::ALL[state], CaseMove::ALL[made], Role::ALL[role]);
            let actor = staff(7, role, Some(3));
            let case = case_in(state);
            let answer = check_move(&case, made, &actor, &full_request());
            let line = MOVES.iter().find(|rule| rule.from == state && rule.made == made);
            // It has a party, so there is no pool to decline for.
            let allowed = made != CaseMove::Decline
                && line.is_some_and(|rule| role == Role::Admin || rule.roles.contains(&role));
            prop_assert_eq!(answer.is_ok(), allowed);
            prop_assert_eq!(possible_moves(&case, &actor).iter().any(|rule| rule.made == made), allowed);
        }
    }
}
