//! Lists of requests as they were last written. A page of a thousand takes some 20 ms; while nothing was committed the
//! same question is answered from memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::model::Format;
use crate::tiles::etag;

/// Bytes kept at most; beyond it everything is forgotten at once.
const KEPT: usize = 64 << 20;

/// A list that was written.
pub(super) struct Written {
    plain: Bytes,
    /// When somebody asks for it.
    gzipped: OnceLock<Bytes>,
    etag: String,
}

impl Written {
    pub(super) fn new(text: String) -> Arc<Self> {
        let etag = etag(0, text.as_bytes());
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
    pub(super) fn answer(&self, format: Format, asked: &HeaderMap) -> Response {
        let text = |name| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kept = [
            (header::CACHE_CONTROL, "no-cache".to_owned()),
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
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        if is_packed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// When something was written: the newest change, and the minute, because windows move on and names of parties change
/// without a change of a case.
pub(super) type Moment = (i64, i64);

#[derive(Default)]
struct Kept {
    moment: Moment,
    lists: HashMap<String, Arc<Written>>,
    bytes: usize,
}

/// Questions that wait for one another only where they are the same, or fall on the same of these turns by chance.
const TURNS: usize = 32;

#[derive(Default)]
pub(in crate::http) struct RequestCache {
    kept: Mutex<Kept>,
    /// Who asks the same at once waits for one answer instead of asking the database as often.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl RequestCache {
    pub(super) fn find(&self, moment: Moment, key: &str) -> Option<Arc<Written>> {
        let kept = self.kept.lock().ok()?;
        kept.lists.get(key).filter(|_| kept.moment == moment).cloned()
    }

    pub(super) fn keep(&self, moment: Moment, key: String, written: &Arc<Written>) {
        let Ok(mut kept) = self.kept.lock() else { return };
        if kept.moment != moment || kept.bytes > KEPT {
            *kept = Kept { moment, ..Kept::default() };
        }
        kept.bytes += 2 * written.plain.len() + key.len();
        kept.lists.insert(key, written.clone());
    }

    pub(super) async fn turn(&self, key: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.turns[hasher.finish() as usize % TURNS].lock().await
    }
}
