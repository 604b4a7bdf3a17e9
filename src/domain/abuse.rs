//! 防滥用: what speaks against a report that nobody signed for. Nothing of it ever refuses one: a report of danger is
//! filed as any other, and what is doubtful waits for a look before the public sees it.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::hazard::Hazard;
use super::ids::{BlockId, Millis};
use super::names::named_enum;

named_enum! {
    /// Why a report is doubtful.
    Doubt as "doubt" {
        /// Somebody at the desk said that what comes from there waits for a look.
        Blocked = "blocked",
        /// One phone sends more than people meet.
        DeviceOften = "device_often",
        /// One network sends more than a street does.
        NetworkOften = "network_often",
        /// One plate is reported more often than a crowd around a hole would.
        PlateOften = "plate_often",
        /// The photo was sent before, of somewhere else.
        PhotoSeen = "photo_seen",
    }
}

named_enum! {
    /// By what senders without an account are known again.
    OriginKind as "origin" {
        /// A browser, by a random cookie.
        Device = "device",
        /// An address of the network; of IPv6, its first half.
        Network = "network",
    }
}

/// What a city says about doubtful reports; `[abuse]` of its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AbuseRules {
    /// Doubtful cases wait for a look; otherwise doubts are only noted.
    pub hold: bool,
    /// Reports an hour beyond which more of them are doubtful.
    pub device_per_hour: u32,
    pub network_per_hour: u32,
    pub plate_per_hour: u32,
    /// Days for which a photo is known again. 0 = never.
    pub photo_days: u32,
    /// Hours after which a held case goes on by itself, because nobody may be left unheard.
    pub hold_hours: u32,
    /// Days after which it is forgotten from where a report came.
    pub keep_days: u32,
}

impl Default for AbuseRules {
    fn default() -> Self {
        Self {
            hold: true,
            device_per_hour: 10,
            // A whole district of phones may share one address.
            network_per_hour: 600,
            plate_per_hour: 30,
            photo_days: 90,
            hold_hours: 24,
            keep_days: 90,
        }
    }
}

impl AbuseRules {
    /// Refuses rules under which every report would wait, or one for ever.
    pub fn check(&self) -> Result<(), Refusal> {
        let numbers = [
            ("abuse.device_per_hour", self.device_per_hour, 1, 100_000),
            ("abuse.network_per_hour", self.network_per_hour, 1, 1_000_000),
            ("abuse.plate_per_hour", self.plate_per_hour, 1, 100_000),
            ("abuse.photo_days", self.photo_days, 0, 3_650),
            ("abuse.hold_hours", self.hold_hours, 1, 720),
            ("abuse.keep_days", self.keep_days, 1, 3_650),
        ];
        for (name, number, least, most) in numbers {
            if !(least..=most).contains(&number) {
                let reason = format!("{name} is {number}; it lies between {least} and {most}");
                return Err(Refusal::new("config.unusable").with("reason", reason));
            }
        }
        Ok(())
    }

    /// Whether a new case waits for a look. One of danger never does: somebody may be standing at an open hole.
    pub fn holds(&self, hazard: Hazard, doubts: &[Doubt]) -> bool {
        self.hold && !doubts.is_empty() && !hazard.is_emergency()
    }
}

/// What is known about where a report came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    pub is_blocked: bool,
    /// Reports of this hour, this one among them.
    pub of_device: u32,
    pub of_network: u32,
    pub of_plate: u32,
    pub is_photo_seen: bool,
}

/// What speaks against a report, in the order in which a person wants to read it.
pub fn weigh(facts: &Facts, rules: &AbuseRules) -> Vec<Doubt> {
    let said = [
        (Doubt::Blocked, facts.is_blocked),
        (Doubt::DeviceOften, facts.of_device > rules.device_per_hour),
        (Doubt::NetworkOften, facts.of_network > rules.network_per_hour),
        (Doubt::PlateOften, facts.of_plate > rules.plate_per_hour),
        (Doubt::PhotoSeen, facts.is_photo_seen),
    ];
    said.into_iter().filter(|(_, holds)| *holds).map(|(doubt, _)| doubt).collect()
}

/// Doubts as they are stored: words with blanks between.
pub fn doubts_text(doubts: &[Doubt]) -> String {
    doubts.iter().map(|doubt| doubt.as_str()).collect::<Vec<_>>().join(" ")
}

/// The doubts of a stored text; `None` for a word that is none.
pub fn doubts_of(text: &str) -> Option<Vec<Doubt>> {
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// Two photos look alike when at most so many of the 64 bits of their looks differ. Sent on by a messenger, a photo
/// changes up to two.
const ALIKE_BITS: u32 = 3;

/// Whether two photos look alike; see `photos::Look`.
pub fn look_alike(one: i64, other: i64) -> bool {
    (one ^ other).count_ones() <= ALIKE_BITS
}

/// The quarters of a look. Of two that are alike at least one is the same in both.
pub fn quarters(look: i64) -> [i64; 4] {
    [0, 16, 32, 48].map(|shift| look >> shift & 0xffff)
}

/// A sender whose reports wait for a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub id: BlockId,
    pub kind: OriginKind,
    pub reason: String,
    /// Of the report for which it was made.
    pub tracking: String,
    pub until: Millis,
    pub actor: String,
    pub created_at: Millis,
    pub lifted_at: Option<Millis>,
}

impl Block {
    pub fn is_active(&self, now: Millis) -> bool {
        self.lifted_at.is_none() && self.until > now
    }
}

/// Longest time for which a sender is blocked.
pub const BLOCK_DAYS: u32 = 365;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn danger_is_never_held_and_nothing_without_a_doubt() {
        let rules = AbuseRules::default();
        for hazard in Hazard::ALL {
            assert!(!rules.holds(*hazard, &[]));
            assert_eq!(rules.holds(*hazard, Doubt::ALL), !hazard.is_emergency(), "{hazard}");
        }
        assert!(!AbuseRules { hold: false, ..rules }.holds(Hazard::Level, Doubt::ALL));
    }

    #[test]
    fn the_last_one_within_the_limit_is_not_doubtful() {
        let rules = AbuseRules::default();
        let facts = Facts { of_device: 10, of_network: 600, of_plate: 30, ..Facts::default() };
        assert_eq!(weigh(&facts, &rules), []);
        let one_more = Facts { of_device: 11, of_network: 601, of_plate: 31, ..facts };
        assert_eq!(weigh(&one_more, &rules), [Doubt::DeviceOften, Doubt::NetworkOften, Doubt::PlateOften]);
        assert_eq!(doubts_of(&doubts_text(Doubt::ALL)).as_deref(), Some(Doubt::ALL));
        assert_eq!(doubts_of("blocked soon"), None);
    }

    #[test]
    fn rules_that_would_hold_for_ever_are_refused() {
        AbuseRules::default().check().unwrap();
        let refusal = AbuseRules { hold_hours: 0, ..AbuseRules::default() }.check().unwrap_err();
        assert!(refusal.to_string().contains("abuse.hold_hours"), "{refusal}");
    }

    proptest! {
        #[test]
        fn photos_that_look_alike_share_a_quarter(look: i64, bits in prop::collection::vec(0u32..64, 0..=3)) {
            let other = bits.iter().fold(look, |look, bit| look ^ (1 << bit));
            prop_assert!(look_alike(look, other));
            prop_assert!(quarters(look).iter().zip(quarters(other)).any(|(one, two)| *one == two));
        }
    }
}
