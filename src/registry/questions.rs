//! 问一问: what the map's questions read from the registry: tasks as places to visit, hazards by the covers at which they
//! were reported.

use super::{Registry, RegistryError};
use crate::domain::hazard::Hazard;
use crate::domain::ids::Millis;
use crate::domain::role::{Actor, Role};
use crate::store::questions;

pub use crate::store::questions::{HazardCount, Visit, VisitFilter};

/// Visits of one look.
const VISITS: i64 = 20_000;

impl Registry {
    /// Open tasks as places to visit, what is due first first; at most 20,000.
    pub async fn list_visits(&self, filter: VisitFilter) -> Result<Vec<Visit>, RegistryError> {
        let filter = VisitFilter { limit: filter.limit.clamp(1, VISITS), ..filter };
        Ok(questions::list_visits(&mut self.store.read().await?, &filter).await?)
    }

    /// How often each hazard was reported at each cover in a period. A handler counts the cases of their party and no others.
    pub async fn count_hazards(
        &self,
        period: (Millis, Millis),
        hazard: Option<Hazard>,
        actor: &Actor,
    ) -> Result<Vec<HazardCount>, RegistryError> {
        let party = match actor {
            Actor::Staff { role: Role::Handler, party: Some(party), .. } => Some(*party),
            Actor::Staff { role: Role::Handler, party: None, .. } | Actor::Citizen => return Ok(Vec::new()),
            _ => None,
        };
        Ok(questions::count_hazards(&mut self.store.read().await?, period, hazard, party).await?)
    }
}
