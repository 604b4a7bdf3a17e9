//! A move of a case as somebody asks for it, by a form or in JSON.

use axum::body::Bytes;
use serde::Deserialize;

use super::auth::Caller;
use super::forms::{BEFORE_PHOTOS, Form, store_photos};
use super::public::REPORT_BYTES;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseMove, MoveRequest, PhonePosition};
use crate::domain::ids::{IdempotencyKey, Millis, PartyId};
use crate::registry::MoveOrder;

/// Room for photos of before and after at their limits.
pub(super) const MOVE_BYTES: usize = 2 * REPORT_BYTES;

/// The fields of a move in a form.
pub(super) const MOVE_FIELDS: &[&str] = &[
    "move",
    "party",
    "pool",
    "reason",
    "target",
    "until",
    "condition",
    "release",
    "lon",
    "lat",
    "accuracy_m",
    BEFORE_PHOTOS,
];

/// What somebody asks for. `until` is a day in a form and a moment in JSON.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidMove {
    #[serde(rename = "move")]
    made: String,
    party: Option<String>,
    pool: Option<String>,
    reason: Option<String>,
    target: Option<String>,
    until: Option<String>,
    condition: Option<String>,
    position: Option<PhonePosition>,
    /// Photos of a closing are released as they are.
    #[serde(default)]
    release: bool,
}

impl SaidMove {
    pub(super) fn of_form(form: &Form) -> Result<Self, Refusal> {
        let owned = |name: &str| form.field(name).map(str::to_owned);
        Ok(Self {
            made: form.needed("move")?.to_owned(),
            party: owned("party"),
            pool: owned("pool"),
            reason: owned("reason"),
            target: owned("target"),
            until: owned("until"),
            condition: owned("condition"),
            position: form.phone_position()?,
            release: form.field("release").is_some(),
        })
    }

    /// With a sentence that was chosen, before what was typed.
    pub(super) fn led_by(mut self, template: Option<&str>) -> Self {
        self.reason = match (template, self.reason) {
            (Some(template), Some(typed)) => Some(format!("{template}\n{typed}")),
            (Some(template), None) => Some(template.to_owned()),
            (None, typed) => typed,
        };
        self
    }

    /// The order for the case of this number; photos go onto the disk first.
    pub(super) async fn order(
        self,
        state: &AppState,
        caller: &Caller,
        call: MoveCall,
        read_until: impl Fn(&str) -> Result<Millis, Refusal>,
    ) -> Result<MoveOrder, Problem> {
        let no_zero = |text: &Option<String>, field: &'static str| match text {
            Some(text) if text.contains('\0') => Err(Refusal::new("text.control_character").at(field)),
            _ => Ok(()),
        };
        no_zero(&self.pool, "pool")?;
        no_zero(&self.condition, "condition")?;
        let party = self.party.as_deref().map(str::parse::<PartyId>).transpose();
        Ok(MoveOrder {
            key: call.key,
            number: call.number,
            expected_version: call.expected_version,
            made: self.made.parse::<CaseMove>()?,
            request: MoveRequest {
                party: party.map_err(|refusal| refusal.at("party"))?,
                reason: self.reason,
                until: self.until.as_deref().map(read_until).transpose()?,
                release: self.release,
                ..MoveRequest::default()
            },
            target_number: self.target,
            pool: self.pool,
            condition: self.condition,
            position: self.position,
            photos: store_photos(state, call.photos).await?,
            before_photos: store_photos(state, call.before_photos).await?,
            actor: caller.actor(),
        })
    }
}

/// What belongs to the call rather than to the move.
pub(super) struct MoveCall {
    pub key: IdempotencyKey,
    pub number: String,
    pub expected_version: Option<i64>,
    pub photos: Vec<Bytes>,
    pub before_photos: Vec<Bytes>,
}

/// Makes the move and has the scan page drawn anew.
pub(super) async fn send_move(state: &AppState, order: MoveOrder) -> Result<Case, Problem> {
    let case = state.registry.move_case(order).await?;
    state.covers_changed(case.cover.as_slice());
    Ok(case)
}
