//! 数字城管一体化平台: a case is created there under our number as the key of the call, so that a lost answer makes no
//! second one; afterwards the platform is told where it stands.

use axum::body::Bytes;
use serde_json::{Value, json};
use url::Url;

use super::courier::{Courier, Outcome};
use super::post::Answer;
use super::{OutboxError, webhook_id};
use crate::domain::case::CaseState;
use crate::domain::ids::Millis;
use crate::domain::receiver::UpstreamRules;
use crate::registry::{OutboxEvent, Receiver, RegistryError, UpstreamCase};

impl Courier {
    /// Tells a platform of one event; what its rules do not name is passed over.
    pub(super) async fn tell_upstream(
        &self,
        receiver: &Receiver,
        event: &OutboxEvent,
    ) -> Result<Outcome, OutboxError> {
        let broken = |refusal| OutboxError::Registry(RegistryError::Refused(refusal));
        let rules = UpstreamRules::read(&receiver.rules).map_err(broken)?;
        let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
        let state = event.event.strip_prefix("case.").and_then(|state| state.parse::<CaseState>().ok());
        let (Some(state), Some(number)) = (state, body["case"].as_str()) else {
            return Ok(Outcome::Delivered);
        };
        let Some(theirs) = rules.states.get(&state) else { return Ok(Outcome::Delivered) };
        match self.registry().find_upstream_case(receiver.id, number).await? {
            Some(known) => self.tell_state(receiver, &rules, event, (&known, theirs)).await,
            None => self.create(receiver, &rules, event, (number, theirs)).await,
        }
    }

    async fn create(
        &self,
        receiver: &Receiver,
        rules: &UpstreamRules,
        event: &OutboxEvent,
        (number, theirs): (&str, &str),
    ) -> Result<Outcome, OutboxError> {
        let Some(known) = self.registry().find_case_for_upstream(number).await? else {
            return Ok(Outcome::Delivered);
        };
        let case = &known.case;
        let mut body = json!({
            "number": case.number,
            "hazard": case.hazard,
            "emergency": case.emergency,
            "state": theirs,
            "at": Millis(event.created_at).to_rfc3339(),
            "reported_at": case.created_at.to_rfc3339(),
            "district": known.district,
            "road": known.road,
            "code": known.code.as_ref().map(|code| &code.digits),
            "lon": known.lon,
            "lat": known.lat,
        });
        if receiver.wishes.personal {
            body["description"] = json!(known.description);
        }
        let Some(url) = below(&receiver.url, &rules.create_path) else { return Ok(unusable()) };
        let key = ("idempotency-key", number.to_owned());
        let answer = self
            .send_signed(receiver, &url, (&webhook_id(receiver.id, event.sequence), Some(key)), body)
            .await;
        // A platform may say so of a case that it has already.
        let taken = match &answer {
            Answer::Said { status: 200..300 | 409, body, .. } => find_id(body, &rules.id_field),
            _ => None,
        };
        match taken {
            Some(id) => {
                match self.registry().keep_upstream_case(receiver.id, case.id, (&id, theirs)).await? {
                    true => Ok(Outcome::Delivered),
                    false => Ok(Outcome::failed(None, format!("another case has the id {id}"))),
                }
            }
            None => Ok(match Outcome::of(receiver.kind, answer) {
                Outcome::Delivered => {
                    Outcome::failed(None, format!("no {} in the answer to a new case", rules.id_field))
                }
                other => other,
            }),
        }
    }

    async fn tell_state(
        &self,
        receiver: &Receiver,
        rules: &UpstreamRules,
        event: &OutboxEvent,
        (known, theirs): (&UpstreamCase, &str),
    ) -> Result<Outcome, OutboxError> {
        let id = encoded(&known.upstream_id);
        let Some(url) = below(&receiver.url, &rules.state_path.replace("{id}", &id)) else {
            return Ok(unusable());
        };
        let body = json!({
            "id": known.upstream_id,
            "number": known.number,
            "state": theirs,
            "at": Millis(event.created_at).to_rfc3339(),
        });
        let id = webhook_id(receiver.id, event.sequence);
        let answer =
            self.send_signed(receiver, &url, (&id, Some(("idempotency-key", id.clone()))), body).await;
        let outcome = Outcome::of(receiver.kind, answer);
        if matches!(outcome, Outcome::Delivered) {
            let words = (known.upstream_id.as_str(), theirs);
            self.registry().keep_upstream_case(receiver.id, known.case, words).await?;
        }
        Ok(outcome)
    }

    async fn send_signed(
        &self,
        receiver: &Receiver,
        url: &Url,
        (id, key): (&str, Option<(&'static str, String)>),
        body: Value,
    ) -> Answer {
        let body = Bytes::from(body.to_string());
        let mut headers = self.signed_headers(receiver, id, &body);
        headers.extend(key);
        self.post().send(url, &headers, body).await
    }
}

fn unusable() -> Outcome {
    Outcome::failed(None, "the address and the path of its rules are no address together".to_owned())
}

/// A path below an address, whether or not that ends with a slash.
fn below(base: &str, path: &str) -> Option<Url> {
    Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).ok()
}

fn encoded(id: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    id.bytes().map(one).collect()
}

/// The platform's id in an answer: a text or a number, of a length that can be kept.
fn find_id(body: &[u8], field: &str) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let found = answer.get(field).or_else(|| answer.get("data")?.get(field))?;
    let id = match found {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let fits = !id.is_empty() && id.chars().count() <= 100 && !id.chars().any(char::is_control);
    fits.then_some(id)
}
