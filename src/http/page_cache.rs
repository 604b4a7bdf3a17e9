//! Scan pages as they were last drawn. A plate is scanned a thousand times for each time its cover
//! changes; a change forgets the page.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;

use super::packed_page::PackedPage;
use crate::domain::ids::{CoverId, Millis};
use crate::domain::token::Token;
use crate::messages::Language;

/// Bytes kept at most; beyond it everything is forgotten at once.
const KEPT: usize = 64 << 20;
/// Names of parties and districts may change without a change of the cover.
const FRESH_MS: i64 = 60_000;

/// A drawn page.
#[derive(Clone)]
pub(super) struct Drawn {
    page: Arc<PackedPage>,
    at: Millis,
}

impl Drawn {
    /// Wherever `mark` stands in the page, each answer has a key of its own.
    pub(super) fn new(html: &str, mark: &str, at: Millis) -> Self {
        Self { page: Arc::new(PackedPage::new(html, mark)), at }
    }

    /// The page with this key, as one text or gzipped.
    pub(super) fn write(&self, key: &str, gzip: bool) -> Bytes {
        if gzip { self.page.gzipped(key).into() } else { self.page.plain(key).into() }
    }

    fn bytes(&self) -> usize {
        self.page.bytes() + 200
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
        pages.bytes += drawn.bytes();
        if pages.drawn.insert(key, drawn.clone()).is_none() {
            pages.by_cover.entry(cover).or_default().push(key.0);
        }
    }

    pub(super) fn forget_all(&self) {
        let Ok(mut pages) = self.pages.lock() else { return };
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        *pages = Pages::default();
    }

    pub(super) fn forget(&self, cover: CoverId) {
        let Ok(mut pages) = self.pages.lock() else { return };
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        for token in pages.by_cover.remove(&cover).unwrap_or_default() {
            for language in Language::ALL {
                if let Some(drawn) = pages.drawn.remove(&(token, language)) {
                    pages.bytes -= drawn.bytes();
                }
            }
        }
    }
}
