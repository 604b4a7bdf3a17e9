//! 督办单: a numbered notice by which supervisors ask parties to solve cases by a day. One table says what may be
//! done with it and by whom; when it is reminded of and how rates are counted is said here and nowhere else.

use std::fmt;
use std::str::FromStr;

use super::Refusal;
use super::ids::Millis;
use super::names::named_enum;
use super::role::{Actor, Role};

named_enum! {
    /// Where a notice stands. That all its cases are struck off is not stored: a case may be opened again.
    NoticeState as "notice_state" {
        /// 草稿: without a number.
        Draft = "draft",
        /// 已下发
        Issued = "issued",
        /// 已撤回; its number is not given again.
        Withdrawn = "withdrawn",
    }
}

named_enum! {
    /// How a notice stands to whoever looks: by its state, its day, and whether cases are left.
    NoticeStanding as "notice_standing" {
        Draft = "draft",
        /// 督办中
        Running = "running",
        /// 逾期
        Overdue = "overdue",
        /// 已销号: nobody has to act on any of its cases.
        Settled = "settled",
        Withdrawn = "withdrawn",
    }
}

impl NoticeStanding {
    /// `open`: cases on which somebody has still to act.
    pub const fn of(state: NoticeState, due_at: Millis, open: i64, now: Millis) -> Self {
        match state {
            NoticeState::Draft => NoticeStanding::Draft,
            NoticeState::Withdrawn => NoticeStanding::Withdrawn,
            NoticeState::Issued if open == 0 => NoticeStanding::Settled,
            NoticeState::Issued if now.0 >= due_at.0 => NoticeStanding::Overdue,
            NoticeState::Issued => NoticeStanding::Running,
        }
    }
}

named_enum! {
    /// What people do with a notice.
    NoticeMove as "notice_move" {
        /// 修改草稿
        Edit = "edit",
        /// 下发
        Issue = "issue",
        /// 撤回
        Withdraw = "withdraw",
        /// 签收: an addressee says that it has the notice.
        Confirm = "confirm",
        /// 反馈: an addressee says of one case what was done.
        Feedback = "feedback",
    }
}

/// One line of the table of what may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeRule {
    pub from: NoticeState,
    pub made: NoticeMove,
    pub to: NoticeState,
    /// Who may. Admins may do all that needs no party of their own.
    pub roles: &'static [Role],
}

/// Who writes drafts.
pub const NOTICE_DESK: &[Role] = &[Role::Dispatcher, Role::Supervisor, Role::Admin];
/// Who reads notices; people of parties read those that are addressed to theirs.
pub const NOTICE_READERS: &[Role] =
    &[Role::Handler, Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Admin];
/// Who answers for an addressee.
pub const NOTICE_PARTIES: &[Role] = &[Role::Handler];

/// The table.
pub const NOTICE_MOVES: &[NoticeRule] = {
    use NoticeMove::*;
    use NoticeState::*;
    const SUPERVISOR: &[Role] = &[Role::Supervisor, Role::Admin];
    const fn rule(
        from: NoticeState,
        made: NoticeMove,
        to: NoticeState,
        roles: &'static [Role],
    ) -> NoticeRule {
        NoticeRule { from, made, to, roles }
    }
    &[
        rule(Draft, Edit, Draft, NOTICE_DESK),
        rule(Draft, Issue, Issued, SUPERVISOR),
        rule(Draft, Withdraw, Withdrawn, NOTICE_DESK),
        rule(Issued, Withdraw, Withdrawn, SUPERVISOR),
        rule(Issued, Confirm, Issued, NOTICE_PARTIES),
        rule(Issued, Feedback, Issued, NOTICE_PARTIES),
    ]
};

/// What somebody may do with a notice that stands so.
pub fn possible_moves(state: NoticeState, role: Role) -> impl Iterator<Item = NoticeMove> {
    NOTICE_MOVES
        .iter()
        .filter(move |rule| rule.from == state && rule.roles.contains(&role))
        .map(|rule| rule.made)
}

/// Where a notice stands after a move; refuses one that is not in the table.
pub fn check_move(state: NoticeState, made: NoticeMove, actor: &Actor) -> Result<NoticeState, Refusal> {
    let role = match actor {
        Actor::System => None,
        Actor::Staff { role, .. } => Some(*role),
        Actor::Citizen => return Err(Refusal::new("notice.role").with("notice_move", made)),
    };
    let rule = NOTICE_MOVES.iter().find(|rule| rule.from == state && rule.made == made);
    let rule = rule.ok_or_else(|| {
        Refusal::new("notice.not_now").with("notice_state", state).with("notice_move", made)
    })?;
    match role {
        Some(role) if !rule.roles.contains(&role) => {
            let fits: Vec<&str> = rule.roles.iter().map(|role| role.as_str()).collect();
            Err(Refusal::new("notice.role").with("notice_move", made).with("fits", fits.join(", ")))
        }
        _ => Ok(rule.to),
    }
}

/// 年度 + 期号: `2026-12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeNumber {
    pub year: i32,
    /// From 1 within the year.
    pub issue: i64,
}

impl fmt::Display for NoticeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{}", self.year, self.issue)
    }
}

impl FromStr for NoticeNumber {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let parsed = text
            .split_once('-')
            .and_then(|(year, issue)| Some(Self { year: year.parse().ok()?, issue: issue.parse().ok()? }));
        let read: String = text.chars().take(60).collect();
        // Only one text names a number.
        let is_number = |number: &Self| {
            (1970..=9999).contains(&number.year) && number.issue > 0 && number.to_string() == text
        };
        parsed.filter(is_number).ok_or_else(|| Refusal::new("notice.number").with("read", read))
    }
}

/// How much of the time was over when a reminder went out, in percent; the last one says that it is overdue.
pub const REMINDERS: [i64; 3] = [50, 80, 100];

/// The highest reminder that is due, in percent of the time from issue to due; 0 = none yet.
pub fn reminder_due(issued_at: Millis, due_at: Millis, now: Millis) -> i64 {
    if now.0 >= due_at.0 {
        return 100;
    }
    let (passed, whole) =
        (i128::from(now.0) - i128::from(issued_at.0), i128::from(due_at.0) - i128::from(issued_at.0));
    let is_due = |level: &i64| passed > 0 && passed * 100 >= whole * i128::from(*level);
    REMINDERS.into_iter().rev().find(|level| *level < 100 && is_due(level)).unwrap_or_default()
}

/// 办结率: closed of all, in tenths of a percent, rounded half up; `None` where there is nothing to close.
pub fn rate_tenths(closed: i64, all: i64) -> Option<i64> {
    (all > 0).then(|| (2000 * closed + all).div_euclid(2 * all))
}

/// `97.6` of 976 tenths.
pub fn percent(tenths: i64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::UserId;

    fn staff(role: Role) -> Actor {
        Actor::Staff { user: UserId::fresh(), role, party: None }
    }

    #[test]
    fn a_supervisor_issues_and_a_dispatcher_drafts() {
        use NoticeMove::*;
        use NoticeState::*;
        assert_eq!(check_move(Draft, Issue, &staff(Role::Supervisor)), Ok(Issued));
        assert_eq!(check_move(Draft, Issue, &staff(Role::Dispatcher)).unwrap_err().code, "notice.role");
        assert_eq!(check_move(Draft, Edit, &staff(Role::Dispatcher)), Ok(Draft));
        assert_eq!(check_move(Issued, Edit, &staff(Role::Admin)).unwrap_err().code, "notice.not_now");
        assert_eq!(
            check_move(Withdrawn, Issue, &staff(Role::Supervisor)).unwrap_err().code,
            "notice.not_now"
        );
        assert_eq!(possible_moves(Issued, Role::Handler).collect::<Vec<_>>(), [Confirm, Feedback]);
        assert_eq!(check_move(Draft, Issue, &Actor::Citizen).unwrap_err().code, "notice.role");
    }

    #[test]
    fn a_number_is_written_in_one_way_only() {
        let number: NoticeNumber = "2026-12".parse().unwrap();
        assert_eq!((number.year, number.issue, number.to_string().as_str()), (2026, 12, "2026-12"));
        for wrong in ["2026-0", "2026-012", "2026", "-1-2", "2026-1 ", "26-1", "２０２６-1", "2026--1", ""]
        {
            assert_eq!(wrong.parse::<NoticeNumber>().unwrap_err().code, "notice.number", "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_those_of_the_city() {
        let shown = |closed, all| rate_tenths(closed, all).map(percent);
        assert_eq!(shown(532, 543).as_deref(), Some("98.0"));
        assert_eq!(shown(2196, 2251).as_deref(), Some("97.6"));
        assert_eq!(shown(1, 2000).as_deref(), Some("0.1"));
        assert_eq!(shown(3, 3).as_deref(), Some("100.0"));
        assert_eq!(shown(0, 0), None);
    }

    #[test]
    fn reminders_come_at_half_four_fifths_and_the_end() {
        let due = |now| reminder_due(Millis(1000), Millis(2000), Millis(now));
        let said: Vec<i64> = [0, 1000, 1499, 1500, 1799, 1800, 1999, 2000, i64::MAX].map(due).into();
        assert_eq!(said, [0, 0, 0, 50, 50, 80, 80, 100, 100]);
        assert_eq!(reminder_due(Millis(2000), Millis(1000), Millis(500)), 0, "a clock that was set back");
    }

    proptest! {
        #[test]
        fn a_later_look_never_finds_a_lower_reminder(issued: i64, due: i64, one: i64, other: i64) {
            let at = |now: i64| reminder_due(Millis(issued), Millis(due), Millis(now));
            prop_assert!(at(one.min(other)) <= at(one.max(other)) || due <= issued);
        }
    }
}
