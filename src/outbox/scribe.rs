//! Writes messages to citizens out, in their language, at the moment in which they leave.

use crate::config::Config;
use crate::domain::citizen::MessageKind;
use crate::messages::{Catalogue, Language};
use crate::registry::CitizenLetter;

/// What messages say of the city.
#[derive(Debug, Clone)]
pub(super) struct Scribe {
    pub site: String,
    city_zh: String,
    city_en: String,
    hotline: String,
    utc_offset_minutes: i32,
}

/// A message in words; its links are secrets, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub subject: String,
    pub text: String,
    /// Where it is read on; where it is confirmed, for the question whether an address is meant.
    pub link: Option<String>,
    /// Where it is unsubscribed.
    pub stop: String,
}

impl Scribe {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            site: config.site_base(),
            city_zh: config.city_zh.clone(),
            city_en: config.city_en.clone(),
            hotline: config.hotline.clone(),
            utc_offset_minutes: config.utc_offset_minutes,
        }
    }

    pub(super) fn write(&self, letter: &CitizenLetter) -> Written {
        let language = match letter.language.as_str() {
            "en" => Language::En,
            _ => Language::Zh,
        };
        let words = Catalogue::of(language);
        let city = if language == Language::En { &self.city_en } else { &self.city_zh };
        let about = self.about(words, letter);
        let party = letter
            .party
            .as_ref()
            .map_or_else(|| words.text("citizen_mail.somebody").to_owned(), |party| party.name.clone());
        let values = [
            ("about", about.as_str()),
            ("city", city),
            ("party", &party),
            ("word", letter.word.as_deref().unwrap_or_default()),
            ("why", letter.why.as_deref().unwrap_or_default()),
        ];
        let subject = words.fill(&format!("citizen_subject.{}", letter.kind), &values);
        let mut lines = vec![words.fill(&format!("citizen_text.{}", letter.kind), &values)];
        if let Some(due) = letter.case.as_ref().and_then(|case| case.due_at)
            && letter.kind == MessageKind::UnderWay
        {
            let day = day(due.0, self.utc_offset_minutes);
            lines.push(words.fill("citizen_mail.due", &[("date", &day)]));
        }
        let stop = format!("{}/mail/{}/stop", self.site, letter.follower_link);
        let link = match (&letter.report, letter.kind) {
            (_, MessageKind::Confirm) => Some(format!("{}/mail/{}/confirm", self.site, letter.follower_link)),
            (Some((_, link)), _) => Some(format!("{}/r/{link}", self.site)),
            (None, _) => None,
        };
        if let Some(link) = &link {
            let key = match letter.kind {
                MessageKind::Confirm => "citizen_mail.confirm",
                _ => "citizen_mail.link",
            };
            lines.push(format!("{}\n{link}", words.text(key)));
        }
        lines.push(words.fill("citizen_mail.sign", &[("city", city), ("hotline", &self.hotline)]));
        lines.push(format!("{}\n{stop}", words.text("citizen_mail.stop")));
        Written { subject: one_line(&subject), text: lines.join("\n\n"), link, stop }
    }

    /// What it is about, in a few words.
    fn about(&self, words: &Catalogue, letter: &CitizenLetter) -> String {
        let hazard = letter.case.as_ref().map(|case| words.word("hazard", case.hazard));
        let place = letter.cover.as_ref().map(|file| {
            let district = match words.language() {
                Language::En => &file.district.name_en,
                Language::Zh => &file.district.name_zh,
            };
            let road = file.survey.road.as_deref().unwrap_or_default();
            [district.as_str(), road]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        });
        let (hazard, place) = (hazard.unwrap_or_default(), place.unwrap_or_default());
        match &letter.report {
            Some((number, _)) => words
                .fill("citizen_mail.report", &[("number", number), ("hazard", &hazard)])
                .trim()
                .to_owned(),
            None => {
                words.fill("citizen_mail.cover", &[("place", &place), ("hazard", &hazard)]).trim().to_owned()
            }
        }
    }
}

/// A day on the city's clock.
fn day(at_ms: i64, utc_offset_minutes: i32) -> String {
    let local_s = at_ms.div_euclid(1000) + i64::from(utc_offset_minutes) * 60;
    time::OffsetDateTime::from_unix_timestamp(local_s).map_or_else(
        |_| String::new(),
        |at| format!("{}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day()),
    )
}

/// A subject has one line, whatever a road is called.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(150).collect()
}
