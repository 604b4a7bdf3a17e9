//! 事件接收方: who hears of what by webhook, how long a failed delivery waits, what an answer means, and how states of
//! an upstream platform (数字城管一体化平台) and ours become each other.

// Addresses as numbers: `core` has no sockets.
use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

use super::Refusal;
use super::case::{CaseMove, CaseState};
use super::ids::Millis;
use super::names::named_enum;

named_enum! {
    /// How a receiver is spoken to.
    ReceiverKind as "receiver_kind" {
        /// One signed POST an event, as Standard Webhooks describes it.
        Webhook = "webhook",
        /// 数字城管一体化平台: cases are created there and their states told.
        Upstream = "upstream",
        /// Messages to citizens go out as mail; there is one where the city's settings name a server, and none else.
        Mail = "mail",
    }
}

named_enum! {
    ReceiverState as "receiver_state" {
        Active = "active",
        /// Nothing is sent; what happens waits in the log.
        Paused = "paused",
    }
}

named_enum! {
    /// What is done with a receiver, apart from being changed.
    ReceiverStep as "receiver_step" {
        Pause = "pause",
        Resume = "resume",
        /// A new secret; the one before signs as well for a day.
        Rotate = "rotate",
        /// Everything since a moment is sent once more.
        Replay = "replay",
        Remove = "remove",
    }
}

named_enum! {
    /// Where an event stands that could not be delivered in its turn.
    LetterState as "letter_state" {
        /// It is tried again; later events of its key wait behind it.
        Waiting = "waiting",
        /// Every try failed. Nothing waits for it.
        Dead = "dead",
    }
}

named_enum! {
    LetterStep as "letter_step" { TryAgain = "try_again", Skip = "skip" }
}

/// What a city says about deliveries; `[outbox]` of its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxRules {
    /// Receivers may lie in the house's own network, and be spoken to without TLS.
    pub private_receivers: bool,
    /// Days after which an event that everybody has heard is cleared away. 0 = never.
    pub keep_days: u32,
}

impl Default for OutboxRules {
    fn default() -> Self {
        Self { private_receivers: false, keep_days: 30 }
    }
}

/// Longest name and address.
pub const NAME_LIMIT: usize = 60;
pub const URL_LIMIT: usize = 500;
/// Most patterns or districts of a receiver.
pub const LIST_LIMIT: usize = 50;
/// Longest text of an upstream receiver's rules.
pub const RULES_LIMIT: usize = 8_000;
/// How long the secret before signs beside the new one.
pub const ROTATION_MS: i64 = 86_400_000;

/// Events that tell something about a person.
const PERSONAL: &[&str] = &["citizen.message"];

/// What a receiver wants to hear.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// `case.*`, `case.closed` or `*`.
    pub events: Vec<String>,
    /// Codes; empty = all. A receiver of some districts hears of the cases there and of nothing else.
    pub districts: Vec<String>,
    /// Whether it may hear what tells something about a person.
    pub personal: bool,
}

impl Wishes {
    /// Reads lists of words, each apart from the next by blanks or commas.
    pub fn read(events: &str, districts: &str, personal: bool) -> Result<Self, Refusal> {
        let words = |field: &'static str, text: &str| {
            let words: Vec<String> = text
                .split(|c: char| c.is_whitespace() || c == ',' || c == '，' || c == '、')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect();
            if words.len() > LIST_LIMIT {
                return Err(Refusal::new("receiver.too_many")
                    .at(field)
                    .with("count", words.len())
                    .with("most", LIST_LIMIT));
            }
            Ok(words)
        };
        let (events, districts) = (words("events", events)?, words("districts", districts)?);
        if events.is_empty() {
            return Err(Refusal::new("receiver.no_events").at("events"));
        }
        let shortened = |word: &str| word.chars().take(60).collect::<String>();
        if let Some(wrong) = events.iter().find(|pattern| !is_pattern(pattern)) {
            return Err(Refusal::new("receiver.event").at("events").with("read", shortened(wrong)));
        }
        let is_code = |word: &String| word.len() <= 40 && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if let Some(wrong) = districts.iter().find(|code| !is_code(code)) {
            return Err(Refusal::new("receiver.district").at("districts").with("read", shortened(wrong)));
        }
        Ok(Self { events, districts, personal })
    }

    /// `district`: of the case that the event is about.
    pub fn want(&self, event: &str, district: Option<&str>) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => event == pattern,
        };
        let is_here = || match district {
            _ if self.districts.is_empty() => true,
            Some(district) => self.districts.iter().any(|code| code == district),
            None => false,
        };
        (self.personal || !PERSONAL.contains(&event)) && self.events.iter().any(fits) && is_here()
    }
}

fn is_pattern(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match text.split_once('.') {
        _ if text == "*" => true,
        Some((group, name)) => text.len() <= 60 && is_word(group) && (name == "*" || is_word(name)),
        None => false,
    }
}

/// What an event is about: events of one key are delivered in their order, events of different keys need not be.
pub fn order_key(event: &str, body: &Value) -> String {
    // Messages of one person keep their order; whose mail server is slow holds nobody else up.
    let about = ["follower", "case", "plate", "cover", "notice", "meeting"];
    let named = about.iter().find_map(|name| Some(format!("{name}:{}", body.get(name)?.as_str()?)));
    named.unwrap_or_else(|| event.split('.').next().unwrap_or(event).to_owned())
}

/// Whether a receiver's address can be used. `private`: addresses of a house's own network, and plain HTTP there.
pub fn check_url(text: &str, private: bool) -> Result<Url, Refusal> {
    let refuse = |code: &'static str| Refusal::new(code).at("url");
    if text.len() > URL_LIMIT {
        return Err(refuse("text.too_long").with("count", text.len()).with("most", URL_LIMIT));
    }
    let url = Url::parse(text).map_err(|_| refuse("receiver.url"))?;
    if url.cannot_be_a_base()
        || !url.username().is_empty()
        || url.password().is_some()
        || url.fragment().is_some()
    {
        return Err(refuse("receiver.url"));
    }
    match url.scheme() {
        "https" => {}
        "http" if private => {}
        "http" => return Err(refuse("receiver.https")),
        _ => return Err(refuse("receiver.url")),
    }
    let address = match url.host() {
        None => return Err(refuse("receiver.url")),
        Some(Host::Domain(_)) => return Ok(url),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
    };
    if may_connect(address, private) {
        Ok(url)
    } else {
        Err(refuse("receiver.private").with("read", address))
    }
}

/// Whether something may be sent to this address. Addresses that are nobody's, or only of the link (where clouds keep
/// their keys), never; those of a house's own network where the city says so.
pub fn may_connect(address: IpAddr, private: bool) -> bool {
    let v4 = |ip: Ipv4Addr| {
        let [a, b, ..] = ip.octets();
        if ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || a == 0 {
            return false;
        }
        // 100.64/10 is shared between a carrier and its customers, 198.18/15 for measurements.
        let own = ip.is_loopback()
            || ip.is_private()
            || (a == 100 && (64..128).contains(&b))
            || (a == 198 && (b == 18 || b == 19));
        private || !own
    };
    match address {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => {
            if let Some(inner) = ip.to_ipv4_mapped() {
                return v4(inner);
            }
            if ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() {
                return false;
            }
            // 64:ff9b::/96 and 2002::/16 reach addresses of the older kind.
            let [first, second, ..] = ip.segments();
            let translated = (first == 0x64 && second == 0xff9b) || first == 0x2002;
            private || !(ip.is_loopback() || ip.is_unique_local() || translated)
        }
    }
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// It wants nothing any more.
    Gone,
    /// The receiver as a whole is not to be reached: nothing is sent for a while.
    Absent,
    /// This event was not taken.
    Failed,
}

/// `kind`: a webhook has one address, so that what is said of the address is said of the receiver.
pub fn judge(kind: ReceiverKind, status: u16) -> Verdict {
    match status {
        200..300 => Verdict::Delivered,
        410 if kind == ReceiverKind::Webhook => Verdict::Gone,
        401 | 403 | 429 | 502..=504 => Verdict::Absent,
        404 | 405 if kind == ReceiverKind::Webhook => Verdict::Absent,
        _ => Verdict::Failed,
    }
}

/// Seconds after which a failed event is tried again, as Standard Webhooks suggests: 3 days in all.
const TRY_AFTER_S: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Longest pause of a receiver that is absent as a whole, so that it is soon served when it is back.
const LONGEST_ABSENCE_S: i64 = 300;

/// When an event that failed so often is tried again; `None` = never. `jitter` lies between 0 and 1.
pub fn next_try(failures: i64, now: Millis, jitter: f64) -> Option<Millis> {
    let wait_s = *TRY_AFTER_S.get(usize::try_from(failures - 1).ok()?)?;
    Some(Millis(now.0 + spread(wait_s, jitter)))
}

/// When an absent receiver is tried again after so many vain tries, or after what it asked for itself.
pub fn end_of_absence(tries: i64, asked_s: Option<i64>, now: Millis, jitter: f64) -> Millis {
    let usual = 5_i64.saturating_mul(1 << (tries - 1).clamp(0, 10)).min(LONGEST_ABSENCE_S);
    let wait_s = asked_s.map_or(usual, |asked| asked.clamp(usual, 3_600));
    Millis(now.0 + spread(wait_s, jitter))
}

/// Up to a fifth later, so that what failed together does not come again together.
fn spread(wait_s: i64, jitter: f64) -> i64 {
    (wait_s as f64 * 1000.0 * (1.0 + jitter.clamp(0.0, 1.0) / 5.0)) as i64
}

/// Moves that an upstream platform can ask for.
const UPSTREAM_MOVES: &[CaseMove] = &[
    CaseMove::File,
    CaseMove::Reject,
    CaseMove::Accept,
    CaseMove::Decline,
    CaseMove::Refuse,
    CaseMove::HandIn,
    CaseMove::SendBack,
    CaseMove::Check,
];

/// How states of a platform and ours become each other; the text of an upstream receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamRules {
    /// Below the receiver's address: where cases are created, and where their states are told; `{id}` is the platform's
    /// id of the case.
    pub create_path: String,
    pub state_path: String,
    /// What the answer to a created case calls its id.
    pub id_field: String,
    /// Our state → what the platform calls it. The first of them that a case reaches creates it there; states that do
    /// not stand here are not told.
    pub states: BTreeMap<CaseState, String>,
    /// What the platform says → the move that is made here.
    pub moves: BTreeMap<String, CaseMove>,
}

impl UpstreamRules {
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let wrong = |reason: String| Refusal::new("receiver.rules").at("rules").with("reason", reason);
        if text.len() > RULES_LIMIT {
            return Err(Refusal::new("text.too_long")
                .at("rules")
                .with("count", text.len())
                .with("most", RULES_LIMIT));
        }
        let mut rules: Self = toml::from_str(text).map_err(|error| wrong(error.message().to_owned()))?;
        let mut settle = |path: fn(&mut Self) -> &mut String, usual: &str| {
            let text = path(&mut rules);
            if text.is_empty() {
                *text = usual.to_owned();
            }
        };
        settle(|rules| &mut rules.create_path, "/cases");
        settle(|rules| &mut rules.state_path, "/cases/{id}/states");
        settle(|rules| &mut rules.id_field, "id");
        for path in [&rules.create_path, &rules.state_path] {
            if !path.starts_with('/') || path.starts_with("//") || path.contains(['?', '#', '\\', ' ']) {
                return Err(wrong(format!("{path} is no path; it begins with one /")));
            }
        }
        if !rules.state_path.contains("{id}") {
            return Err(wrong("state_path needs {id}".to_owned()));
        }
        if rules.states.is_empty() {
            return Err(wrong("[states] names no state, so that nothing would be told".to_owned()));
        }
        if let Some(made) = rules.moves.values().find(|made| !UPSTREAM_MOVES.contains(made)) {
            let fits: Vec<&str> = UPSTREAM_MOVES.iter().map(|made| made.as_str()).collect();
            return Err(wrong(format!("{made} is not for a platform; it can be {}", fits.join(", "))));
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_wanted_by_name_group_and_place() {
        let wishes = Wishes::read("case.* notice.issued，rules.changed", "", false).unwrap();
        assert!(wishes.want("case.closed", None) && wishes.want("notice.issued", None));
        assert!(!wishes.want("notice.withdrawn", None) && !wishes.want("cases.x", None));
        let here = Wishes::read("*", "370502", false).unwrap();
        assert!(here.want("case.filed", Some("370502")) && !here.want("case.filed", Some("370503")));
        assert!(!here.want("rules.changed", None));
        let all = |personal| Wishes::read("*", "", personal).unwrap().want("citizen.message", None);
        assert!(all(true) && !all(false));
        for wrong in ["", "case", "case.", ".x", "Case.x", "case.*x", "a.b.c", "case.x\0"] {
            assert!(Wishes::read(wrong, "", false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_sent_to_the_inside_unless_the_city_says_so() {
        for text in [
            "https://127.0.0.1/x",
            "https://10.1.2.3/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://192.168.1.4:8443/",
            "https://[::ffff:10.0.0.1]/",
            "https://2130706433/",
        ] {
            assert_eq!(check_url(text, false).unwrap_err().code, "receiver.private", "{text}");
            assert!(check_url(text, true).is_ok(), "{text}");
        }
        for text in ["https://169.254.169.254/", "https://0.0.0.0/", "https://[fe80::1]/"] {
            assert!(check_url(text, false).is_err() && check_url(text, true).is_err(), "{text}");
        }
        assert_eq!(check_url("http://lid.example.cn/", false).unwrap_err().code, "receiver.https");
        assert!(check_url("https://lid.example.cn/hook?a=1", false).is_ok());
        for text in ["", "lid.example.cn", "ftp://x/", "https://user:pw@x/", "https://x/#a", "mailto:a@b"] {
            assert_eq!(check_url(text, true).unwrap_err().code, "receiver.url", "{text}");
        }
    }

    #[test]
    fn tries_come_later_and_later_and_end_after_three_days() {
        let waits: Vec<Option<i64>> =
            (1..=10).map(|failures| next_try(failures, Millis(0), 0.0).map(|at| at.0 / 1000)).collect();
        assert_eq!((waits[0], waits[1], waits[8], waits[9]), (Some(5), Some(300), Some(86_400), None));
        assert_eq!(next_try(1, Millis(0), 1.0), Some(Millis(6_000)));
        let absent = |tries| end_of_absence(tries, None, Millis(0), 0.0).0 / 1000;
        assert_eq!([absent(1), absent(2), absent(7), absent(60)], [5, 10, 300, 300]);
        assert_eq!(end_of_absence(1, Some(90), Millis(0), 0.0).0, 90_000);
    }

    #[test]
    fn rules_of_a_platform_are_looked_through_before_they_hold() {
        let text = "[states]\nfiled = '1'\nclosed = '9'\n[moves]\n'3' = 'accept'\n";
        let rules = UpstreamRules::read(text).unwrap();
        assert_eq!((rules.create_path.as_str(), rules.id_field.as_str()), ("/cases", "id"));
        assert_eq!(rules.moves["3"], CaseMove::Accept);
        for wrong in [
            "",
            "[states]\nopen = '1'",
            "[states]\nfiled = '1'\n[moves]\n'9' = 'close'",
            "state_path = '/x'\n[states]\nfiled='1'",
            "create_path = '//x'\n[states]\nfiled='1'",
            "nonsense",
        ] {
            assert_eq!(UpstreamRules::read(wrong).unwrap_err().code, "receiver.rules", "{wrong}");
        }
    }
}
