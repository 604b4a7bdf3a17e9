//! How often one network may try: counted in memory, forgotten after a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use axum::http::StatusCode;

use super::Problem;
use crate::domain::ids::Millis;

/// Networks remembered at once; beyond it the minute starts anew for all.
const REMEMBERED: usize = 100_000;

pub(super) struct Limiter {
    per_minute: u32,
    minute: Mutex<(i64, HashMap<IpAddr, u32>)>,
}

impl Limiter {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, minute: Mutex::new((0, HashMap::new())) }
    }

    /// Counts one try; refuses it when the minute is used up.
    pub(super) fn count(&self, from: IpAddr, now: Millis) -> Result<(), Problem> {
        let Ok(mut minute) = self.minute.lock() else { return Ok(()) };
        let this = now.0.div_euclid(60_000);
        if minute.0 != this || minute.1.len() > REMEMBERED {
            *minute = (this, HashMap::new());
        }
        let tries = minute.1.entry(from).or_default();
        *tries += 1;
        if *tries > self.per_minute {
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "http.too_many"));
        }
        Ok(())
    }
}
