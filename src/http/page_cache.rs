//! Scan pages as they were last drawn. A plate is scanned a thousand times for each time its cover
//! changes; a change forgets the page.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;

use crate::domain::ids::{CoverId, Millis};
use crate::domain::token::Token;
use crate::messages::Language;

/// Bytes kept at most; beyond it everything is forgotten at once.
const KEPT: usize = 64 << 20;
/// Names of parties and districts may change without a change of the cover.
const FRESH_MS: i64 = 60_000;

/// A drawn page, plain and gzipped.
#[derive(Clone)]
pub(super) struct Drawn {
    pub plain: Bytes,
    pub gzipped: Bytes,
    at: Millis,
}

impl Drawn {
    pub(super) fn new(html: String, at: Millis) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        let gzipped = encoder.write_all(html.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { plain: html.into(), gzipped: gzipped.into(), at }
    }
}

#[derive(Default)]
struct Pages {
    drawn: HashMap<(Token, Language), Drawn>,
    by_cover: HashMap<CoverId, Vec<Token>>,
    bytes: usize,
}

#[derive(Default)]
pub(super) struct PageCache {
    pages: Mutex<Pages>,
    /// Counts what was forgotten, so that a page drawn before a change is not kept after it.
    forgotten: AtomicU64,
}

impl PageCache {
    pub(super) fn find(&self, token: Token, language: Language, now: Millis) -> Option<Drawn> {
        let pages = self.pages.lock().ok()?;
        pages.drawn.get(&(token, language)).filter(|drawn| now.0 - drawn.at.0 < FRESH_MS).cloned()
    }

    /// Take it before reading what the page shows, and hand it to [`PageCache::keep`].
    pub(super) fn moment(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    pub(super) fn keep(&self, moment: u64, key: (Token, Language), cover: CoverId, drawn: &Drawn) {
        let Ok(mut pages) = self.pages.lock() else { return };
        if self.moment() != moment {
            return;
        }
        if pages.bytes > KEPT {
            *pages = Pages::default();
        }
        pages.bytes += drawn.plain.len() + drawn.gzipped.len() + 200;
        if pages.drawn.insert(key, drawn.clone()).is_none() {
            pages.by_cover.entry(cover).or_default().push(key.0);
        }
    }

    pub(super) fn forget(&self, cover: CoverId) {
        let Ok(mut pages) = self.pages.lock() else { return };
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        for token in pages.by_cover.remove(&cover).unwrap_or_default() {
            for language in Language::ALL {
                if let Some(drawn) = pages.drawn.remove(&(token, language)) {
                    pages.bytes -= drawn.plain.len() + drawn.gzipped.len() + 200;
                }
            }
        }
    }
}
