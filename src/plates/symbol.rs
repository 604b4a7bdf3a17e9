//! QR symbols. The `qrcode` crate encodes, corrects and places; the mask is chosen here, on rows of
//! bits, because scoring module by module costs five times as much as all the rest.

use qrcode::bits::{Bits, encode_auto};
use qrcode::canvas::{Canvas, MaskPattern, Module};
use qrcode::ec::construct_codewords;
use qrcode::types::{Color, EcLevel, Version};
use std::collections::HashMap;

use crate::domain::Refusal;
use crate::domain::names::named_enum;
use crate::domain::plate::SymbolRecord;

named_enum! {
    /// Error correction of a plate. L is not offered: a scratch is enough to lose it.
    #[derive(Default)]
    Level as "level" {
        M = "M",
        #[default]
        Q = "Q",
        /// For plates in the carriageway.
        H = "H",
    }
}

impl Level {
    fn letter(self) -> char {
        char::from(self.as_str().as_bytes()[0])
    }

    fn from_letter(letter: char) -> Option<Self> {
        Level::ALL.iter().copied().find(|level| level.letter() == letter)
    }

    fn ec(self) -> EcLevel {
        match self {
            Level::M => EcLevel::M,
            Level::Q => EcLevel::Q,
            Level::H => EcLevel::H,
        }
    }
}

/// Rows fit a machine word up to version 11 (61 modules); a larger symbol is none for a plate.
const LAST_VERSION: u8 = 11;

const MASKS: [MaskPattern; 8] = [
    MaskPattern::Checkerboard,
    MaskPattern::HorizontalLines,
    MaskPattern::VerticalLines,
    MaskPattern::DiagonalLines,
    MaskPattern::LargeCheckerboard,
    MaskPattern::Fields,
    MaskPattern::Diamonds,
    MaskPattern::Meadow,
];

/// A finished symbol without its quiet zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) record: SymbolRecord,
    /// From the top; bit x is the module in column x, 1 = dark.
    pub(super) rows: Vec<u64>,
}

/// Modules along one side of a version.
pub(super) fn side(version: u8) -> usize {
    17 + 4 * usize::from(version)
}

/// Draws symbols; keeps what all symbols of one version and level share.
#[derive(Default)]
pub(super) struct SymbolMaker {
    templates: HashMap<(u8, Level), Template>,
}

impl SymbolMaker {
    /// Draws the symbol of `payload`. With a record it is the symbol that was recorded; without one
    /// it is the smallest version and the mask that ISO/IEC 18004 scores best.
    pub(super) fn make(
        &mut self,
        payload: &str,
        level: Level,
        recorded: Option<SymbolRecord>,
    ) -> Result<Symbol, Refusal> {
        let too_long = || Refusal::new("plates.payload_long").at("payload").with("characters", payload.len());
        let data = payload.as_bytes();
        let (level, mut bits) = match recorded {
            None => (level, encode_auto(data, level.ec()).map_err(|_| too_long())?),
            Some(record) => {
                let unfit = || {
                    Refusal::new("plates.symbol_record")
                        .with("version", record.version)
                        .with("level", record.level)
                        .with("mask", record.mask)
                };
                let level = Level::from_letter(record.level).ok_or_else(unfit)?;
                if record.mask > 7 || !(1..=LAST_VERSION).contains(&record.version) {
                    return Err(unfit());
                }
                let mut bits = Bits::new(Version::Normal(i16::from(record.version)));
                bits.push_optimal_data(data).map_err(|_| unfit())?;
                bits.push_terminator(level.ec()).map_err(|_| unfit())?;
                (level, bits)
            }
        };
        let version = match bits.version() {
            Version::Normal(version) if version <= i16::from(LAST_VERSION) => version as u8,
            _ => return Err(too_long()),
        };
        let qr_version = bits.version();
        let bytes = std::mem::replace(&mut bits, Bits::new(qr_version)).into_bytes();
        let (codewords, correction) =
            construct_codewords(&bytes, qr_version, level.ec()).map_err(|_| too_long())?;

        let template =
            self.templates.entry((version, level)).or_insert_with(|| Template::new(version, level.ec()));
        let (rows, columns) = template.place(&codewords, &correction);
        let mask = match recorded {
            Some(record) => record.mask,
            None => template.best_mask(&rows, &columns),
        };
        let masked = &template.masked[usize::from(mask)];
        Ok(Symbol {
            record: SymbolRecord { version, level: level.letter(), mask },
            rows: rows.iter().zip(&masked.rows).map(|(data, under)| data ^ under).collect(),
        })
    }
}

/// What every symbol of one version and level shares: function patterns, and for each mask the
/// symbol that carries nothing but zeros. Any symbol is that one XOR its own data bits.
struct Template {
    blank: Canvas,
    masked: Vec<Masked>,
}

struct Masked {
    rows: Vec<u64>,
    columns: Vec<u64>,
}

impl Template {
    fn new(version: u8, level: EcLevel) -> Self {
        let mut blank = Canvas::new(Version::Normal(i16::from(version)), level);
        blank.draw_all_functional_patterns();
        let masked = MASKS
            .iter()
            .map(|mask| {
                let mut canvas = blank.clone();
                canvas.apply_mask(*mask);
                let (rows, columns) =
                    read(&canvas, side(version), |module| Color::from(module) == Color::Dark);
                Masked { rows, columns }
            })
            .collect();
        Self { blank, masked }
    }

    /// The data bits before masking, by rows and by columns.
    fn place(&self, codewords: &[u8], correction: &[u8]) -> (Vec<u64>, Vec<u64>) {
        let mut canvas = self.blank.clone();
        canvas.draw_data(codewords, correction);
        read(&canvas, self.masked[0].rows.len(), |module| module == Module::Unmasked(Color::Dark))
    }

    fn best_mask(&self, rows: &[u64], columns: &[u64]) -> u8 {
        let mut best = (u32::MAX, 0);
        let (mut by_row, mut by_column) = (rows.to_vec(), columns.to_vec());
        for (mask, masked) in self.masked.iter().enumerate() {
            for (at, out) in by_row.iter_mut().enumerate() {
                *out = rows[at] ^ masked.rows[at];
            }
            for (at, out) in by_column.iter_mut().enumerate() {
                *out = columns[at] ^ masked.columns[at];
            }
            best = best.min((penalty(&by_row, &by_column), mask as u8));
        }
        best.1
    }
}

fn read(canvas: &Canvas, side: usize, wanted: impl Fn(Module) -> bool) -> (Vec<u64>, Vec<u64>) {
    let (mut rows, mut columns) = (vec![0; side], vec![0; side]);
    for (y, row) in rows.iter_mut().enumerate() {
        for (x, column) in columns.iter_mut().enumerate() {
            let bit = u64::from(wanted(canvas.get(x as i16, y as i16)));
            *row |= bit << x;
            *column |= bit << y;
        }
    }
    (rows, columns)
}

/// Penalty points of ISO/IEC 18004 §7.8.3; the mask with the fewest wins, the first of equals.
fn penalty(rows: &[u64], columns: &[u64]) -> u32 {
    let side = rows.len() as u32;
    let all = (1u64 << side) - 1;
    let lines = || rows.iter().chain(columns).copied();

    // N1: a run of n ≥ 5 alike costs n − 2 = (its windows of five) + 2.
    let runs = |line: u64| {
        let windows = line & line >> 1 & line >> 2 & line >> 3 & line >> 4;
        windows.count_ones() + 2 * (windows & !(windows << 1)).count_ones()
    };
    let runs: u32 = lines().map(|line| runs(line) + runs(!line & all)).sum();

    // N2: 3 for every 2 × 2 block of one color, overlapping ones too.
    let blocks: u32 = rows
        .windows(2)
        .map(|pair| {
            let alike = |line: u64| !(line ^ line >> 1);
            (alike(pair[0]) & alike(pair[1]) & !(pair[0] ^ pair[1]) & all >> 1).count_ones()
        })
        .sum();

    // N3: 40 for every 1:1:3:1:1 with four light modules before or after it; outside is light.
    let finders: u32 = lines()
        .map(|line| {
            let like = line & !(line >> 1) & line >> 2 & line >> 3 & line >> 4 & !(line >> 5) & line >> 6;
            let before = !(line << 1 | line << 2 | line << 3 | line << 4);
            let after = !(line >> 7 | line >> 8 | line >> 9 | line >> 10);
            (like & (before | after)).count_ones()
        })
        .sum();

    // N4: 10 for every full 5 % that the dark share is away from half.
    let dark: u32 = rows.iter().map(|row| row.count_ones()).sum();
    let total = side * side;
    let steps = (20 * dark).abs_diff(10 * total) / total;

    runs + 3 * blocks + 40 * finders + 10 * steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rules again, read module by module as the standard words them.
    fn penalty_by_hand(dark: &[Vec<bool>]) -> u32 {
        let side = dark.len();
        let mut points = 0;
        for turned in [false, true] {
            let at = |line: usize, place: isize| {
                let inside = place >= 0 && (place as usize) < side;
                inside && if turned { dark[place as usize][line] } else { dark[line][place as usize] }
            };
            for line in 0..side {
                let mut start = 0;
                for place in 1..=side {
                    let ends = place == side || at(line, place as isize) != at(line, start as isize);
                    if ends {
                        let run = place - start;
                        points += if run >= 5 { run as u32 - 2 } else { 0 };
                        start = place;
                    }
                }
                for place in 0..side as isize - 6 {
                    let pattern = [true, false, true, true, true, false, true];
                    let found = (0..7).all(|step| at(line, place + step) == pattern[step as usize]);
                    let before = (1..=4).all(|step| !at(line, place - step));
                    let after = (7..=10).all(|step| !at(line, place + step));
                    points += if found && (before || after) { 40 } else { 0 };
                }
            }
        }
        for y in 0..side - 1 {
            for x in 0..side - 1 {
                let one = dark[y][x];
                let alike = one == dark[y][x + 1] && one == dark[y + 1][x] && one == dark[y + 1][x + 1];
                points += if alike { 3 } else { 0 };
            }
        }
        let share = dark.iter().flatten().filter(|dark| **dark).count() as f64 / (side * side) as f64;
        points + 10 * ((share * 100.0 - 50.0).abs() / 5.0 + 1e-9).floor() as u32
    }

    fn modules(rows: &[u64]) -> Vec<Vec<bool>> {
        rows.iter().map(|row| (0..rows.len()).map(|x| row >> x & 1 == 1).collect()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_mask_with_the_fewest_points_by_hand_is_chosen(
            token in "[0-9A-HJKMNP-TV-Z]{12}", level in prop::sample::select(vec![Level::M, Level::Q, Level::H]),
        ) {
            let payload = format!("HTTPS://LID.DONGYING.GOV.CN/C/{token}");
            let mut maker = SymbolMaker::default();
            let chosen = maker.make(&payload, level, None).unwrap();
            let points: Vec<u32> = (0..8)
                .map(|mask| {
                    let record = SymbolRecord { mask, ..chosen.record };
                    penalty_by_hand(&modules(&maker.make(&payload, level, Some(record)).unwrap().rows))
                })
                .collect();
            let best = (0..8).min_by_key(|mask| points[*mask]).unwrap();
            prop_assert_eq!(usize::from(chosen.record.mask), best, "{:?}", points);
        }

        #[test]
        fn a_symbol_is_the_one_that_the_crate_itself_would_draw_under_that_mask(
            payload in "[ -~]{1,60}", level in prop::sample::select(vec![Level::M, Level::Q, Level::H]), mask in 0u8..8,
        ) {
            let mut maker = SymbolMaker::default();
            let record = SymbolRecord { mask, ..maker.make(&payload, level, None).unwrap().record };
            let ours = maker.make(&payload, level, Some(record)).unwrap();
            let bits = encode_auto(payload.as_bytes(), level.ec()).unwrap();
            let version = bits.version();
            let (data, correction) = construct_codewords(&bits.into_bytes(), version, level.ec()).unwrap();
            let mut canvas = Canvas::new(version, level.ec());
            canvas.draw_all_functional_patterns();
            canvas.draw_data(&data, &correction);
            canvas.apply_mask(MASKS[usize::from(mask)]);
            let theirs: Vec<bool> = canvas.into_colors().into_iter().map(|color| color == Color::Dark).collect();
            let ours: Vec<bool> = modules(&ours.rows).into_iter().flatten().collect();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn a_payload_of_our_length_is_version_3_at_q_and_4_at_h() {
        let mut maker = SymbolMaker::default();
        let payload = "HTTPS://LID.EXAMPLE.CN/C/7K3Q9XW2M4AB";
        assert_eq!(maker.make(payload, Level::Q, None).unwrap().record.version, 3);
        assert_eq!(maker.make(payload, Level::H, None).unwrap().record.version, 4);
    }

    #[test]
    fn a_payload_or_a_record_that_does_not_fit_is_refused() {
        let mut maker = SymbolMaker::default();
        let long = "A".repeat(400);
        assert_eq!(maker.make(&long, Level::Q, None).unwrap_err().code, "plates.payload_long");
        let small = SymbolRecord { version: 1, level: 'Q', mask: 0 };
        assert_eq!(maker.make(&long[..40], Level::Q, Some(small)).unwrap_err().code, "plates.symbol_record");
        let odd = SymbolRecord { version: 3, level: 'X', mask: 0 };
        assert_eq!(maker.make("A", Level::Q, Some(odd)).unwrap_err().code, "plates.symbol_record");
    }
}
