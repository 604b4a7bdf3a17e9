//! Which scope an API token needs for an address: by what is done and what it is done to, so that a new address
//! beside known ones has its scope from its name.

use crate::domain::scope::TokenScope;

/// What is changed below each of these; the longest that fits counts.
const CHANGES: &[(&str, TokenScope)] = &[
    ("/admin/areas", TokenScope::Admin),
    ("/admin/crews", TokenScope::CampaignsWrite),
    ("/admin/import-profiles", TokenScope::CoversWrite),
    ("/admin/imports", TokenScope::CoversWrite),
    ("/admin/plates", TokenScope::PlatesWrite),
    ("/admin/receivers", TokenScope::Admin),
    ("/admin/rewards", TokenScope::RewardsWrite),
    ("/admin/rules", TokenScope::Admin),
    ("/admin/sensors", TokenScope::SensorsWrite),
    ("/admin/weather", TokenScope::Admin),
    ("/api/v1/areas", TokenScope::Admin),
    ("/api/v1/asks", TokenScope::CasesWrite),
    ("/api/v1/blocks", TokenScope::CasesWrite),
    ("/api/v1/bulk-edits", TokenScope::CoversWrite),
    ("/api/v1/call-backs", TokenScope::CasesWrite),
    ("/api/v1/campaigns", TokenScope::CampaignsWrite),
    ("/api/v1/cases", TokenScope::CasesWrite),
    ("/api/v1/covers", TokenScope::CoversWrite),
    // Asked by POST because so many codes are no address.
    ("/api/v1/covers/read", TokenScope::Read),
    ("/api/v1/crew", TokenScope::Crew),
    ("/api/v1/due-dates", TokenScope::CampaignsWrite),
    ("/api/v1/exemplary", TokenScope::CasesWrite),
    ("/api/v1/import-profiles", TokenScope::CoversWrite),
    ("/api/v1/imports", TokenScope::CoversWrite),
    // Asked by POST because a route or a list of stops is no address.
    ("/api/v1/map", TokenScope::Read),
    ("/api/v1/meetings", TokenScope::CasesWrite),
    ("/api/v1/notices", TokenScope::CasesWrite),
    ("/api/v1/plate-batches", TokenScope::PlatesWrite),
    ("/api/v1/plate-stock", TokenScope::PlatesWrite),
    ("/api/v1/plates", TokenScope::PlatesWrite),
    ("/api/v1/receivers", TokenScope::Admin),
    ("/api/v1/reward-payouts", TokenScope::RewardsWrite),
    ("/api/v1/rewards", TokenScope::RewardsWrite),
    ("/api/v1/rules", TokenScope::Admin),
    ("/api/v1/sensors", TokenScope::SensorsWrite),
    ("/api/v1/uploads", TokenScope::CoversWrite),
    ("/api/v1/upstream", TokenScope::CasesWrite),
    ("/api/v1/weather", TokenScope::Admin),
    ("/bulk-edits", TokenScope::CoversWrite),
    ("/covers", TokenScope::CoversWrite),
    ("/covers/{code}/plates", TokenScope::PlatesWrite),
    ("/desk", TokenScope::CasesWrite),
    ("/desk/campaigns", TokenScope::CampaignsWrite),
    ("/desk/due-dates", TokenScope::CampaignsWrite),
    ("/logout", TokenScope::Read),
    ("/ogc", TokenScope::CoversWrite),
    ("/quality", TokenScope::CoversWrite),
];

/// What a token must open to call an address that asks for a log-in. `None`: nobody has said yet, and nothing less
/// than all that its user may do will do.
pub(super) fn wanted(method: &str, path: &str) -> Option<TokenScope> {
    if method == "GET" {
        return Some(TokenScope::Read);
    }
    let below =
        |group: &str| path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let fits = CHANGES.iter().filter(|(group, _)| below(group));
    fits.max_by_key(|(group, _)| group.len()).map(|(_, scope)| *scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_group_says_the_scope_and_an_unknown_one_says_none() {
        assert_eq!(wanted("GET", "/api/v1/anything"), Some(TokenScope::Read));
        assert_eq!(wanted("POST", "/api/v1/covers/read"), Some(TokenScope::Read));
        assert_eq!(wanted("PATCH", "/api/v1/covers/{code}"), Some(TokenScope::CoversWrite));
        assert_eq!(wanted("POST", "/covers/{code}/plates"), Some(TokenScope::PlatesWrite));
        assert_eq!(wanted("POST", "/api/v1/coversets"), None);
    }
}
