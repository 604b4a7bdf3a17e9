//! How much each program and each network may ask a minute, and how it hears of that with every answer
//! (draft-ietf-httpapi-ratelimit-headers-11). Counted in memory; costs a look into a map.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::ask::From;
use super::auth::bearer;
use super::{AppState, Problem};
use crate::config::ApiLimits;
use crate::domain::Refusal;
use crate::domain::ids::Millis;

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The problem of whoever used up a quota (the draft, section 5.1), and its code among ours.
pub(super) const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
pub(super) const USED_UP: &str = "http.quota";

const WINDOW_MS: u64 = 60_000;
/// So that requests at once rarely meet at one lock.
const SHARDS: usize = 64;
/// Callers remembered in a shard; beyond it those of earlier minutes are forgotten, and then all.
const REMEMBERED: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Token,
    Network,
    Machine,
}

struct Policy {
    name: &'static str,
    per_minute: u32,
    /// `"token";q=6000;w=60`
    told: HeaderValue,
}

impl Policy {
    fn new(name: &'static str, per_minute: u32) -> Self {
        let told = format!("\"{name}\";q={per_minute};w={}", WINDOW_MS / 1000);
        Self { name, per_minute, told: HeaderValue::try_from(told).expect("our own words are visible ASCII") }
    }
}

pub(super) struct Quotas {
    token: Policy,
    network: Policy,
    machine: Policy,
    seed: RandomState,
    /// By caller: the minute in the upper half, requests in it in the lower one. A token is in it once it opened
    /// something, so that made-up ones have no budget of their own.
    shards: [RwLock<HashMap<u64, AtomicU64>>; SHARDS],
}

/// Whose budget it is.
#[derive(Clone, Copy)]
struct Account {
    kind: Kind,
    key: u64,
}

/// What is left of a budget.
struct Left<'q> {
    policy: &'q Policy,
    /// `None` when there was nothing left for this request.
    requests: Option<u32>,
    seconds: u64,
}

impl Quotas {
    pub(super) fn new(limits: &ApiLimits) -> Self {
        Self {
            token: Policy::new("token", limits.token_per_minute),
            network: Policy::new("network", limits.network_per_minute),
            machine: Policy::new("machine", limits.machine_per_minute),
            seed: RandomState::new(),
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }

    /// A token opened something: from now on it has a budget of its own.
    pub(super) fn know(&self, secret: &str) {
        let account = self.of_token(secret);
        if !self.is_known(account) {
            self.shard(account)
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(account.key)
                .or_default();
        }
    }

    fn of_token(&self, secret: &str) -> Account {
        Account { kind: Kind::Token, key: self.seed.hash_one((Kind::Token, secret)) }
    }

    fn of_network(&self, network: IpAddr) -> Account {
        let network = network.to_canonical();
        if network.is_loopback() || network.is_unspecified() {
            return Account { kind: Kind::Machine, key: 0 };
        }
        // A home has as many addresses of IPv6 as it likes, but one such half.
        let place = match network {
            IpAddr::V4(four) => u128::from(four.to_bits()),
            IpAddr::V6(six) => six.to_bits() >> 64 << 64,
        };
        Account { kind: Kind::Network, key: self.seed.hash_one((Kind::Network, place)) }
    }

    fn is_known(&self, account: Account) -> bool {
        self.shard(account).read().unwrap_or_else(PoisonError::into_inner).contains_key(&account.key)
    }

    fn shard(&self, account: Account) -> &RwLock<HashMap<u64, AtomicU64>> {
        &self.shards[account.key as usize % SHARDS]
    }

    /// Counts one request; `None` where there is no limit.
    fn spend(&self, account: Account, now: Millis) -> Option<Left<'_>> {
        let policy = match account.kind {
            Kind::Token => &self.token,
            Kind::Network => &self.network,
            Kind::Machine => &self.machine,
        };
        if policy.per_minute == 0 {
            return None;
        }
        let (minute, into_ms) = window_of(account.key, now);
        let shard = self.shard(account);
        let counted = shard
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&account.key)
            .map(|counter| count(counter, minute));
        let counted = counted.unwrap_or_else(|| {
            let mut callers = shard.write().unwrap_or_else(PoisonError::into_inner);
            if callers.len() >= REMEMBERED {
                callers
                    .retain(|key, counter| counter.load(Ordering::Relaxed) >> 32 == window_of(*key, now).0);
                if callers.len() >= REMEMBERED {
                    callers.clear();
                }
            }
            count(callers.entry(account.key).or_default(), minute)
        });
        Some(Left {
            policy,
            requests: policy.per_minute.checked_sub(counted),
            seconds: (WINDOW_MS - into_ms).div_ceil(1000),
        })
    }
}

/// The minute of a caller and how far it has come. Each begins at another second, so that those who wait do not all come
/// back at once.
fn window_of(key: u64, now: Millis) -> (u64, u64) {
    let at = now.0.max(0).unsigned_abs() + (key >> 32) % WINDOW_MS;
    // The upper half of a counter holds it for as long as anybody counts.
    ((at / WINDOW_MS) & u64::from(u32::MAX), at % WINDOW_MS)
}

/// Requests of this minute, this one included.
fn count(counter: &AtomicU64, minute: u64) -> u32 {
    let next = |seen: u64| match seen >> 32 == minute {
        true if seen as u32 == u32::MAX => seen,
        true => seen + 1,
        false => (minute << 32) | 1,
    };
    let seen = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| Some(next(seen)));
    next(seen.unwrap_or_else(|seen| seen)) as u32
}

impl Left<'_> {
    fn tell(&self, headers: &mut HeaderMap) {
        let left = format!("\"{}\";r={};t={}", self.policy.name, self.requests.unwrap_or(0), self.seconds);
        headers.insert(RATE_LIMIT_POLICY, self.policy.told.clone());
        headers.insert(RATE_LIMIT, HeaderValue::try_from(left).expect("our own words are visible ASCII"));
    }

    fn refuse(&self) -> Response {
        let refusal = Refusal::new(USED_UP)
            .with("policy", self.policy.name)
            .with("most", self.policy.per_minute)
            .with("seconds", self.seconds);
        let mut response = Problem { status: StatusCode::TOO_MANY_REQUESTS, refusal }.into_response();
        response.headers_mut().insert(header::RETRY_AFTER, self.seconds.into());
        self.tell(response.headers_mut());
        response
    }
}

/// Stands before everything that programs ask.
pub(super) async fn meter(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !(path.starts_with("/api/v1/") || path == "/ogc" || path.starts_with("/ogc/")) {
        return next.run(request).await;
    }
    let (quotas, now) = (&state.shared.quotas, state.registry.now());
    let From(network) = From::of(&state, request.headers(), request.extensions());
    let network = quotas.of_network(network);
    let token = bearer(request.headers()).filter(|_| network.kind != Kind::Machine);
    let token = token.map(|secret| quotas.of_token(secret));
    let known = token.filter(|token| quotas.is_known(*token));
    let mut left = quotas.spend(known.unwrap_or(network), now);
    if let Some(left) = left.as_ref().filter(|left| left.requests.is_none()) {
        return left.refuse();
    }
    let mut response = next.run(request).await;
    // The first use of a token went by its network until somebody had seen that it is one.
    if let Some(token) = token.filter(|token| known.is_none() && quotas.is_known(*token)) {
        left = quotas.spend(token, now);
    }
    if let Some(left) = left {
        left.tell(response.headers_mut());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas() -> Quotas {
        Quotas::new(&ApiLimits { token_per_minute: 3, network_per_minute: 2, machine_per_minute: 0 })
    }

    #[test]
    fn a_budget_is_used_up_and_whole_again_a_minute_later() {
        let quotas = quotas();
        let office = quotas.of_network("203.0.113.7".parse().unwrap());
        let left = |at: i64| quotas.spend(office, Millis(at)).unwrap();
        // Some moment at which the caller's minute begins.
        let begin = (0..).find(|at| window_of(office.key, Millis(*at)).1 == 0).unwrap();
        assert_eq!((left(begin).requests, left(begin + 1).requests), (Some(1), Some(0)));
        assert_eq!((left(begin + 2).requests, left(begin + 58_001).seconds), (None, 2));
        assert_eq!(left(begin + 60_000).requests, Some(1));
        let mut headers = HeaderMap::new();
        left(begin + 60_000).tell(&mut headers);
        assert_eq!(headers[RATE_LIMIT_POLICY], "\"network\";q=2;w=60");
        assert_eq!(headers[RATE_LIMIT], "\"network\";r=0;t=60");
    }

    #[test]
    fn a_half_of_ipv6_is_one_network_and_the_machine_has_no_limit_here() {
        let quotas = quotas();
        let key = |address: &str| quotas.of_network(address.parse().unwrap()).key;
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("203.0.113.7"), key("::ffff:203.0.113.7"));
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(quotas.spend(quotas.of_network(own.parse().unwrap()), Millis(0)).is_none(), "{own}");
        }
    }

    #[test]
    fn a_token_is_known_once_it_opened_something_and_no_crowd_makes_the_memory_grow() {
        let quotas = quotas();
        assert!(!quotas.is_known(quotas.of_token("secret")));
        quotas.know("secret");
        assert_eq!(quotas.spend(quotas.of_token("secret"), Millis(0)).unwrap().requests, Some(2));
        for at in 0..300_000u32 {
            quotas.spend(quotas.of_network(IpAddr::V4(at.wrapping_mul(2_654_435_761).into())), Millis(0));
        }
        let kept: usize = quotas.shards.iter().map(|shard| shard.read().unwrap().len()).sum();
        assert!(kept <= SHARDS * REMEMBERED, "{kept}");
    }
}
