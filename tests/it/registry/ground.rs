//! A small town with one street, a party and people of every role, on a clock that tests turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use lidmark::domain::area::{Area, AreaKind};
use lidmark::domain::cover::{Candidate, CoverClass, CoverFile, CoverState, District, Party, Survey};
use lidmark::domain::ids::{CoverId, IdempotencyKey, Millis, PartyId};
use lidmark::domain::plate::{Plate, PlateSpot, PlateState, SymbolRecord};
use lidmark::domain::position::{Position, PositionMethod, RawPosition};
use lidmark::domain::receiver::OutboxRules;
use lidmark::domain::reward::RewardRules;
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::{PlateScheme, Token, plate_payload};
use lidmark::registry::{
    AttachedPhoto, Batch, BatchOrder, CensusFile, Clock, ImportMode, ImportOptions, NewBatch, NewReport,
    NewUser, Outcome, Registry, RegistryOptions, Reported,
};
use rand::SeedableRng;

use crate::support::engines::Ground;

/// 2026-03-02 08:00 in China.
pub const MONDAY: i64 = 1_772_409_600_000;

pub struct Town {
    pub registry: Registry,
    pub clock: Arc<AtomicI64>,
    pub water: PartyId,
}

impl Town {
    pub async fn found(ground: &Ground) -> Self {
        let clock = Arc::new(AtomicI64::new(MONDAY));
        // Receivers of events lie on this machine.
        let outbox = OutboxRules { private_receivers: true, ..OutboxRules::default() };
        // Two rewards a person and month.
        let rewards = RewardRules {
            enabled: true,
            person_month_fen: 4_000,
            month_fen: 7_000,
            ..RewardRules::default()
        };
        let clock_of = Clock::Fixed(clock.clone());
        let options = RegistryOptions { clock: clock_of, outbox, rewards, ..RegistryOptions::default() };
        let registry = Registry::open(&ground.database(), options).await.unwrap();
        let district =
            District { code: "370502".into(), name_zh: "东营区".into(), name_en: "Dongying".into() };
        registry.put_districts(&[district]).await.unwrap();
        let water = PartyId::fresh();
        let party = Party { id: water, name: "东营水务".into(), hotline: Some("0546-0000001".into()) };
        registry.put_party(party).await.unwrap();
        Self { registry, clock, water }
    }

    pub fn options(&self, mode: ImportMode) -> ImportOptions {
        ImportOptions {
            source: "census".into(),
            scheme: "component-16".into(),
            mode,
            match_radius_m: 1.0,
            full: false,
            file: CensusFile::default(),
            actor: Actor::System,
        }
    }

    /// Imports rows in one run; answers what became of each.
    pub async fn import(&self, rows: Vec<Candidate>) -> Vec<Outcome> {
        let mut run = self.registry.begin_import(self.options(ImportMode::Write)).await.unwrap();
        run.begin_file();
        run.take(rows).await.unwrap().into_iter().map(|row| row.outcome).collect()
    }

    /// Gives the district its outline.
    pub async fn draw_dongying(&self) {
        let shape = "[[[[118.5,37.4],[118.7,37.4],[118.7,37.5],[118.5,37.5],[118.5,37.4]]]]";
        let outline = Area {
            kind: AreaKind::District,
            code: "370502".into(),
            name_zh: "东营区".into(),
            name_en: "Dongying".into(),
            shape: serde_json::from_str(shape).unwrap(),
        };
        self.registry.put_areas(vec![outline]).await.unwrap();
    }

    /// New covers along the street.
    pub async fn found_covers(&self, count: u64) -> Vec<CoverId> {
        let rows = (0..count).map(|at| candidate(at, CoverClass::Sewage)).collect();
        let created = |outcome| match outcome {
            Outcome::Created(cover) => cover,
            other => panic!("{other:?}"),
        };
        self.import(rows).await.into_iter().map(created).collect()
    }

    /// Covers along the street with installed plates; answers their tokens.
    pub async fn plated(&self, count: u64) -> Vec<Token> {
        let covers = self.found_covers(count).await;
        self.plate(&covers).await.into_iter().map(|(_, token)| token).collect()
    }

    /// Installs a plate on each of these covers; answers their files with the tokens, in the order of the files.
    pub async fn plate(&self, covers: &[CoverId]) -> Vec<(CoverFile, Token)> {
        let files = self.registry.list_covers_by_id(covers).await.unwrap();
        let batch = batch(files.len() as i64);
        let mut random = rand::rngs::SmallRng::seed_from_u64(covers[0].0.as_u128() as u64);
        let plates: Vec<Plate> = files
            .iter()
            .enumerate()
            .map(|(at, file)| Plate {
                cover: Some(file.cover),
                manhole: Some(file.manhole),
                printed_code: Some(file.code.digits.clone()),
                ..plate(&batch, at as i64 + 1, Token::draw(&mut random))
            })
            .collect();
        self.registry.commit_batch(NewBatch { batch, plates: plates.clone() }).await.unwrap();
        for plate in &plates {
            let code = plate.printed_code.as_deref().unwrap();
            self.registry.install_plate(plate.token, code, &Actor::System).await.unwrap();
        }
        files.into_iter().zip(plates).map(|(file, plate)| (file, plate.token)).collect()
    }

    pub async fn staff(&self, login: &str, role: Role) -> Actor {
        let party = (role == Role::Handler).then_some(self.water);
        let password = "correct horse".to_owned();
        let new = NewUser { login: login.into(), name: login.into(), role, party, password };
        self.registry.add_user(new).await.unwrap().actor()
    }

    pub async fn report(&self, token: Token, hazard: lidmark::domain::hazard::Hazard) -> Reported {
        self.registry.report_hazard(report(token, hazard)).await.unwrap()
    }
}

pub fn candidate(at: u64, class: CoverClass) -> Candidate {
    let (lon, lat) = (118.59 + at as f64 * 0.0003, 37.46);
    Candidate {
        line: at + 2,
        source_key: Some(format!("{at:06}")),
        code: None,
        survey: Survey {
            district: "370502".into(),
            class,
            state: CoverState::Intact,
            position: Position {
                lon,
                lat,
                raw: RawPosition { x: lon, y: lat, epsg: 4490 },
                method: PositionMethod::Rtk,
                accuracy_m: Some(0.05),
                surveyed_at: Some(Millis(MONDAY)),
                device: None,
            },
            road: Some("黄河路".into()),
            address: None,
            placement: None,
            material: None,
            shape: None,
            load_class: None,
            owner: Some("东营水务".into()),
            maintainer: None,
            supervisor: None,
            extra: BTreeMap::from([("编号".into(), format!("{at:03}"))]),
        },
    }
}

pub fn batch(count: i64) -> Batch {
    Batch {
        id: lidmark::domain::ids::BatchId::fresh(),
        face: "rect-90x60".into(),
        sheet: "a4".into(),
        host: "lid.example.cn".into(),
        note: String::new(),
        actor: "system".into(),
        plate_count: count,
        created_at: Millis(MONDAY),
        order: BatchOrder::default(),
    }
}

/// A blank plate of a batch, printed.
pub fn plate(batch: &Batch, ordinal: i64, token: Token) -> Plate {
    Plate {
        token,
        batch: batch.id,
        ordinal,
        state: PlateState::Printed,
        payload: plate_payload(PlateScheme::Https, &batch.host, token, false),
        face: batch.face.clone(),
        symbol: SymbolRecord { version: 3, level: 'Q', mask: 2 },
        cover: None,
        manhole: None,
        printed_code: None,
        page: 1,
        place_on_page: ordinal,
        successor: None,
        spot: PlateSpot::Public,
        holder: None,
        state_at: batch.created_at,
    }
}

pub fn report(token: Token, hazard: lidmark::domain::hazard::Hazard) -> NewReport {
    NewReport {
        key: IdempotencyKey::fresh(),
        token,
        hazard,
        description: "井盖裂了".into(),
        contact: None,
        phone_position: None,
        photos: Vec::new(),
        language: "zh-CN",
        origin: None,
    }
}

pub fn photo(byte: u8) -> AttachedPhoto {
    AttachedPhoto {
        digest: [byte; 32],
        media_type: "image/jpeg".into(),
        bytes: 1000,
        width: 40,
        height: 30,
        look: None,
    }
}
