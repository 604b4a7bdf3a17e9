//! Following by mail: asking for it, confirming, leaving.

use askama::Template;

use super::words::{PublicCover, joined};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::token::Token;
use crate::registry::{Followed, FollowedThing};

#[derive(Template)]
#[template(path = "follow.html")]
struct FollowPage<'a> {
    page: Page<'a>,
    token: Token,
    cover: PublicCover,
    typed: &'a str,
    wrong: Option<String>,
}

/// Asks by which address somebody wants to hear of a cover.
pub fn follow_form(
    page: &Page,
    token: Token,
    cover: &CoverFile,
    typed: &str,
    wrong: Option<&Refusal>,
) -> String {
    let wrong = wrong.map(|refusal| page.catalogue.refusal_in_words(refusal));
    write(&FollowPage { page: *page, token, cover: PublicCover::new(page, cover), typed, wrong })
}

/// One or two sentences, and a button where there is something to do.
#[derive(Template)]
#[template(path = "mail_link.html")]
struct MailLinkPage<'a> {
    page: Page<'a>,
    title: &'a str,
    text: &'a str,
    /// What is followed.
    about: String,
    /// Where the button sends to, and what it says.
    action: Option<(String, &'a str)>,
}

/// What becomes of the wish to be told.
pub fn followed(page: &Page, followed: Followed) -> String {
    let (title, text) = match followed {
        Followed::Asked => ("follow.asked", "follow.asked_text"),
        Followed::Confirmed => ("follow.confirmed", "follow.confirmed_text"),
    };
    let (title, text) = (page.t(title), page.t(text));
    write(&MailLinkPage { page: *page, title, text, about: String::new(), action: None })
}

/// The page of a link in a mail. `stops`: the link by which somebody leaves.
pub fn mail_link(page: &Page, link: &str, thing: &FollowedThing, stops: bool) -> String {
    let about = match (&thing.tracking, &thing.cover) {
        (Some(tracking), _) => tracking.clone(),
        (None, Some(file)) => {
            let cover = PublicCover::new(page, file);
            joined([&cover.class_word, &cover.place, &cover.code].map(|part| Some(part.as_str())))
        }
        (None, None) => String::new(),
    };
    let is_confirmed = thing.follower.confirmed_at.is_some();
    let to = |step: &str, word| Some((format!("/mail/{link}/{step}"), page.t(word)));
    let (title, text, action) = match (stops, is_confirmed) {
        (true, _) => ("follow.stop", "follow.stop_text", to("stop", "follow.stop")),
        (false, false) => ("follow.confirm", "follow.confirm_text", to("confirm", "follow.confirm")),
        (false, true) => ("follow.confirmed", "follow.confirmed_text", None),
    };
    write(&MailLinkPage { page: *page, title: page.t(title), text: page.t(text), about, action })
}

/// The address is forgotten.
pub fn left(page: &Page) -> String {
    let (title, text) = (page.t("follow.left"), page.t("follow.left_text"));
    write(&MailLinkPage { page: *page, title, text, about: String::new(), action: None })
}
