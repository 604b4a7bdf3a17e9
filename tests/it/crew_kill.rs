//! A crew sends photos in pieces and actions that name them while the server is killed again and again: what
//! was answered is there, the phone goes on where it was, and nothing is there twice.

use std::sync::Arc;
use std::time::Duration;

use lidmark::domain::cover::CoverClass;
use lidmark::domain::ids::CoverId;
use lidmark::domain::role::Role;
use lidmark::domain::token::Token;
use lidmark::registry::{NewBatch, Outcome};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::both_engines;
use crate::kill::be_patient;
use crate::registry::ground::{MONDAY, Town, batch, candidate, plate};
use crate::support::server::{Server, run_command};

const PIECE: usize = 6000;
const ROUNDS: u32 = 20;

both_engines! {
    async fn a_killed_server_keeps_every_piece_and_every_action_that_it_answered(ground: Ground) {
        let town = Town::found(&ground).await;
        let rows = (0..400).map(|at| candidate(at, CoverClass::Storm)).collect();
        let covers: Vec<CoverId> = town.import(rows).await.into_iter().map(made).collect();
        let (order, mut random) = (batch(400), SmallRng::seed_from_u64(8));
        let plates: Vec<_> = (1..=400).map(|at| plate(&order, at, Token::draw(&mut random))).collect();
        let tokens: Vec<Token> = plates.iter().map(|plate| plate.token).collect();
        town.registry.commit_batch(NewBatch { batch: order, plates }).await.unwrap();
        town.staff("crew", Role::Crew).await;
        let secret = town.registry.add_api_token("crew", "kill").await.unwrap();
        town.registry.close().await;

        be_patient(&ground.home());
        let mut server = Server::start(ground.home()).await;
        let phone = Arc::new(Phone { base: server.base(), secret, work: Mutex::default() });
        let jobs: Arc<Vec<(CoverId, Token)>> = Arc::new(covers.into_iter().zip(tokens).collect());
        for _ in 0..ROUNDS {
            let (at_work, jobs) = (phone.clone(), jobs.clone());
            let crew = tokio::spawn(async move { at_work.work_until_killed(&jobs).await });
            tokio::time::sleep(Duration::from_millis(random.random_range(30..600))).await;
            server.kill();
            crew.await.expect("nobody panics");
            server.restart().await;
        }
        let done = phone.work_until(&jobs, 3).await;
        let counted = |sql: &str| ground.sql(sql).parse::<usize>().unwrap();
        assert_eq!(counted("SELECT COUNT(*) FROM crew_actions"), done, "each action once");
        assert_eq!(counted("SELECT COUNT(*) FROM plates WHERE state = 'installed'"), done);
        assert_eq!(counted("SELECT COUNT(*) FROM photos"), done, "each photo once");
        assert_eq!(counted("SELECT COUNT(*) FROM plate_events"), done);
        assert!(done > 5, "a run in which nobody got an answer proves nothing: {done}");
        let said = run_command(&ground.home(), &["check", "--json"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        crate::support::say(&format!("{ROUNDS} kills: {done} plates fitted, each with its photo, all there once"));
    }
}

fn made(outcome: Outcome) -> CoverId {
    match outcome {
        Outcome::Created(cover) => cover,
        other => panic!("{other:?}"),
    }
}

/// What the phone has on its list: it outlives the server.
#[derive(Default)]
struct Queue {
    done: usize,
    /// Of the job under way: ids of photo and action, bytes that were answered.
    photo: Uuid,
    action: Uuid,
    answered: usize,
}

struct Phone {
    base: String,
    secret: String,
    work: Mutex<Queue>,
}

impl Phone {
    async fn work_until_killed(&self, jobs: &[(CoverId, Token)]) {
        let client = reqwest::Client::new();
        while self.next(&client, jobs).await.is_some() {}
    }

    /// So many more; answers how many there are in all.
    async fn work_until(&self, jobs: &[(CoverId, Token)], more: usize) -> usize {
        let client = reqwest::Client::new();
        for _ in 0..more {
            self.next(&client, jobs).await.expect("the server is up");
        }
        self.work.lock().await.done
    }

    /// Goes on with the job under way; `None` when the server is gone.
    async fn next(&self, client: &reqwest::Client, jobs: &[(CoverId, Token)]) -> Option<()> {
        let mut queue = self.work.lock().await;
        if queue.photo.is_nil() {
            (queue.photo, queue.action, queue.answered) = (Uuid::now_v7(), Uuid::now_v7(), 0);
        }
        let (cover, token) = jobs[queue.done];
        let picture = picture(queue.done as u64);
        let address = format!("{}/api/v1/crew/photos/{}", self.base, queue.photo);
        let known = client.get(&address).bearer_auth(&self.secret).send().await.ok()?;
        let mut here = match known.status().as_u16() {
            404 => 0,
            _ => known.json::<Value>().await.ok()?["received"].as_u64()? as usize,
        };
        assert!(here >= queue.answered, "{} bytes were answered, {here} are here", queue.answered);
        let mut complete = false;
        while !complete {
            let piece = picture[here..picture.len().min(here + PIECE)].to_vec();
            let request = client.put(format!("{address}?offset={here}&total={}", picture.len()));
            let request = request.header("content-type", "application/octet-stream").body(piece);
            let answer = request.bearer_auth(&self.secret).send().await.ok()?;
            let status = answer.status();
            let answer: Value = answer.json().await.ok()?;
            assert!(status.is_success(), "{answer}");
            here = answer["received"].as_u64().unwrap() as usize;
            complete = answer["complete"].as_bool().unwrap();
            queue.answered = here;
        }
        let request = client.post(format!("{}/api/v1/crew/actions", self.base)).bearer_auth(&self.secret);
        let body = json!({"kind": "fit", "done_at": MONDAY, "token": token, "cover": cover, "seen_version": 1,
            "photos": [{"id": queue.photo, "role": "plate"}]});
        let request = request.header("Idempotency-Key", queue.action.to_string()).json(&body);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let answer: Value = answer.json().await.ok()?;
        assert_eq!(status.as_u16(), 201, "{answer}");
        assert_eq!(answer["notices"], json!([]), "the first answer again, or a first one");
        queue.done += 1;
        queue.photo = Uuid::nil();
        Some(())
    }
}

/// A JPEG of some pieces, another one each time.
fn picture(seed: u64) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(seed);
    let picture = image::RgbImage::from_fn(200, 150, |_, _| image::Rgb(random.random()));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a picture in memory");
    bytes.into_inner()
}
