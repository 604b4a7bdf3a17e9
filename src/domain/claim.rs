//! 无主井盖认领: how a cover without an owner comes to somebody who answers for it. A notice stands for some
//! working days; parties say whether it is theirs, the desk confirms, and what nobody claims falls to
//! the party that the rules name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::cover::CoverClass;
use super::ids::{Millis, PartyId};
use super::names::named_enum;

named_enum! {
    /// Where one cover of a notice stands.
    ClaimState as "claim_state" {
        /// The notice stands, or somebody has claimed the cover and the desk has not decided.
        Open = "open",
        /// The notice is over, nobody claimed it and the rules name nobody: the desk decides.
        Unclaimed = "unclaimed",
        /// Somebody owns it.
        Awarded = "awarded",
        /// Nobody claimed it; the fallback party answers for it.
        FellBack = "fell_back",
        /// The notice no longer concerns it.
        Withdrawn = "withdrawn",
    }
}

impl ClaimState {
    /// Whether somebody has still to do something: one such claim a cover at most.
    pub const fn is_pending(self) -> bool {
        matches!(self, ClaimState::Open | ClaimState::Unclaimed)
    }
}

named_enum! {
    /// What a party said of a cover, or what the desk said to that.
    ClaimAnswer as "claim_answer" {
        Claimed = "claimed",
        Declined = "declined",
        /// The desk has looked into a claim and does not follow it.
        SetAside = "set_aside",
    }
}

named_enum! {
    /// What is done about one cover of a notice.
    ClaimMove as "claim_move" {
        Open = "open",
        Claim = "claim",
        Decline = "decline",
        /// A party takes back what it said.
        TakeBack = "take_back",
        SetAside = "set_aside",
        Award = "award",
        /// The notice ends without a claim.
        Expire = "expire",
        Withdraw = "withdraw",
        /// An award or the fallback is taken back.
        Undo = "undo",
    }
}

named_enum! {
    /// What the fallback party becomes.
    FallbackRole as "fallback_role" { Maintainer = "maintainer", Owner = "owner" }
}

/// How ownerless covers are dealt with; `[claims]` of `labels/quality.toml`. Parties are named as in the
/// registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRules {
    /// Working days that a notice stands.
    pub notice_days: u32,
    pub fallback_role: FallbackRole,
    /// Empty = nobody.
    pub fallback: String,
    pub fallback_by_district: BTreeMap<String, String>,
    pub fallback_by_class: BTreeMap<CoverClass, String>,
}

impl ClaimRules {
    /// Name of the party that answers for a cover nobody claims: by its class, else by its district, else the
    /// city's. `None` = nobody.
    pub fn fallback_for(&self, class: CoverClass, district: &str) -> Option<&str> {
        let by_class = self.fallback_by_class.get(&class);
        let named = by_class.or_else(|| self.fallback_by_district.get(district)).unwrap_or(&self.fallback);
        Some(named.as_str()).filter(|name| !name.is_empty())
    }
}

/// One cover of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub state: ClaimState,
    pub answers: BTreeMap<PartyId, ClaimAnswer>,
    /// Who owns or answers for it now; `Some` in `Awarded` and `FellBack` alone.
    pub outcome: Option<PartyId>,
    /// First moment at which the notice is over.
    pub due_at: Millis,
}

/// What somebody does about one cover of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimStep {
    Claim(PartyId),
    Decline(PartyId),
    TakeBack(PartyId),
    SetAside(PartyId),
    Award(PartyId),
    /// The notice is over; who answers for a cover that nobody claimed, if anybody.
    Expire(Option<PartyId>),
    Withdraw,
    Undo,
}

impl ClaimStep {
    pub const fn word(self) -> ClaimMove {
        match self {
            ClaimStep::Claim(_) => ClaimMove::Claim,
            ClaimStep::Decline(_) => ClaimMove::Decline,
            ClaimStep::TakeBack(_) => ClaimMove::TakeBack,
            ClaimStep::SetAside(_) => ClaimMove::SetAside,
            ClaimStep::Award(_) => ClaimMove::Award,
            ClaimStep::Expire(_) => ClaimMove::Expire,
            ClaimStep::Withdraw => ClaimMove::Withdraw,
            ClaimStep::Undo => ClaimMove::Undo,
        }
    }

    pub const fn party(self) -> Option<PartyId> {
        match self {
            ClaimStep::Claim(party)
            | ClaimStep::Decline(party)
            | ClaimStep::TakeBack(party)
            | ClaimStep::SetAside(party)
            | ClaimStep::Award(party) => Some(party),
            ClaimStep::Expire(party) => party,
            ClaimStep::Withdraw | ClaimStep::Undo => None,
        }
    }
}

impl Claim {
    /// A cover that has just been put up.
    pub fn opened(due_at: Millis) -> Self {
        Self { state: ClaimState::Open, answers: BTreeMap::new(), outcome: None, due_at }
    }

    /// Parties that say it is theirs.
    pub fn claimants(&self) -> impl Iterator<Item = PartyId> + '_ {
        self.answers.iter().filter(|(_, answer)| **answer == ClaimAnswer::Claimed).map(|(party, _)| *party)
    }

    /// Whether several parties say it is theirs, so that the desk must choose.
    pub fn is_contested(&self) -> bool {
        self.state.is_pending() && self.claimants().nth(1).is_some()
    }

    /// Whether a reason must be given: always but for the plain confirmation of the only claim.
    pub fn needs_reason(&self, step: ClaimStep) -> bool {
        match step {
            ClaimStep::Award(party) => self.claimants().collect::<Vec<_>>() != [party],
            ClaimStep::Expire(_) => false,
            _ => true,
        }
    }

    /// The claim after a step; refuses one that does not fit where it stands.
    pub fn after(&self, step: ClaimStep, now: Millis) -> Result<Self, Refusal> {
        let refuse = |code| Err(Refusal::new(code).with("claim_state", self.state));
        let mut next = self.clone();
        // Somebody who comes late may still say that it is theirs, and the desk may follow.
        let hears = self.state.is_pending() || self.state == ClaimState::FellBack;
        match step {
            ClaimStep::Claim(party) | ClaimStep::Decline(party) => {
                let answer = match step {
                    ClaimStep::Claim(_) if hears => ClaimAnswer::Claimed,
                    ClaimStep::Decline(_) if self.state.is_pending() => ClaimAnswer::Declined,
                    _ => return refuse("claim.not_now"),
                };
                match self.answers.get(&party) {
                    Some(ClaimAnswer::SetAside) => return refuse("claim.set_aside"),
                    Some(known) if *known == answer => return refuse("claim.answered"),
                    _ => next.answers.insert(party, answer),
                };
            }
            ClaimStep::TakeBack(party) => {
                match self.answers.get(&party) {
                    _ if !hears => return refuse("claim.not_now"),
                    Some(ClaimAnswer::Claimed | ClaimAnswer::Declined) => next.answers.remove(&party),
                    _ => return refuse("claim.no_answer"),
                };
            }
            ClaimStep::SetAside(party) => {
                match self.answers.get(&party) {
                    _ if !hears => return refuse("claim.not_now"),
                    Some(ClaimAnswer::Claimed) => next.answers.insert(party, ClaimAnswer::SetAside),
                    _ => return refuse("claim.no_answer"),
                };
            }
            ClaimStep::Award(party) => {
                if !hears {
                    return refuse("claim.not_now");
                }
                if self.answers.get(&party) == Some(&ClaimAnswer::SetAside) {
                    return refuse("claim.set_aside");
                }
                (next.state, next.outcome) = (ClaimState::Awarded, Some(party));
            }
            ClaimStep::Expire(fallback) => {
                if self.state != ClaimState::Open {
                    return refuse("claim.not_now");
                }
                if now < self.due_at || self.claimants().next().is_some() {
                    return refuse("claim.waits");
                }
                next.state = if fallback.is_some() { ClaimState::FellBack } else { ClaimState::Unclaimed };
                next.outcome = fallback;
            }
            ClaimStep::Withdraw => {
                if !self.state.is_pending() {
                    return refuse("claim.not_now");
                }
                next.state = ClaimState::Withdrawn;
            }
            ClaimStep::Undo => {
                if !matches!(self.state, ClaimState::Awarded | ClaimState::FellBack) {
                    return refuse("claim.not_now");
                }
                // What was decided wrongly is not decided the same way by the clock again.
                let waits = self.claimants().next().is_some() || now < self.due_at;
                next.state = if waits { ClaimState::Open } else { ClaimState::Unclaimed };
                next.outcome = None;
            }
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DUE: Millis = Millis(1000);
    const BEFORE: Millis = Millis(10);
    const AFTER: Millis = Millis(2000);

    fn party(number: u128) -> PartyId {
        PartyId(uuid::Uuid::from_u128(number))
    }

    fn taken(steps: &[(ClaimStep, Millis)]) -> Claim {
        steps.iter().fold(Claim::opened(DUE), |claim, (step, now)| claim.after(*step, *now).unwrap())
    }

    #[test]
    fn the_only_claim_is_confirmed_without_another_word_and_a_contested_one_with() {
        let (one, other) = (party(1), party(2));
        let claimed = taken(&[(ClaimStep::Decline(other), BEFORE), (ClaimStep::Claim(one), BEFORE)]);
        assert!(!claimed.is_contested() && !claimed.needs_reason(ClaimStep::Award(one)));
        assert!(claimed.needs_reason(ClaimStep::Award(other)));
        let contested = claimed.after(ClaimStep::Claim(other), BEFORE).unwrap();
        assert!(contested.is_contested() && contested.needs_reason(ClaimStep::Award(one)));
        assert_eq!(
            contested.after(ClaimStep::Expire(Some(party(9))), AFTER).unwrap_err().code,
            "claim.waits"
        );
        let awarded = contested.after(ClaimStep::Award(one), AFTER).unwrap();
        assert_eq!((awarded.state, awarded.outcome), (ClaimState::Awarded, Some(one)));
        assert_eq!(awarded.after(ClaimStep::Undo, AFTER).unwrap(), contested);
    }

    #[test]
    fn what_nobody_claims_falls_back_when_the_notice_is_over_and_not_before() {
        let open = Claim::opened(DUE);
        assert_eq!(open.after(ClaimStep::Expire(Some(party(9))), BEFORE).unwrap_err().code, "claim.waits");
        let fell = open.after(ClaimStep::Expire(Some(party(9))), DUE).unwrap();
        assert_eq!((fell.state, fell.outcome), (ClaimState::FellBack, Some(party(9))));
        let late = fell.after(ClaimStep::Claim(party(1)), AFTER).unwrap();
        assert_eq!(late.after(ClaimStep::Award(party(1)), AFTER).unwrap().outcome, Some(party(1)));
        assert_eq!(fell.after(ClaimStep::Undo, AFTER).unwrap().state, ClaimState::Unclaimed);
        let unclaimed = open.after(ClaimStep::Expire(None), AFTER).unwrap();
        assert_eq!(unclaimed.state, ClaimState::Unclaimed);
        assert_eq!(unclaimed.after(ClaimStep::Award(party(3)), AFTER).unwrap().state, ClaimState::Awarded);
    }

    #[test]
    fn the_fallback_is_named_by_class_then_district_then_city() {
        let mut rules = super::super::quality::Rules::built_in().claims.clone();
        assert_eq!(rules.fallback_for(CoverClass::Gas, "370502"), None);
        rules.fallback = "city".into();
        rules.fallback_by_district.insert("370502".into(), "district".into());
        rules.fallback_by_class.insert(CoverClass::Gas, "gas".into());
        assert_eq!(rules.fallback_for(CoverClass::Gas, "370502"), Some("gas"));
        assert_eq!(rules.fallback_for(CoverClass::Sewage, "370502"), Some("district"));
        assert_eq!(rules.fallback_for(CoverClass::Sewage, "370503"), Some("city"));
    }

    fn any_step() -> impl Strategy<Value = (ClaimStep, Millis)> {
        let step = (0u8..8, 1u128..4).prop_map(|(kind, number)| match kind {
            0 => ClaimStep::Claim(party(number)),
            1 => ClaimStep::Decline(party(number)),
            2 => ClaimStep::TakeBack(party(number)),
            3 => ClaimStep::SetAside(party(number)),
            4 => ClaimStep::Award(party(number)),
            5 => ClaimStep::Expire((number > 1).then(|| party(9))),
            6 => ClaimStep::Withdraw,
            _ => ClaimStep::Undo,
        });
        (step, prop_oneof![Just(BEFORE), Just(AFTER)])
    }

    proptest! {
        /// Whatever people do: an outcome is there exactly when it is decided, a withdrawn cover stays so, a
        /// claim that stands is never run over by the clock, and an undo never loses what was said.
        #[test]
        fn any_steps_keep_a_claim_in_order(steps in proptest::collection::vec(any_step(), 0..40)) {
            let mut claim = Claim::opened(DUE);
            for (step, now) in steps {
                let Ok(next) = claim.after(step, now) else { continue };
                let decided = matches!(next.state, ClaimState::Awarded | ClaimState::FellBack);
                prop_assert_eq!(next.outcome.is_some(), decided);
                prop_assert!(claim.state != ClaimState::Withdrawn);
                if matches!(step, ClaimStep::Expire(_)) {
                    prop_assert!(now >= DUE && claim.claimants().next().is_none());
                }
                if step == ClaimStep::Undo {
                    prop_assert_eq!(&next.answers, &claim.answers);
                    prop_assert!(next.state.is_pending());
                }
                if let ClaimStep::Award(party) = step {
                    prop_assert!(claim.answers.get(&party) != Some(&ClaimAnswer::SetAside));
                }
                prop_assert!(next != claim);
                claim = next;
            }
        }
    }
}
