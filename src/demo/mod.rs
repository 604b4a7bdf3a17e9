//! What the demo is made of: real open data of Vermont and a synthetic Chinese city. Gives
//! bytes, candidates, districts and parties; loads nothing and knows the nouns only.

pub mod dongying;
pub mod past_notices;
pub mod vermont;

pub use vermont::{vermont_districts, vermont_files};

use uuid::Uuid;

use crate::domain::cover::Party;
use crate::domain::ids::PartyId;

/// A party that has the same identity in every demo, so that making it twice changes nothing.
fn party(number: u64, name: impl Into<String>, hotline: &str) -> Party {
    let id = PartyId(Uuid::from_u64_pair(0x0000_0000_0000_7000, 0x8000_0000_0000_0000 | number));
    Party { id, name: name.into(), hotline: Some(hotline.to_owned()) }
}
