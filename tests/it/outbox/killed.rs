//! SIGKILL of the server while it delivers, and receivers that go away and come back: no event is lost, and none of a case
//! overtakes another.

use std::time::{Duration, Instant};

use lidmark::domain::token::Token;
use serde_json::json;

use super::hook::{Hook, ok, register};
use crate::both_engines;
use crate::registry::ground::Town;
use crate::support::server::Server;

const ROUNDS: usize = 12;

both_engines! {
    async fn a_server_killed_while_it_delivers_loses_nothing_and_keeps_the_order(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(12).await;
        let mut hook = Hook::open(ok).await;
        register(&town.registry, &hook).await;
        town.registry.close().await;
        std::fs::create_dir_all(ground.home().folder()).unwrap();
        let settings = "plate_host = \"lid.example.cn\"\nreports_per_minute = 100000000\n[outbox]\nprivate_receivers = true\n";
        std::fs::write(ground.home().folder().join("lidmark.toml"), settings).unwrap();
        let mut server = Server::start(ground.home()).await;
        for round in 0..ROUNDS {
            let crowd: Vec<_> = (0..4).map(|who| tokio::spawn(report_until_killed(server.base(), tokens.clone(), who))).collect();
            tokio::time::sleep(Duration::from_millis(250 + 97 * (round as u64 % 8))).await;
            if round % 3 == 1 {
                hook.end().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            server.kill();
            for person in crowd {
                person.await.unwrap();
            }
            if round % 3 == 1 {
                hook.begin().await;
            }
            server.restart().await;
        }
        let last: i64 = ground.sql("SELECT max(sequence) FROM outbox").parse().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while hook.taken().len() < last as usize {
            let stands = ground.sql("SELECT delivered FROM outbox_receivers ORDER BY name");
            assert!(Instant::now() < until, "{} of {last} came; {stands}\n{}", hook.taken().len(), server.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        hook.assert_heard_all(last);
        let twice = hook.heard().len() - last as usize;
        crate::support::say(&format!("{ROUNDS} kills: {last} events, {twice} of them sent more than once"));
        assert!(last > ROUNDS as i64, "{last} events are too few to prove anything");
    }
}

async fn report_until_killed(base: String, tokens: Vec<Token>, who: usize) {
    let client = reqwest::Client::new();
    for turn in 0.. {
        let token = tokens[(who + turn * 5) % tokens.len()].to_string();
        let request = client.post(format!("{base}/api/v1/reports"));
        let request =
            request.header("Idempotency-Key", lidmark::domain::ids::IdempotencyKey::fresh().to_string());
        let sent = request.json(&json!({"token": token, "hazard": "broken"})).send().await;
        if sent.is_err() {
            return;
        }
    }
}
