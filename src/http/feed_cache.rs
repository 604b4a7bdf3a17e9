//! Answers as they were last written: while nothing was committed, the same question is answered from memory. A page of a
//! thousand requests of Open311 takes some 20 ms, and a tracking page half a dozen questions to the database.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::registry::{Registry, RegistryError};
use crate::tiles::etag;

/// Bytes kept at most; beyond it everything is forgotten at once.
const MOST_BYTES: usize = 64 << 20;

/// An answer that was written.
pub(super) struct Kept {
    plain: Bytes,
    /// When somebody asks for it.
    gzipped: OnceLock<Bytes>,
    etag: String,
}

impl Kept {
    pub(super) fn new(text: String) -> Arc<Self> {
        let etag = etag(text.as_bytes());
        Arc::new(Self { plain: text.into(), gzipped: OnceLock::new(), etag })
    }

    fn gzipped(&self) -> Bytes {
        let pack = || {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(4));
            encoder.write_all(&self.plain).and_then(|()| encoder.finish()).unwrap_or_default().into()
        };
        self.gzipped.get_or_init(pack).clone()
    }

    /// The answer; nothing but "as before" for whoever has the same bytes.
    pub(super) fn answer(
        &self,
        (content_type, cache_control): (&'static str, &'static str),
        asked: &HeaderMap,
    ) -> Response {
        let text = |name| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kept = [
            (header::CACHE_CONTROL, cache_control.to_owned()),
            (header::ETAG, self.etag.clone()),
            (header::VARY, "accept-encoding, accept-language, host".to_owned()),
        ];
        let same = |tag: &str| tag.trim().trim_start_matches("W/") == self.etag;
        if text(header::IF_NONE_MATCH).split(',').any(same) {
            return (StatusCode::NOT_MODIFIED, kept).into_response();
        }
        let is_packed = text(header::ACCEPT_ENCODING).contains("gzip");
        let body = if is_packed { self.gzipped() } else { self.plain.clone() };
        let mut response = (kept, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if is_packed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// When something was written: the newest change, and the minute, because windows move on and names of parties change
/// without a change of a case.
pub(super) type Moment = (i64, i64);

/// Asks for the newest change once for all who came before the question was put: each hears of everything that was
/// committed before they asked, and the database is asked once for many of them.
#[derive(Default)]
pub(super) struct NewestChange {
    arrivals: AtomicU64,
    turn: tokio::sync::Mutex<()>,
    answered: Mutex<Answered>,
}

/// The newest change as everybody up to an arrival may hear it.
#[derive(Debug, Clone, Copy, Default)]
struct Answered {
    up_to: u64,
    change: i64,
}

impl NewestChange {
    pub(super) async fn ask(&self, registry: &Registry) -> Result<i64, RegistryError> {
        let arrival = self.arrivals.fetch_add(1, Ordering::SeqCst) + 1;
        let _turn = self.turn.lock().await;
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.up_to >= arrival {
            return Ok(answered.change);
        }
        let up_to = self.arrivals.load(Ordering::SeqCst);
        let change = registry.last_change().await?;
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Answered { up_to, change };
        Ok(change)
    }
}

#[derive(Default)]
struct Shelf {
    moment: Moment,
    answers: HashMap<String, Arc<Kept>>,
    bytes: usize,
}

/// Questions that wait for one another only where they are the same, or fall on the same of these turns by chance.
const TURNS: usize = 32;

#[derive(Default)]
pub(super) struct FeedCache {
    shelf: Mutex<Shelf>,
    /// Who asks the same at once waits for one answer instead of asking the database as often.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl FeedCache {
    pub(super) fn find(&self, moment: Moment, key: &str) -> Option<Arc<Kept>> {
        let shelf = self.shelf.lock().ok()?;
        shelf.answers.get(key).filter(|_| shelf.moment == moment).cloned()
    }

    pub(super) fn keep(&self, moment: Moment, key: String, answer: &Arc<Kept>) {
        let Ok(mut shelf) = self.shelf.lock() else { return };
        if shelf.moment != moment || shelf.bytes > MOST_BYTES {
            *shelf = Shelf { moment, ..Shelf::default() };
        }
        shelf.bytes += 2 * answer.plain.len() + key.len();
        shelf.answers.insert(key, answer.clone());
    }

    pub(super) async fn turn(&self, key: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.turns[hasher.finish() as usize % TURNS].lock().await
    }
}
