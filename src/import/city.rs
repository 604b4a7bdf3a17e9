//! What a city brings along for reading its files: its reference systems, its synonyms, its districts.

use std::path::Path;
use std::sync::Arc;

use super::lexicon::{self, Lexicon};
use crate::crs::CrsBook;
use crate::domain::Refusal;
use crate::domain::cover::District;

#[derive(Debug, Clone)]
pub struct City {
    pub book: CrsBook,
    pub lexicon: Arc<Lexicon>,
    /// Those that a file may name, by code or name.
    pub districts: Vec<District>,
    /// Scheme of the codes that a file brings.
    pub scheme: Option<String>,
    /// The city's clock, east of Greenwich: a day without a zone is one of the city's days.
    pub utc_offset_minutes: i32,
}

impl City {
    /// What comes with the program.
    pub fn built_in() -> Self {
        Self {
            book: CrsBook::built_in(),
            lexicon: lexicon::built_in(),
            districts: Vec::new(),
            scheme: None,
            utc_offset_minutes: 480,
        }
    }

    /// The same with `crs.toml` and `synonyms.toml` of the data folder. Refuses files that cannot be used.
    pub fn read(data: &Path) -> Result<Self, Refusal> {
        let mut city = Self::built_in();
        if let Some(text) = read_if_there(&data.join("crs.toml"))? {
            city.book = city.book.with(&text)?;
        }
        let file = data.join("synonyms.toml");
        if let Some(text) = read_if_there(&file)? {
            let lexicon =
                Lexicon::with_city(&text).map_err(|refusal| refusal.with("file", file.display()))?;
            city.lexicon = Arc::new(lexicon);
        }
        Ok(city)
    }
}

fn read_if_there(file: &Path) -> Result<Option<String>, Refusal> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refusal::new("file.not_read").with("file", file.display()).with("reason", error)),
    }
}
