//! Manholes 检查井 and their covers 井盖: the words of a survey.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::code::ComponentCode;
use super::edit::RetireReason;
use super::ids::{CoverId, ManholeId, Millis, PartyId};
use super::names::named_enum;
use super::position::Position;

named_enum! {
    /// What the manhole serves. A stable list of our own; the digits of a city's class table come
    /// from its code scheme (`labels/schemes`), because those differ by standard version and city.
    CoverClass as "class" {
        /// 上水井盖
        WaterSupply = "water_supply",
        /// 污水井盖
        Sewage = "sewage",
        /// 雨水井盖
        Storm = "storm",
        /// 雨水箅子
        StormGrate = "storm_grate",
        /// 电力井盖
        Power = "power",
        /// 路灯井盖
        StreetLight = "street_light",
        /// 通信井盖
        Telecom = "telecom",
        /// 电视井盖
        CableTv = "cable_tv",
        /// 网络井盖
        DataNetwork = "data_network",
        /// 热力井盖
        Heating = "heating",
        /// 燃气井盖
        Gas = "gas",
        /// 公安井盖
        Police = "police",
        /// 合流井盖: sewage and storm water in one pipe
        Combined = "combined",
        /// 中水井盖
        Reclaimed = "reclaimed",
        /// 输油(气)井盖
        OilGas = "oil_gas",
        /// 不明井盖: nobody could tell yet
        Unidentified = "unidentified",
    }
}

named_enum! {
    /// State of the cover as the census words it (完好 / 破损 / 丢失 / 废弃), plus planned ones.
    CoverState as "state" {
        Intact = "intact",
        Broken = "broken",
        Missing = "missing",
        Abandoned = "abandoned",
        Planned = "planned",
    }
}

named_enum! {
    /// 承载等级, the test load of GB/T 23858-2009 and EN 124 in its name.
    LoadClass as "load_class" {
        A15 = "A15", B125 = "B125", C250 = "C250", D400 = "D400", E600 = "E600", F900 = "F900",
    }
}

named_enum! {
    Material as "material" {
        CastIron = "cast_iron", DuctileIron = "ductile_iron", Concrete = "concrete",
        Composite = "composite", Polymer = "polymer", Steel = "steel", Filled = "filled",
    }
}

named_enum! {
    Shape as "shape" { Round = "round", Square = "square", Rectangular = "rectangular" }
}

named_enum! {
    /// Where in the street the cover lies; decides load class and urgency.
    Placement as "placement" {
        Carriageway = "carriageway", Footway = "footway", Cycleway = "cycleway", Green = "green", Yard = "yard",
    }
}

/// What a survey says of one cover and its place; `None` is "unknown", never a sentinel.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Code of the district, a key of the registry's district table.
    pub district: String,
    pub class: CoverClass,
    pub state: CoverState,
    pub position: Position,
    pub road: Option<String>,
    pub address: Option<String>,
    pub placement: Option<Placement>,
    pub material: Option<Material>,
    pub shape: Option<Shape>,
    pub load_class: Option<LoadClass>,
    /// Names of parties as the survey writes them; the registry finds or founds the party.
    pub owner: Option<String>,
    pub maintainer: Option<String>,
    pub supervisor: Option<String>,
    /// Columns that no profile line names, kept as read.
    pub extra: BTreeMap<String, String>,
}

/// One row of a file, understood: what the registry may create or compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Line in the file (CSV: physical line, 1 = header; GeoJSON: ordinal of the feature, from 1).
    pub line: u64,
    /// Stable key of the row in its source, where the profile declares one.
    pub source_key: Option<String>,
    /// Official code that the census brings; to be kept.
    pub code: Option<ComponentCode>,
    pub survey: Survey,
}

/// A district as a census or configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct District {
    /// Digits as the code scheme wants them, e.g. `370502`. Text from end to end.
    pub code: String,
    pub name_zh: String,
    pub name_en: String,
}

/// A department, owner or maintainer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    pub id: PartyId,
    /// The name the public sees.
    pub name: String,
    /// The number a citizen may call; `None` = the city's own hotline answers.
    pub hotline: Option<String>,
}

/// A cover with its manhole as the file shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct CoverFile {
    pub cover: CoverId,
    pub manhole: ManholeId,
    pub code: ComponentCode,
    pub district: District,
    pub survey: Survey,
    pub owner: Option<Party>,
    pub maintainer: Option<Party>,
    pub supervisor: Option<Party>,
    pub source: String,
    pub source_key: Option<String>,
    /// Counts changes; the `If-Match` of an edit.
    pub version: i64,
    pub created_at: Millis,
    /// `None` while it is in use.
    pub retired: Option<Retired>,
    /// How many covers its manhole has, retired ones included.
    pub covers_here: i64,
    /// Whether it speaks for its manhole: the first of the covers in use there.
    pub leads: bool,
}

/// That a cover is no longer in use. Its code, its file and its tokens stay for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    pub at: Millis,
    pub reason: RetireReason,
    /// The cover that took its place.
    pub successor: Option<(CoverId, ComponentCode)>,
}
