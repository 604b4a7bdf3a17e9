//! A synthetic city on the ground of Dongying: five districts, each a grid of streets that grows
//! outward from its centre, with the lines of twelve utilities along every street. The same seed
//! gives the same city, and a smaller city is the beginning of a larger one. Owners and telephone
//! numbers are made up.

use std::array;
use std::fmt::Write as _;
use std::io::Write;

use super::party;
use crate::domain::cover::{
    Candidate, CoverClass, CoverState, District, LoadClass, Material, Party, Placement, Shape, Survey,
};
use crate::domain::ids::Millis;
use crate::domain::position::{Position, PositionMethod, RawPosition};

/// The seed of the demo.
pub const SEED: u64 = 0x0546;

/// Meters between two crossings.
const BLOCK_M: f64 = 160.0;
/// No cover lies nearer to a crossing along its street, so that lines of crossing streets do not meet.
const CROSSING_M: f64 = 18.0;
/// Meters of a degree of latitude at 37.5° N.
const DEGREE_M: f64 = 110_990.0;

struct Area {
    code: &'static str,
    zh: &'static str,
    en: &'static str,
    centre: (f64, f64),
    /// How far the grid is turned, in degrees.
    turned: f64,
    /// Covers out of a hundred.
    share: i64,
    /// The streets through the centre: west–east and south–north.
    axes: [&'static str; 2],
    towns: &'static [&'static str],
}

const AREAS: [Area; 5] = [
    Area {
        code: "370502",
        zh: "东营区",
        en: "Dongying District",
        centre: (118.59, 37.46),
        turned: 0.0,
        share: 42,
        axes: ["黄河路", "胜利大街"],
        towns: &["文汇街道", "黄河路街道", "东城街道", "辛店街道", "胜利街道", "胜园街道"],
    },
    Area {
        code: "370503",
        zh: "河口区",
        en: "Hekou District",
        centre: (118.53, 37.89),
        turned: 4.0,
        share: 14,
        axes: ["海宁路", "河滨路"],
        towns: &["河口街道", "六合街道", "义和镇", "孤岛镇"],
    },
    Area {
        code: "370505",
        zh: "垦利区",
        en: "Kenli District",
        centre: (118.68, 37.57),
        turned: -3.0,
        share: 17,
        axes: ["振兴路", "民丰路"],
        towns: &["垦利街道", "兴隆街道", "胜坨镇"],
    },
    Area {
        code: "370522",
        zh: "利津县",
        en: "Lijin County",
        centre: (118.26, 37.49),
        turned: 9.0,
        share: 11,
        axes: ["利津大街", "津河路"],
        towns: &["利津街道", "凤凰城街道", "北宋镇"],
    },
    Area {
        code: "370523",
        zh: "广饶县",
        en: "Guangrao County",
        centre: (118.41, 37.05),
        turned: -6.0,
        share: 16,
        axes: ["乐安大街", "孙武路"],
        towns: &["广饶街道", "乐安街道", "大王镇"],
    },
];

/// One line of covers along a street.
struct Line {
    class: CoverClass,
    /// Streets in a hundred that have it; a street has it over its whole length.
    streets: u64,
    /// Meters to the left of the middle of the street.
    aside_m: f64,
    placement: Placement,
}

const fn line(class: CoverClass, streets: u64, aside_m: f64, placement: Placement) -> Line {
    Line { class, streets, aside_m, placement }
}

/// Lines of one class lie far apart; those of different classes may be neighbors.
const LINES: [Line; 14] = [
    line(CoverClass::Sewage, 100, -2.0, Placement::Carriageway),
    line(CoverClass::Storm, 100, 2.5, Placement::Carriageway),
    line(CoverClass::StormGrate, 62, 7.2, Placement::Carriageway),
    line(CoverClass::StormGrate, 62, -7.2, Placement::Carriageway),
    line(CoverClass::WaterSupply, 90, 5.0, Placement::Carriageway),
    line(CoverClass::Power, 50, 11.5, Placement::Footway),
    line(CoverClass::StreetLight, 40, 9.0, Placement::Green),
    line(CoverClass::Telecom, 50, -11.0, Placement::Footway),
    line(CoverClass::CableTv, 15, -12.6, Placement::Footway),
    line(CoverClass::DataNetwork, 20, -9.6, Placement::Footway),
    line(CoverClass::Heating, 30, -5.0, Placement::Cycleway),
    line(CoverClass::Gas, 30, 9.9, Placement::Cycleway),
    line(CoverClass::Police, 8, 13.0, Placement::Footway),
    line(CoverClass::WaterSupply, 25, -13.6, Placement::Green),
];

/// The five districts, codes of the scheme `component-16`.
pub fn districts() -> Vec<District> {
    AREAS
        .iter()
        .map(|area| District { code: area.code.into(), name_zh: area.zh.into(), name_en: area.en.into() })
        .collect()
}

const WATER: &str = "黄河口水务集团";
const HEAT: &str = "黄河口热力公司";
const GAS: &str = "黄河口燃气公司";
const POWER: &str = "黄河口供电公司";
const TELECOMS: [&str; 3] = ["移动东营分公司", "联通东营分公司", "电信东营分公司"];
const TELEVISION: &str = "黄河口广电网络公司";
const POLICE: &str = "市公安局交警支队";

/// Owners and supervising departments of the city, with numbers that are not in use.
pub fn parties() -> Vec<Party> {
    let city = [WATER, HEAT, GAS, POWER, TELECOMS[0], TELECOMS[1], TELECOMS[2], TELEVISION, POLICE];
    let names = city
        .into_iter()
        .map(str::to_owned)
        .chain(AREAS.iter().map(works_of))
        .chain(AREAS.iter().map(supervisor_of));
    names
        .zip(0..)
        .map(|(name, number): (String, u64)| party(1000 + number, name, &format!("0546-55501{number:02}")))
        .collect()
}

fn works_of(area: &Area) -> String {
    format!("{}市政管理处", area.zh)
}

fn supervisor_of(area: &Area) -> String {
    format!("{}城市管理局", area.zh)
}

/// The first `count` covers of the city. Meant for up to a million; far beyond it the districts
/// grow into each other.
pub fn covers(count: u64, seed: u64) -> impl Iterator<Item = Candidate> {
    let mut walkers: [Walker; 5] = array::from_fn(|at| Walker::new(&AREAS[at], seed, at as u64));
    let turns = turns();
    (0..count).map(move |number| {
        let walker = &mut walkers[turns[(number % 100) as usize]];
        // Its line in `write_csv`, below the header.
        walker.next_cover(number + 2)
    })
}

/// Writes the city as CSV for the profile `lidmark-csv`.
pub fn write_csv(count: u64, out: &mut impl Write) -> Result<(), csv::Error> {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 18).from_writer(out);
    writer.write_record([
        "source_key",
        "code",
        "district",
        "class",
        "state",
        "lon",
        "lat",
        "road",
        "address",
        "placement",
        "material",
        "shape",
        "load_class",
        "owner",
        "maintainer",
        "supervisor",
        "position_method",
        "accuracy_m",
        "surveyed_at",
    ])?;
    let mut numbers: [String; 4] = Default::default();
    for cover in covers(count, SEED) {
        let Candidate { source_key, survey, .. } = &cover;
        numbers.iter_mut().for_each(String::clear);
        let [lon, lat, accuracy, at] = &mut numbers;
        let position = &survey.position;
        // Writing to a string cannot fail.
        let _ = write!(lon, "{:.7}", position.lon);
        let _ = write!(lat, "{:.7}", position.lat);
        if let Some(meters) = position.accuracy_m {
            let _ = write!(accuracy, "{meters}");
        }
        if let Some(moment) = position.surveyed_at {
            write_moment(moment, at);
        }
        writer.write_record([
            text(source_key),
            "",
            &survey.district,
            survey.class.as_str(),
            survey.state.as_str(),
            lon,
            lat,
            text(&survey.road),
            text(&survey.address),
            survey.placement.map_or("", Placement::as_str),
            survey.material.map_or("", Material::as_str),
            survey.shape.map_or("", Shape::as_str),
            survey.load_class.map_or("", LoadClass::as_str),
            text(&survey.owner),
            text(&survey.maintainer),
            text(&survey.supervisor),
            position.method.as_str(),
            accuracy,
            at,
        ])?;
    }
    writer.flush()?;
    Ok(())
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// `2023-05-06 07:08:09` in China's zone.
fn write_moment(at: Millis, out: &mut String) {
    let Ok(moment) = time::OffsetDateTime::from_unix_timestamp(at.0 / 1000 + 8 * 3600) else { return };
    let (date, clock) = (moment.date(), moment.time());
    let _ = write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
}

/// Which district each of a hundred covers is in: spread, so that a small city has all of them.
fn turns() -> [usize; 100] {
    let mut due = [0i64; AREAS.len()];
    array::from_fn(|_| {
        for (due, area) in due.iter_mut().zip(&AREAS) {
            *due += area.share;
        }
        let next = (0..AREAS.len()).max_by_key(|at| due[*at]).unwrap_or(0);
        due[next] -= 100;
        next
    })
}

/// Walks one district: block by block outward, line by line along each block.
struct Walker {
    area: &'static Area,
    seed: u64,
    works: String,
    supervisor: String,
    /// Covers given so far.
    given: u64,
    crossing: Crossing,
    /// 0: the block east of the crossing, 1: the block north of it.
    side: usize,
    line: usize,
    /// Meters along the block of the next cover; `None` = the line has not begun.
    along_m: Option<f64>,
    random: Random,
    road: String,
    cross: String,
}

impl Walker {
    fn new(area: &'static Area, seed: u64, number: u64) -> Self {
        let mut walker = Self {
            area,
            seed: mix(seed ^ mix(number + 1)),
            works: works_of(area),
            supervisor: supervisor_of(area),
            given: 0,
            crossing: Crossing { ring: 0, at: 0 },
            side: 0,
            line: 0,
            along_m: None,
            random: Random(0),
            road: String::new(),
            cross: String::new(),
        };
        walker.enter_block();
        walker
    }

    fn next_cover(&mut self, line: u64) -> Candidate {
        loop {
            let along = match self.along_m {
                Some(along) => along,
                None if self.street_has_line() => CROSSING_M + self.random.up_to(12.0),
                None => f64::MAX,
            };
            if along <= BLOCK_M - CROSSING_M {
                self.along_m = Some(along + 20.0 + self.random.up_to(20.0));
                return self.cover(line, along);
            }
            self.along_m = None;
            self.line += 1;
            if self.line == LINES.len() {
                self.line = 0;
                self.side += 1;
                if self.side == 2 {
                    self.side = 0;
                    self.crossing = self.crossing.next();
                }
                self.enter_block();
            }
        }
    }

    /// Whether the street of this block has the line at hand, over its whole length.
    fn street_has_line(&self) -> bool {
        let (column, row) = self.crossing.place();
        let street = if self.side == 0 { row } else { column };
        let drawn = mix(self.seed ^ mix((street as u64) << 8 | (self.line * 2 + self.side) as u64));
        drawn % 100 < LINES[self.line].streets
    }

    fn enter_block(&mut self) {
        let (column, row) = self.crossing.place();
        self.random = Random(mix(
            self.seed ^ mix((column as u64) << 32 ^ (row as u64 & 0xFFFF_FFFF) << 1 ^ self.side as u64)
        ));
        let mut names = [self.area.axes[0].to_owned(), self.area.axes[1].to_owned()];
        if row != 0 {
            names[0] = street_name(if row > 0 { '北' } else { '南' }, row.unsigned_abs());
        }
        if column != 0 {
            names[1] = street_name(if column > 0 { '东' } else { '西' }, column.unsigned_abs());
        }
        let [along, across] = names;
        let (road, cross) = if self.side == 0 { (along, across) } else { (across, along) };
        self.road = road;
        self.cross = cross;
    }

    fn cover(&mut self, file_line: u64, along: f64) -> Candidate {
        let area = self.area;
        let line = &LINES[self.line];
        let random = &mut self.random;
        let (column, row) = self.crossing.place();
        let aside = line.aside_m + random.up_to(0.8) - 0.4;
        let (east, north) = if self.side == 0 { (along, aside) } else { (-aside, along) };
        let (east, north) = (column as f64 * BLOCK_M + east, row as f64 * BLOCK_M + north);
        let (sin, cos) = area.turned.to_radians().sin_cos();
        let (east, north) = (east * cos - north * sin, east * sin + north * cos);
        let round = |degrees: f64| (degrees * 1e7).round() / 1e7;
        let lat = round(area.centre.1 + north / DEGREE_M);
        let lon = round(area.centre.0 + east / (DEGREE_M * area.centre.1.to_radians().cos()));

        let owner = match line.class {
            CoverClass::WaterSupply => WATER,
            CoverClass::Heating => HEAT,
            CoverClass::Gas => GAS,
            CoverClass::Power => POWER,
            CoverClass::Telecom | CoverClass::DataNetwork => TELECOMS[random.one_of(&[50, 30, 20])],
            CoverClass::CableTv => TELEVISION,
            CoverClass::Police => POLICE,
            _ => self.works.as_str(),
        };
        // One cover in a hundred is still waiting for somebody to claim it.
        let owner = (!random.next().is_multiple_of(100)).then(|| owner.to_owned());
        let day = 18_690 + random.next() % 1_750; // 2021-03-04 and the next five years
        let second = 8 * 3600 + random.next() % (9 * 3600);
        let surveyed_at = Millis(((day * 86_400 + second) as i64 - 8 * 3600) * 1000);
        let (material, shape, load_class) = build(line, random);
        let state = [
            CoverState::Intact,
            CoverState::Broken,
            CoverState::Missing,
            CoverState::Abandoned,
            CoverState::Planned,
        ][random.one_of(&[963, 18, 3, 13, 3])];
        let town = area.towns
            [(mix((column.div_euclid(6) * 31 + row.div_euclid(6)) as u64) as usize) % area.towns.len()];
        let from_crossing = along.round();
        let direction = if self.side == 0 { '东' } else { '北' };
        let address = format!("{town}{}与{}路口{direction}{from_crossing}米", self.road, self.cross);
        self.given += 1;
        Candidate {
            line: file_line,
            source_key: Some(format!("DY-{}-{:07}", area.code, self.given)),
            code: None,
            survey: Survey {
                district: area.code.to_owned(),
                class: line.class,
                state,
                position: Position {
                    lon,
                    lat,
                    raw: RawPosition { x: lon, y: lat, epsg: 4490 },
                    method: PositionMethod::Rtk,
                    accuracy_m: Some((20 + self.random.next() % 31) as f64 / 1000.0),
                    surveyed_at: Some(surveyed_at),
                    device: None,
                },
                road: Some(self.road.clone()),
                address: Some(address),
                placement: Some(line.placement),
                material: Some(material),
                shape: Some(shape),
                load_class: Some(load_class),
                maintainer: owner.clone(),
                owner,
                supervisor: Some(self.supervisor.clone()),
                extra: Default::default(),
            },
        }
    }
}

/// Material, shape and load class as they go with use and place; a few are rated too low for
/// where they lie, for audits to find.
fn build(line: &Line, random: &mut Random) -> (Material, Shape, LoadClass) {
    let shape = match line.class {
        CoverClass::StormGrate | CoverClass::Telecom | CoverClass::DataNetwork => Shape::Rectangular,
        CoverClass::Power | CoverClass::StreetLight | CoverClass::CableTv | CoverClass::Police => {
            Shape::Square
        }
        _ => Shape::Round,
    };
    let too_low = random.next().is_multiple_of(80);
    let (material, fits, below) = match line.placement {
        Placement::Carriageway => (
            [Material::DuctileIron, Material::CastIron, Material::Composite, Material::Concrete]
                [random.one_of(&[70, 15, 10, 5])],
            if line.class == CoverClass::StormGrate { LoadClass::C250 } else { LoadClass::D400 },
            LoadClass::B125,
        ),
        Placement::Cycleway => (
            [Material::DuctileIron, Material::Composite, Material::Polymer][random.one_of(&[60, 30, 10])],
            LoadClass::C250,
            LoadClass::A15,
        ),
        _ => (
            [Material::Composite, Material::Concrete, Material::Filled, Material::Steel]
                [random.one_of(&[45, 30, 20, 5])],
            if line.placement == Placement::Green { LoadClass::A15 } else { LoadClass::B125 },
            LoadClass::A15,
        ),
    };
    (material, shape, if too_low { below } else { fits })
}

/// A crossing of the grid, counted ring by ring from the centre.
#[derive(Clone, Copy)]
struct Crossing {
    ring: i64,
    /// Which of the ring's `8 × ring` crossings.
    at: i64,
}

impl Crossing {
    fn next(self) -> Self {
        if self.at + 1 < (8 * self.ring).max(1) {
            Self { ring: self.ring, at: self.at + 1 }
        } else {
            Self { ring: self.ring + 1, at: 0 }
        }
    }

    /// Column and row.
    fn place(self) -> (i64, i64) {
        let r = self.ring;
        if r == 0 {
            return (0, 0);
        }
        let step = self.at % (2 * r);
        match self.at / (2 * r) {
            0 => (-r + step, -r),
            1 => (r, -r + step),
            2 => (r - step, r),
            _ => (-r, r - step),
        }
    }
}

fn street_name(side: char, number: u64) -> String {
    const DIGITS: [&str; 10] = ["", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
    let digit = |value: u64| DIGITS[(value % 10) as usize];
    let mut name = String::from(side);
    if number >= 100 {
        name.push_str(digit(number / 100));
        name.push('百');
    }
    if number % 100 >= 10 {
        if number >= 20 {
            name.push_str(digit(number / 10));
        }
        name.push('十');
    } else if number > 100 && !number.is_multiple_of(100) {
        name.push('零');
    }
    name.push_str(digit(number));
    name.push('路');
    name
}

/// SplitMix64: small, and the same in every version of every library.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        drawn
    }

    /// Evenly from 0 up to this.
    fn up_to(&mut self, most: f64) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 * most
    }

    /// An index, as often as its weight says.
    fn one_of(&mut self, weights: &[u64]) -> usize {
        let mut drawn = self.next() % weights.iter().sum::<u64>().max(1);
        for (at, weight) in weights.iter().enumerate() {
            match drawn.checked_sub(*weight) {
                Some(rest) => drawn = rest,
                None => return at,
            }
        }
        weights.len().saturating_sub(1)
    }
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::distance_m;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn a_smaller_city_is_the_beginning_of_a_larger_one() {
        let small: Vec<Candidate> = covers(500, SEED).collect();
        let large: Vec<Candidate> = covers(2_000, SEED).take(500).collect();
        assert_eq!(small, large);
        assert_ne!(small, covers(500, SEED + 1).collect::<Vec<_>>());
    }

    #[test]
    fn no_two_covers_of_a_class_share_a_hole_and_no_key_is_twice() {
        let cell = |lon: f64, lat: f64| ((lon * 5e4).floor() as i64, (lat * 5e4).floor() as i64);
        let mut cells: HashMap<(CoverClass, i64, i64), Vec<(f64, f64)>> = HashMap::new();
        let mut keys = HashSet::new();
        for cover in covers(60_000, SEED) {
            let (lon, lat) = (cover.survey.position.lon, cover.survey.position.lat);
            let class = cover.survey.class;
            let (x, y) = cell(lon, lat);
            for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
                for other in cells.get(&(class, x + dx, y + dy)).into_iter().flatten() {
                    assert!(distance_m(*other, (lon, lat)) >= 1.5, "{class} at {lon}, {lat}");
                }
            }
            cells.entry((class, x, y)).or_default().push((lon, lat));
            assert!(keys.insert(cover.source_key.unwrap()));
        }
    }

    #[test]
    fn every_class_and_district_is_there_and_every_owner_is_a_party() {
        let parties: HashSet<String> = parties().into_iter().map(|party| party.name).collect();
        let mut classes: HashMap<CoverClass, u32> = HashMap::new();
        let mut districts: HashMap<String, u32> = HashMap::new();
        for Candidate { survey, .. } in covers(10_000, SEED) {
            *classes.entry(survey.class).or_default() += 1;
            *districts.entry(survey.district).or_default() += 1;
            for name in [survey.owner, survey.maintainer, survey.supervisor].into_iter().flatten() {
                assert!(parties.contains(&name), "{name}");
            }
        }
        assert_eq!(classes.len(), 12);
        assert_eq!(districts["370502"], 4_200);
        assert_eq!(districts.len(), 5);
    }

    #[test]
    fn streets_are_named_as_people_count() {
        for (number, name) in
            [(1, "北一路"), (10, "北十路"), (12, "北十二路"), (20, "北二十路"), (37, "北三十七路")]
        {
            assert_eq!(street_name('北', number), name);
        }
        assert_eq!(street_name('南', 103), "南一百零三路");
    }
}
