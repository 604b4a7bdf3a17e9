//! 外业督查: how far the fitting has come, and plates drawn at random to be looked at.

use rand::RngExt;
use sha2::{Digest, Sha256};

use super::{Call, Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, Millis, SpotCheckId};
use crate::domain::role::Actor;
use crate::store::crew_watch::{self, DeedCount, FittingDay, ProgressPoint, StreetProgress};
use crate::store::spot_checks::{self, CheckedPlate, FittedPlate, SpotCheck};

/// Streets of a district that are told apart, and points of its map.
const STREETS: i64 = 2000;
const POINTS: i64 = 40_000;
/// Most plates of one draw.
pub const MOST_DRAWN: i64 = 500;

/// A draw as it is wanted.
#[derive(Debug, Clone)]
pub struct NewSpotCheck {
    pub key: IdempotencyKey,
    pub from: Millis,
    pub until: Millis,
    /// `user:<uuid>`; `None` = every crew.
    pub crew: Option<String>,
    pub district: Option<String>,
    pub count: i64,
    pub actor: Actor,
}

impl Registry {
    /// Streets of a district with how many of their covers are planned, fitted, verified, in trouble.
    pub async fn list_street_progress(&self, district: &str) -> Result<Vec<StreetProgress>, RegistryError> {
        Ok(crew_watch::list_streets(&mut self.store.read().await?, district, STREETS).await?)
    }

    /// The district in which most plates were fitted in a period.
    pub async fn find_busiest_district(
        &self,
        period: (Millis, Millis),
    ) -> Result<Option<String>, RegistryError> {
        Ok(crew_watch::find_busiest_district(&mut self.store.read().await?, period).await?)
    }

    /// The same as points.
    pub async fn list_progress_points(&self, district: &str) -> Result<Vec<ProgressPoint>, RegistryError> {
        Ok(crew_watch::list_progress_points(&mut self.store.read().await?, district, POINTS).await?)
    }

    /// Who fitted how many plates on each day; farther than `far_m` from the survey counts as far.
    pub async fn list_fitting_days(
        &self,
        period: (Millis, Millis),
        far_m: f64,
    ) -> Result<Vec<FittingDay>, RegistryError> {
        let offset = i64::from(self.utc_offset_minutes) * 60_000;
        Ok(crew_watch::list_fitting_days(&mut self.store.read().await?, period, offset, far_m).await?)
    }

    /// What crews did beside fitting.
    pub async fn list_deeds(&self, period: (Millis, Millis)) -> Result<Vec<DeedCount>, RegistryError> {
        Ok(crew_watch::list_deeds(&mut self.store.read().await?, period).await?)
    }

    /// Draws plates that were fitted in a period at random. The seed is kept: who has it and the plates
    /// of the period can draw the same ones again.
    pub async fn draw_spot_check(&self, new: NewSpotCheck) -> Result<SpotCheck, RegistryError> {
        if !(1..=MOST_DRAWN).contains(&new.count) {
            let refusal = Refusal::new("spot_check.count").at("count").with("read", new.count);
            return Err(refusal.with("most", MOST_DRAWN).into());
        }
        if new.from.0 >= new.until.0 {
            return Err(Refusal::new("spot_check.period").at("until").into());
        }
        let now = self.now();
        let seed = format!("{:016x}", rand::rng().random::<u64>());
        let said = format!("{:?}", (new.from, new.until, &new.crew, &new.district, new.count));
        let hash = super::sha256(&[said.as_bytes()]);
        let id = SpotCheckId::fresh();
        let drawn = self
            .once::<SpotCheckId, _>(
                Call { key: new.key, scope: format!("spot_check:{}", new.actor.word()), hash, now },
                move |tx| {
                    let (new, seed) = (new.clone(), seed.clone());
                    Box::pin(async move {
                        let period = (new.from, new.until);
                        let (crew, district) = (new.crew.as_deref(), new.district.as_deref());
                        let fitted = spot_checks::list_fitted(tx, period, crew, district).await?;
                        if fitted.is_empty() {
                            return Err(RegistryError::Conflict(Refusal::new("spot_check.none").at("from")));
                        }
                        let population = fitted.len() as i64;
                        let drawn = draw(&seed, fitted, new.count);
                        let check = SpotCheck {
                            id,
                            seed,
                            from: new.from,
                            until: new.until,
                            crew: new.crew.clone(),
                            district: new.district.clone(),
                            population,
                            plate_count: drawn.len() as i64,
                            looked: 0,
                            actor: new.actor.word(),
                            created_at: now,
                        };
                        spot_checks::add_check(tx, &check, &drawn).await?;
                        Ok(id)
                    })
                },
            )
            .await?;
        self.find_spot_check(drawn).await.map(|(check, _)| check)
    }

    /// A page of draws before this one, newest first.
    pub async fn list_spot_checks(
        &self,
        before: Option<SpotCheckId>,
        limit: i64,
    ) -> Result<Vec<SpotCheck>, RegistryError> {
        Ok(spot_checks::list_checks(&mut self.store.read().await?, before, limit).await?)
    }

    /// A draw with its plates and what was found at each since.
    pub async fn find_spot_check(
        &self,
        id: SpotCheckId,
    ) -> Result<(SpotCheck, Vec<CheckedPlate>), RegistryError> {
        let mut tx = self.store.read().await?;
        let unknown = || RegistryError::NotFound(Refusal::new("spot_check.unknown").with("read", id));
        let check = spot_checks::find_check(&mut tx, id).await?.ok_or_else(unknown)?;
        let plates = spot_checks::list_checked(&mut tx, &check).await?;
        Ok((check, plates))
    }
}

/// The plates whose SHA-256 of seed and token are the lowest: each has the same chance, and no generator
/// has to stay the same for as long as the draw shall be explained.
fn draw(seed: &str, mut fitted: Vec<FittedPlate>, count: i64) -> Vec<FittedPlate> {
    fitted.sort_by_cached_key(|plate| {
        let mut hasher = Sha256::new();
        hasher.update(seed);
        hasher.update(plate.token.to_i64().to_be_bytes());
        <[u8; 32]>::from(hasher.finalize())
    });
    fitted.truncate(count.unsigned_abs() as usize);
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CoverId;
    use crate::domain::token::Token;

    #[test]
    fn a_draw_can_be_repeated_by_its_seed_and_favors_nobody() {
        let plate = |number: i64| FittedPlate {
            token: Token::from_i64(number * 7919).unwrap(),
            cover: CoverId::fresh(),
            fitted_by: String::new(),
            fitted_at: Millis(number),
        };
        let all: Vec<FittedPlate> = (1..=100).map(plate).collect();
        let mut turned = all.clone();
        turned.reverse();
        assert_eq!(draw("a", all.clone(), 10), draw("a", turned, 10));
        let mut times = vec![0; 101];
        for seed in 0..1000 {
            for drawn in draw(&seed.to_string(), all.clone(), 10) {
                times[drawn.fitted_at.0 as usize] += 1;
            }
        }
        // 100 expected of each, with a deviation of 9.5.
        assert!(times[1..].iter().all(|times| (60..=145).contains(times)), "{times:?}");
    }
}
