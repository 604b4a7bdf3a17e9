//! A simulated year of a city at full size: 300 scans and 40 reports a day, five times as many in storms, five parties.
//! The same code lives a small year in `make test`. `cargo bench --bench year [-- --seed N] [--small] [--postgres]`.
#![allow(clippy::unwrap_used, reason = "a panic is how a year fails")]

#[allow(dead_code, reason = "laid for the stories of the tests")]
#[path = "../tests/it/support/mod.rs"]
mod support;

#[allow(dead_code, reason = "laid for the stories of the tests")]
#[path = "../tests/it/registry"]
mod registry {
    pub mod ground;
}

#[allow(dead_code, reason = "laid for the stories of the tests")]
#[path = "../tests/it/contract"]
mod contract {
    pub mod house;
}

#[allow(dead_code, reason = "laid for the stories of the tests")]
#[path = "../tests/it/outbox"]
mod outbox {
    pub mod hook;
}

#[path = "../tests/it/year/mod.rs"]
mod year;

use support::engines::Ground;

const FULL: year::Size = year::Size {
    name: "full",
    days: 365,
    covers: 600,
    parties: 5,
    scans: 300,
    reports: 40,
    links: 40,
    reread: 1,
    lists: 1,
    notices: 7,
    is_told: true,
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let size = if has("--small") { year::Size::SMALL } else { FULL };
    let seed = arguments.iter().skip_while(|argument| *argument != "--seed").nth(1);
    let seed = seed.map_or(2026, |text| text.parse().expect("a seed is a whole number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ground = if has("--postgres") { Ground::postgres() } else { Ground::sqlite() };
    let ground = ground.expect("PostgreSQL is installed");
    runtime.block_on(year::live(ground, size, seed));
}
