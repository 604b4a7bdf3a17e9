//! The one place that writes to the terminal: lines for people and one line of JSON on stdout,
//! progress and refusals on stderr.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::{Failure, Language};
use crate::domain::Refusal;
use crate::messages;

/// How a command speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Say {
    /// One JSON line on stdout instead of words.
    pub json: bool,
    pub language: Language,
}

impl Say {
    /// A line for people; silent with `--json`.
    pub(super) fn line(&self, text: impl AsRef<str>) {
        if !self.json {
            out(text.as_ref());
        }
    }

    /// The words in the language asked for.
    pub(super) fn words(&self, zh: impl AsRef<str>, en: impl AsRef<str>) {
        match self.language {
            Language::Zh => self.line(zh),
            Language::En => self.line(en),
        }
    }

    /// The one line of JSON.
    pub(super) fn summary(&self, value: &Value) {
        if self.json {
            out(&value.to_string());
        }
    }

    /// What went wrong with a part; the command goes on.
    pub(super) fn problem(&self, text: impl AsRef<str>) {
        err(text.as_ref());
    }

    /// How far it is: one line that is written over, on a terminal only.
    pub(super) fn progress(&self, text: impl AsRef<str>) {
        if std::io::stderr().is_terminal() {
            write_err(&format!("\r\x1b[K{}", text.as_ref()));
        }
    }

    pub(super) fn end_progress(&self) {
        self.progress("");
    }

    /// Asks for a yes; `false` for anything else.
    pub(super) fn ask(&self, question: &str) -> bool {
        write_err(&format!("{question} "));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是" | "好")
    }

    /// Why nothing was done; the command ends with this.
    pub(super) fn failure(&self, failure: &Failure) {
        let (code, detail) = self.failure_line(failure);
        self.summary(&json!({"error": {"code": code, "detail": detail}}));
    }

    /// Why a part was not done. Answers with code and sentence.
    pub(super) fn failure_line(&self, failure: &Failure) -> (&'static str, String) {
        self.end_progress();
        let (code, detail) = match failure {
            Failure::Refused(refusal) => (refusal.code, self.sentence(refusal)),
            Failure::Broken(error) => ("broken", format!("{error:#}")),
        };
        err(&format!("lidmark: {detail}"));
        (code, detail)
    }

    /// The words of the language asked for.
    pub(super) fn catalogue(&self) -> &'static messages::Catalogue {
        messages::Catalogue::of(catalogue_language(self.language))
    }

    /// A sentence of the catalogue.
    pub(super) fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        messages::Catalogue::of(catalogue_language(self.language)).fill(key, values)
    }

    /// The sentence of a refusal.
    pub(super) fn sentence(&self, refusal: &Refusal) -> String {
        say_refusal(refusal, self.language)
    }
}

/// The sentence of a refusal in the language asked for.
pub(super) fn say_refusal(refusal: &Refusal, language: Language) -> String {
    let sentence = messages::Catalogue::of(catalogue_language(language)).refusal_in_words(refusal);
    // A code without a sentence is better told with its facts than alone.
    if sentence == format!("refusal.{}", refusal.code) { refusal.to_string() } else { sentence }
}

fn catalogue_language(language: Language) -> messages::Language {
    match language {
        Language::Zh => messages::Language::Zh,
        Language::En => messages::Language::En,
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn out(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "words for whoever sits at the terminal")]
fn err(text: &str) {
    eprintln!("{text}");
}

fn write_err(text: &str) {
    let mut stderr = std::io::stderr();
    // Progress that cannot be written is no reason to stop.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
