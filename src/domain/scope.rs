//! What an API token opens: narrower than what its user may do, never wider.

use std::fmt;
use std::str::FromStr;

use super::Refusal;
use super::names::named_enum;

named_enum! {
    /// One thing that an API token may open. Roles still hold: a scope adds nothing to what its user may do.
    TokenScope as "token_scope" {
        /// All that its user may do.
        Staff = "staff",
        /// Sending in over Open311.
        Open311 = "open311",
        /// Sending in what sensors measured.
        Sensors = "sensors",
        /// Looking at whatever its user may see.
        Read = "read",
        /// Changing covers and manholes, one or many: edits, census files, who owns what.
        CoversWrite = "covers:write",
        /// Opening, moving and answering cases; notices, meetings, words with citizens.
        CasesWrite = "cases:write",
        /// Ordering, stepping and fitting plates.
        PlatesWrite = "plates:write",
        /// Campaigns, dates and spot checks.
        CampaignsWrite = "campaigns:write",
        /// What a crew sends from its phone, which touches covers, cases and plates at once.
        Crew = "crew",
        /// Registering, moving and disarming devices.
        SensorsWrite = "sensors:write",
        /// Deciding rewards and their payouts.
        RewardsWrite = "rewards:write",
        /// Rules, weather, areas, receivers of events.
        Admin = "admin",
    }
}

/// The scopes of one token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenScopes(u16);

impl TokenScopes {
    pub const fn of(scope: TokenScope) -> Self {
        Self(1 << scope as u16)
    }

    /// Whether what wants this scope is open to the token, if its user may do it at all.
    pub const fn opens(self, wanted: TokenScope) -> bool {
        self.0 & (Self::of(wanted).0 | Self::of(TokenScope::Staff).0) != 0
    }

    /// In the order of their list.
    pub fn iter(self) -> impl Iterator<Item = TokenScope> {
        TokenScope::ALL.iter().copied().filter(move |scope| self.0 & Self::of(*scope).0 != 0)
    }
}

/// Parted by commas or blanks.
impl FromStr for TokenScopes {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let words = text.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
        let mut scopes = Self(0);
        for word in words {
            scopes.0 |= Self::of(word.parse()?).0;
        }
        if scopes.0 == 0 {
            // Nothing is no scope either; the sentence says what would fit.
            return Err(text
                .parse::<TokenScope>()
                .err()
                .unwrap_or_else(|| Refusal::new("token_scope.unknown")));
        }
        Ok(scopes)
    }
}

/// As OAuth writes scopes (RFC 6749, section 3.3): words with a blank between.
impl fmt::Display for TokenScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            write!(f, "{}{scope}", if at > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for TokenScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenScopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_written_alike_and_open_no_more_than_they_say() {
        let scopes: TokenScopes = " covers:write,read read".parse().unwrap();
        assert_eq!(scopes.to_string(), "read covers:write");
        assert_eq!(scopes.to_string().parse(), Ok(scopes));
        assert!(scopes.opens(TokenScope::Read) && scopes.opens(TokenScope::CoversWrite));
        assert!(!scopes.opens(TokenScope::CasesWrite) && !scopes.opens(TokenScope::Staff));
        let staff = TokenScopes::of(TokenScope::Staff);
        assert!(TokenScope::ALL.iter().all(|scope| staff.opens(*scope)));
        for wrong in ["", " , ", "write", "read,covers"] {
            assert_eq!(wrong.parse::<TokenScopes>().unwrap_err().code, "token_scope.unknown", "{wrong}");
        }
    }
}
