//! A receiver of events on this machine, which verifies signatures by itself and answers as a story wants.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::prelude::{BASE64_STANDARD, Engine};
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::receiver::ReceiverKind;
use lidmark::domain::role::Actor;
use lidmark::outbox::Courier;
use lidmark::registry::{NewReceiver, ReceiverDraft, ReceiverMade, Registry};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::server::free_port;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub path: String,
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub key: Option<String>,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The number of the event in the log.
    pub fn sequence(&self) -> i64 {
        self.id.rsplit('_').next().unwrap().parse().unwrap()
    }

    pub fn case(&self) -> String {
        self.json()["data"]["case"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether one of the signatures is that of this secret: HMAC as RFC 2104 writes it.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let mut key = [0u8; 64];
        let bytes = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        key[..bytes.len()].copy_from_slice(&bytes);
        let message = [format!("{}.{}.", self.id, self.timestamp).as_bytes(), &self.body].concat();
        let inner = Sha256::digest([key.map(|byte| byte ^ 0x36).as_slice(), &message].concat());
        let outer = Sha256::digest([key.map(|byte| byte ^ 0x5c).as_slice(), &inner].concat());
        let wanted = format!("v1,{}", BASE64_STANDARD.encode(outer));
        self.signature.split(' ').any(|signature| signature == wanted)
    }
}

type Answering = dyn Fn(&Heard) -> (u16, String) + Send + Sync;

struct Ears {
    answer: Box<Answering>,
    /// Every request with what was answered, in the order of the answers.
    heard: Mutex<Vec<(Heard, u16)>>,
}

/// It listens while it lives, and may go away and come back.
pub struct Hook {
    pub address: SocketAddr,
    ears: Arc<Ears>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Hook {
    /// One that is not there yet.
    pub fn absent(answer: impl Fn(&Heard) -> (u16, String) + Send + Sync + 'static) -> Self {
        let address = format!("127.0.0.1:{}", free_port()).parse().unwrap();
        let ears = Arc::new(Ears { answer: Box::new(answer), heard: Mutex::default() });
        Self { address, ears, running: None }
    }

    pub async fn open(answer: impl Fn(&Heard) -> (u16, String) + Send + Sync + 'static) -> Self {
        let mut hook = Self::absent(answer);
        hook.begin().await;
        hook
    }

    pub async fn begin(&mut self) {
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        let router = axum::Router::new().fallback(take).with_state(self.ears.clone());
        let (stop, stopped) = oneshot::channel();
        let until = async move {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).with_graceful_shutdown(until).await;
        });
        self.running = Some((stop, serving));
    }

    /// It is gone, and with it its connections.
    pub async fn end(&mut self) {
        if let Some((stop, serving)) = self.running.take() {
            let _ = stop.send(());
            let _ = serving.await;
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn heard(&self) -> Vec<(Heard, u16)> {
        self.ears.heard.lock().unwrap().clone()
    }

    /// What it took, each event once, in the order in which it first took it.
    pub fn taken(&self) -> Vec<Heard> {
        let mut seen = std::collections::BTreeSet::new();
        let taken = self.heard().into_iter().filter(|(_, status)| *status < 300).map(|(heard, _)| heard);
        taken.filter(|heard| seen.insert(heard.id.clone())).collect()
    }

    /// Numbers of what it took, by case.
    pub fn by_case(&self) -> BTreeMap<String, Vec<i64>> {
        let mut cases: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for heard in self.taken() {
            cases.entry(heard.case()).or_default().push(heard.sequence());
        }
        cases
    }

    /// Every event of the log came, those of a case in their order.
    pub fn assert_heard_all(&self, last: i64) {
        let mut all: Vec<i64> = self.taken().iter().map(Heard::sequence).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=last).collect::<Vec<_>>(), "every event once");
        for (case, sequences) in self.by_case() {
            assert!(sequences.is_sorted(), "{case}: {sequences:?}");
        }
    }
}

async fn take(
    State(ears): State<Arc<Ears>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let heard = Heard {
        path: uri.path().to_owned(),
        id: text("webhook-id").unwrap_or_default(),
        timestamp: text("webhook-timestamp").unwrap_or_default(),
        signature: text("webhook-signature").unwrap_or_default(),
        key: text("idempotency-key"),
        body: body.to_vec(),
    };
    let (status, said) = (ears.answer)(&heard);
    ears.heard.lock().unwrap().push((heard, status));
    (StatusCode::from_u16(status).unwrap(), said)
}

pub fn ok(_: &Heard) -> (u16, String) {
    (204, String::new())
}

pub fn draft(name: &str, url: &str, events: &str) -> ReceiverDraft {
    ReceiverDraft { name: name.into(), url: url.into(), events: events.into(), ..ReceiverDraft::default() }
}

/// A receiver that hears everything but what is personal.
pub async fn register(registry: &Registry, hook: &Hook) -> ReceiverMade {
    register_for(registry, hook, false).await
}

pub async fn register_for(registry: &Registry, hook: &Hook, personal: bool) -> ReceiverMade {
    let (key, kind) = (IdempotencyKey::fresh(), ReceiverKind::Webhook);
    let draft = ReceiverDraft { personal, ..draft("hook", &hook.url(), "*") };
    registry.add_receiver(NewReceiver { key, kind, draft, actor: Actor::System }).await.unwrap()
}

pub fn courier(registry: &Registry) -> Courier {
    Courier::new(registry.clone(), true).unwrap()
}
