//! How much programs may ask.

use serde::{Deserialize, Serialize};

/// Requests a minute to `/api/v1` and `/ogc`; 0 = as many as come, and nothing is said of it in headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiLimits {
    /// Of one API token, wherever it is used.
    pub token_per_minute: u32,
    /// Of one network that sends no token; a whole office may share one address.
    pub network_per_minute: u32,
    /// Of everything on the machine itself, with and without tokens. A proxy on the same machine counts as that unless
    /// `behind_proxy` is set.
    pub machine_per_minute: u32,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self { token_per_minute: 6_000, network_per_minute: 1_200, machine_per_minute: 10_000_000 }
    }
}
