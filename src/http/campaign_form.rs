//! A campaign as people and programs ask for it, understood once for both.

use serde::Deserialize;

use super::plate_moves::find_crew;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::area::{AreaKind, AreaShape, Ring};
use crate::domain::campaign::Scope;
use crate::domain::ids::{IdempotencyKey, UserId};
use crate::domain::role::Actor;
use crate::outlet::start_of_day;
use crate::registry::NewCampaign;

/// What a new campaign says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CampaignBody {
    pub name: String,
    pub kind: String,
    pub district: Option<String>,
    pub area: Option<AreaBody>,
    pub outline: Option<Outline>,
    pub road: Option<String>,
    pub class: Option<String>,
    pub state: Option<String>,
    pub placement: Option<String>,
    pub load_class: Option<String>,
    pub owner: Option<String>,
    pub checklist: String,
    /// Logins or ids.
    pub crews: Vec<String>,
    pub repeat: Option<String>,
    /// Days on the city's clock; the last one counts whole.
    pub from: String,
    pub until: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AreaBody {
    pub kind: String,
    pub code: String,
}

/// A geometry of GeoJSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", content = "coordinates")]
pub(super) enum Outline {
    Polygon(Vec<Ring>),
    MultiPolygon(Vec<Vec<Ring>>),
}

impl CampaignBody {
    pub(super) async fn order(
        self,
        state: &AppState,
        key: IdempotencyKey,
        actor: Actor,
    ) -> Result<NewCampaign, Problem> {
        let mut crews: Vec<UserId> = Vec::new();
        for crew in &self.crews {
            crews.push(find_crew(state, crew).await?);
        }
        let offset = state.config.utc_offset_minutes;
        let outline = self.outline.map(|outline| match outline {
            Outline::Polygon(rings) => AreaShape::new(vec![rings]),
            Outline::MultiPolygon(parts) => AreaShape::new(parts),
        });
        let area = self.area.map(|area| {
            let kind: AreaKind = area.kind.parse().map_err(|refusal: Refusal| refusal.at("area"))?;
            Ok::<_, Refusal>((kind, area.code))
        });
        if outline.is_some() && area.is_some() {
            return Err(Refusal::new("campaign.one_outline").at("outline").into());
        }
        let owner = self.owner.as_deref().map(str::parse).transpose();
        Ok(NewCampaign {
            key,
            name: self.name,
            kind: self.kind.parse().map_err(|refusal: Refusal| refusal.at("kind"))?,
            scope: Scope {
                district: self.district,
                area: area.transpose()?,
                outline: outline.transpose()?,
                road: self.road,
                class: self.class.as_deref().map(str::parse).transpose()?,
                state: self.state.as_deref().map(str::parse).transpose()?,
                placement: self.placement.as_deref().map(str::parse).transpose()?,
                load_class: self.load_class.as_deref().map(str::parse).transpose()?,
                owner: owner.map_err(|refusal: Refusal| refusal.at("owner"))?,
            },
            checklist: self.checklist,
            crews,
            repeat: self.repeat.as_deref().map(str::parse).transpose()?,
            from_at: start_of_day("from", &self.from, offset, 0)?,
            until_at: start_of_day("until", &self.until, offset, 1)?,
            actor,
        })
    }
}
