//! Lists of covers: by what they are, where they lie and whose they are.

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::covers::{CoverRow, FILE};
use super::piece::Piece::{self, Id, Int, Real, Sql, Text};
use super::piece::push_pieces;
use super::{EngineKind, StoreError, Tx, on_db, search};
use crate::domain::cover::{CoverClass, CoverFile, CoverState, LoadClass, Material, Placement};
use crate::domain::ids::{CoverId, Millis, PartyId, UserId};
use crate::domain::names::named_enum;

/// A box as ranges of quadkeys, both ends included, and exactly: west, south, east, north.
pub type Within = (Vec<QuadkeyRange>, [f64; 4]);
type QuadkeyRange = (i64, i64);

/// A fact that may not be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<T> {
    Unknown,
    Is(T),
}

named_enum! {
    /// Whether covers are in use.
    #[derive(Default)]
    Standing as "standing" {
        #[default]
        InUse = "in_use",
        Retired = "retired",
        Any = "any",
    }
}

/// Which covers to list. Every `Some` narrows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CoverFilter {
    pub standing: Standing,
    pub district: Option<String>,
    pub class: Option<CoverClass>,
    pub state: Option<CoverState>,
    pub road: Option<String>,
    pub placement: Option<Fact<Placement>>,
    pub material: Option<Fact<Material>>,
    pub load_class: Option<Fact<LoadClass>>,
    pub owner: Option<Fact<PartyId>>,
    pub maintainer: Option<Fact<PartyId>>,
    /// Beginning of a code, present or former, or part of the road, the address, the key in the source
    /// or a column that no profile line names.
    pub text: Option<String>,
    pub within: Option<Within>,
    /// Only covers without a live plate.
    pub without_plate: bool,
    /// Only covers that a spot check drew and at which nobody has looked since.
    pub drawn: bool,
    /// Only covers with an open task of this crew, or of any, that can be done by then.
    pub tasks: Option<(UserId, Millis)>,
    /// The last id of the page before.
    pub after: Option<CoverId>,
    pub limit: i64,
}

/// One page of covers in the order of their ids.
pub async fn list_covers(tx: &mut Tx, filter: &CoverFilter) -> Result<Vec<CoverFile>, StoreError> {
    let engine = tx.engine();
    let rows: Vec<CoverRow> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(FILE);
        query.push(" WHERE c.id > ").push_bind(filter.after.map_or(Uuid::nil(), |id| id.0));
        push_pieces!(query, conditions(filter, engine));
        query.push(" ORDER BY c.id LIMIT ").push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(CoverFile::try_from).collect()
}

/// What narrows the covers `c` of the manholes `h`, each piece led by ` AND `.
pub(super) fn conditions(filter: &CoverFilter, engine: EngineKind) -> Vec<Piece> {
    let mut pieces = vec![Sql(match filter.standing {
        Standing::InUse => " AND c.retired_at IS NULL",
        Standing::Retired => " AND c.retired_at IS NOT NULL",
        Standing::Any => "",
    })];
    if let Some(district) = &filter.district {
        pieces.extend([Sql(" AND h.district = "), Text(district.clone())]);
    }
    if let Some(class) = filter.class {
        pieces.extend([Sql(" AND c.class = "), Text(class.to_string())]);
    }
    if let Some(state) = filter.state {
        pieces.extend([Sql(" AND c.state = "), Text(state.to_string())]);
    }
    if let Some(road) = &filter.road {
        pieces.extend([Sql(" AND h.road = "), Text(road.clone())]);
    }
    pieces.extend(fact(" AND h.placement", filter.placement, |word| Text(word.to_string())));
    pieces.extend(fact(" AND c.material", filter.material, |word| Text(word.to_string())));
    pieces.extend(fact(" AND c.load_class", filter.load_class, |word| Text(word.to_string())));
    pieces.extend(fact(" AND c.owner_id", filter.owner, |party| Id(party.0)));
    pieces.extend(fact(" AND c.maintainer_id", filter.maintainer, |party| Id(party.0)));
    if let Some(text) = &filter.text {
        pieces.extend(text_parts(text, engine));
    }
    if let Some(within) = &filter.within {
        pieces.extend(lie_within(within));
    }
    if filter.without_plate {
        pieces.push(Sql(" AND NOT EXISTS (SELECT 1 FROM plates p WHERE p.cover_id = c.id AND p.state NOT IN
             ('replaced', 'revoked'))"));
    }
    if filter.drawn {
        pieces.push(Sql(
            " AND c.id IN (SELECT s.cover_id FROM spot_check_plates s JOIN spot_checks k ON k.id = s.check_id
             WHERE NOT EXISTS (SELECT 1 FROM crew_actions a WHERE a.cover_id = s.cover_id AND a.kind = 'check'
             AND a.at >= k.created_at))",
        ));
    }
    if let Some((crew, now)) = filter.tasks {
        pieces.extend([
            Sql(" AND c.id IN (SELECT t.cover_id FROM tasks t WHERE t.state = 'open' AND t.from_at <= "),
            Int(now.0),
            Sql(" AND (t.crew_id IS NULL OR t.crew_id = "),
            Id(crew.0),
            Sql("))"),
        ]);
    }
    pieces
}

fn fact<T>(column: &'static str, wanted: Option<Fact<T>>, stored: impl Fn(T) -> Piece) -> Vec<Piece> {
    match wanted {
        None => Vec::new(),
        Some(Fact::Unknown) => vec![Sql(column), Sql(" IS NULL")],
        Some(Fact::Is(value)) => vec![Sql(column), Sql(" = "), stored(value)],
    }
}

/// Codes are read in groups and stored without; anything that is no code is looked for in words.
fn text_parts(text: &str, engine: EngineKind) -> Vec<Piece> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let start = format!("{digits}%");
        return vec![
            Sql(" AND (c.code LIKE "),
            Text(start.clone()),
            Sql(" OR c.id IN (SELECT cover_id FROM code_aliases WHERE code LIKE "),
            Text(start),
            Sql("))"),
        ];
    }
    let like = || Sql(search::like(engine));
    let plain = || Text(search::part_of(text));
    vec![
        Sql(" AND (h.road"),
        like(),
        plain(),
        Sql(" ESCAPE '\\' OR h.address"),
        like(),
        plain(),
        Sql(" ESCAPE '\\' OR c.source_key"),
        like(),
        plain(),
        Sql(" ESCAPE '\\' OR c.extra"),
        like(),
        Text(search::part_of_json(text)),
        Sql(" ESCAPE '\\')"),
    ]
}

fn lie_within((ranges, [west, south, east, north]): &Within) -> Vec<Piece> {
    let mut pieces = vec![Sql(" AND (")];
    for (at, (low, high)) in ranges.iter().enumerate() {
        pieces.push(Sql(if at == 0 { "h.quadkey BETWEEN " } else { " OR h.quadkey BETWEEN " }));
        pieces.extend([Int(*low), Sql(" AND "), Int(*high)]);
    }
    if ranges.is_empty() {
        pieces.push(Sql("1 = 0"));
    }
    pieces.extend([Sql(") AND h.lat BETWEEN "), Real(*south), Sql(" AND "), Real(*north)]);
    if west <= east {
        pieces.extend([Sql(" AND h.lon BETWEEN "), Real(*west), Sql(" AND "), Real(*east)]);
    } else {
        pieces.extend([Sql(" AND (h.lon >= "), Real(*west), Sql(" OR h.lon <= "), Real(*east), Sql(")")]);
    }
    pieces
}
