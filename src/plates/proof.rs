//! Proof before release: what was drawn is read back from the finished page content, module by
//! module, decoded by another library than the one that encoded it, and compared with the ledger.

use quircs::EccLevel;

use super::draw::QUIET;
use crate::domain::plate::SymbolRecord;

/// A symbol that a page must show. Points on the page, y upwards.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// Upper left corner of the quiet zone.
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) module: f64,
    pub(super) rows: Vec<u64>,
    pub(super) record: SymbolRecord,
}

impl Expected {
    fn side(&self) -> f64 {
        self.rows.len() as f64
    }

    /// Modules from the upper left module of the symbol, y downwards.
    fn in_modules(&self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.left) / self.module - QUIET, (self.top - y) / self.module - QUIET)
    }
}

/// Why a plate failed its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The content could not be followed.
    Unreadable,
    /// A rectangle is not on the grid of modules.
    OffGrid,
    /// Something dark or a text lies in the quiet zone.
    QuietZone,
    /// The modules are not those that were meant.
    Modules,
    /// The decoder read nothing, something else, or another version, level or mask.
    Payload,
}

impl Fault {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Fault::Unreadable => "page content",
            Fault::OffGrid => "module grid",
            Fault::QuietZone => "quiet zone",
            Fault::Modules => "modules",
            Fault::Payload => "payload",
        }
    }
}

/// Checks one page. `shared_part` is the form `/F`. An error names the index of the plate.
pub(super) fn check_page(
    content: &[u8],
    shared_part: &[u8],
    expected: &[Expected],
    payloads: &[&str],
) -> Result<(), (usize, Fault)> {
    let mut found = Found {
        expected,
        rows: expected.iter().map(|one| vec![0; one.rows.len()]).collect(),
        dark_around: vec![false; expected.len()],
    };
    let page = Matrix { x_scale: 1.0, y_scale: 1.0, x: 0.0, y: 0.0 };
    found.follow(content, Some(shared_part), page, true)?;
    for (at, (one, rows)) in expected.iter().zip(&found.rows).enumerate() {
        if found.dark_around[at] {
            return Err((at, Fault::QuietZone));
        }
        let payload = payloads.get(at).ok_or((at, Fault::Payload))?;
        check_symbol(rows, &one.rows, one.record, payload).map_err(|fault| (at, fault))?;
    }
    Ok(())
}

/// Checks modules that were read back against what was meant.
pub(super) fn check_symbol(
    read: &[u64],
    meant: &[u64],
    record: SymbolRecord,
    payload: &str,
) -> Result<(), Fault> {
    if read != meant {
        return Err(Fault::Modules);
    }
    let said = decode(read).ok_or(Fault::Payload)?;
    let level = match said.ecc_level {
        EccLevel::L => 'L',
        EccLevel::M => 'M',
        EccLevel::Q => 'Q',
        EccLevel::H => 'H',
    };
    let same_symbol = said.version == usize::from(record.version)
        && said.mask == i32::from(record.mask)
        && level == record.level;
    if same_symbol && said.payload == payload.as_bytes() { Ok(()) } else { Err(Fault::Payload) }
}

/// Whether a symbol says this, read by another library than the one that drew it.
pub(super) fn says(rows: &[u64], payload: &str) -> bool {
    decode(rows).is_some_and(|said| said.payload == payload.as_bytes())
}

fn decode(rows: &[u64]) -> Option<quircs::Data> {
    let side = rows.len();
    let mut code = quircs::Code { size: side as i32, ..quircs::Code::default() };
    if side * side > 8 * code.cell_bitmap.len() {
        return None;
    }
    for (y, row) in rows.iter().enumerate() {
        let mut rest = *row;
        while rest != 0 {
            let cell = y * side + rest.trailing_zeros() as usize;
            code.cell_bitmap[cell >> 3] |= 1 << (cell & 7);
            rest &= rest - 1;
        }
    }
    code.decode().ok()
}

/// Scale and shift; pages use nothing else, and a rotation makes the proof fail.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    x_scale: f64,
    y_scale: f64,
    x: f64,
    y: f64,
}

impl Matrix {
    fn point(self, x: f64, y: f64) -> (f64, f64) {
        (self.x + self.x_scale * x, self.y + self.y_scale * y)
    }
}

struct Found<'e> {
    expected: &'e [Expected],
    rows: Vec<Vec<u64>>,
    /// Whether the quiet zone of each was left dark.
    dark_around: Vec<bool>,
}

/// Widest slip from the grid, in modules, that three decimals of a point can make.
const SLIP: f64 = 0.02;

impl Found<'_> {
    /// Follows the operators that can make a module dark or light, or put something into a quiet
    /// zone: transformations, fill colors, filled rectangles, the shared form and the start of a text.
    fn follow(
        &mut self,
        content: &[u8],
        form: Option<&[u8]>,
        mut matrix: Matrix,
        mut dark: bool,
    ) -> Result<(), (usize, Fault)> {
        let unreadable = Err((0, Fault::Unreadable));
        let mut shared = true;
        let mut saved = Vec::new();
        let mut numbers: Vec<f64> = Vec::with_capacity(8);
        let mut rectangles: Vec<[f64; 4]> = Vec::with_capacity(256);
        let mut at = 0;
        while at < content.len() {
            let start = at;
            match content[at] {
                b' ' | b'\n' => {
                    at += 1;
                    continue;
                }
                b'<' => {
                    at += content[at..].iter().position(|byte| *byte == b'>').unwrap_or(content.len()) + 1;
                    continue;
                }
                _ => {}
            }
            while at < content.len() && !matches!(content[at], b' ' | b'\n' | b'<') {
                at += 1;
            }
            let token = &content[start..at];
            if let Some(number) = parse_number(token) {
                numbers.push(number);
                continue;
            }
            match (token, numbers.as_slice()) {
                ([b'/', name @ ..], _) => {
                    shared = name == b"F";
                    continue;
                }
                (b"q", []) => saved.push((matrix, dark)),
                (b"Q", []) => match saved.pop() {
                    Some(before) => (matrix, dark) = before,
                    None => return unreadable,
                },
                (b"cm", [x_scale, 0.0, 0.0, y_scale, x, y]) => {
                    let (x, y) = matrix.point(*x, *y);
                    matrix =
                        Matrix { x_scale: matrix.x_scale * x_scale, y_scale: matrix.y_scale * y_scale, x, y };
                }
                (b"g", [gray]) => dark = *gray < 0.5,
                (b"rg", [r, g, b]) => dark = 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.5,
                (b"re", [x, y, w, h]) => {
                    let (left, bottom) = matrix.point(*x, *y);
                    let (right, top) = matrix.point(x + w, y + h);
                    rectangles.push([left, bottom, right, top]);
                }
                (b"f", []) => {
                    for rectangle in rectangles.drain(..) {
                        self.paint(rectangle, dark)?;
                    }
                }
                (b"n" | b"S" | b"B", []) => rectangles.clear(),
                (b"Do", []) => match form {
                    Some(form) if shared => self.follow(form, None, matrix, dark)?,
                    // Crop marks: lines outside of every plate.
                    Some(_) => {}
                    None => return unreadable,
                },
                (b"Tm", [_, _, _, _, x, y]) => {
                    let (x, y) = matrix.point(*x, *y);
                    for (at, one) in self.expected.iter().enumerate() {
                        let (column, row) = one.in_modules(x, y);
                        let inside = -QUIET + SLIP..one.side() + QUIET - SLIP;
                        if inside.contains(&column) && inside.contains(&row) {
                            return Err((at, Fault::QuietZone));
                        }
                    }
                }
                // Curves and strokes draw outlines, holes and marks; faces keep those off the symbol.
                (b"m" | b"l" | b"c" | b"h" | b"w" | b"G" | b"Tf" | b"gs" | b"CS" | b"SCN", _) => {}
                (b"W" | b"BT" | b"ET" | b"Tj" | b">Tj", []) => {}
                _ => return unreadable,
            }
            numbers.clear();
        }
        if saved.is_empty() { Ok(()) } else { unreadable }
    }

    fn paint(&mut self, [left, bottom, right, top]: [f64; 4], dark: bool) -> Result<(), (usize, Fault)> {
        for (at, one) in self.expected.iter().enumerate() {
            let (first_column, first_row) = one.in_modules(left, top);
            let (end_column, end_row) = one.in_modules(right, bottom);
            let (near, far) = (-QUIET + SLIP, one.side() + QUIET - SLIP);
            if end_column <= near || end_row <= near || first_column >= far || first_row >= far {
                continue;
            }
            // A ground under the whole square, or the light that the square leaves in it.
            if first_column <= near && first_row <= near && end_column >= far && end_row >= far {
                let row = if dark { (1u64 << one.rows.len()) - 1 } else { 0 };
                self.rows[at].fill(row);
                self.dark_around[at] = dark;
                continue;
            }
            let on_grid = |place: f64| (place - place.round()).abs() < SLIP;
            if ![first_column, first_row, end_column, end_row].into_iter().all(on_grid) {
                return Err((at, Fault::OffGrid));
            }
            let [first_column, first_row, end_column, end_row] =
                [first_column, first_row, end_column, end_row].map(|place| place.round() as i64);
            let side = one.rows.len() as i64;
            if first_column < 0 || first_row < 0 || end_column > side || end_row > side {
                return Err((at, Fault::QuietZone));
            }
            let run = ((1u64 << (end_column - first_column)) - 1) << first_column;
            for row in &mut self.rows[at][first_row as usize..end_row as usize] {
                *row = if dark { *row | run } else { *row & !run };
            }
        }
        Ok(())
    }
}

/// A number as [`super::draw::push_number`] writes it.
fn parse_number(token: &[u8]) -> Option<f64> {
    let (negative, digits) = match token {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 17 {
        return None;
    }
    let (mut value, mut places, mut after_point) = (0i64, 0, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(byte - b'0');
                places += i32::from(after_point);
            }
            b'.' if !after_point => after_point = true,
            _ => return None,
        }
    }
    let value = value as f64 / 10f64.powi(places);
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plate::Finish;
    use crate::plates::PlateRun;
    use crate::plates::tests::{page_of, page_of_one, plate, run};

    fn check(content: &str) -> Result<(), Fault> {
        let (_, shared, expected, payload) = page_of_one(&plate(1));
        check_page(content.as_bytes(), &shared, &[expected], &[&payload]).map_err(|(_, fault)| fault)
    }

    fn content() -> String {
        String::from_utf8(page_of_one(&plate(1)).0.clone()).unwrap()
    }

    /// The first rectangle of the symbol, the finder pattern's upper edge.
    const UPPER_EDGE: &str = "\n0 28 7 1 re";

    #[test]
    fn a_page_as_drawn_passes() {
        assert_eq!(check(&content()), Ok(()));
    }

    #[test]
    fn a_missing_a_moved_and_an_added_rectangle_fail() {
        let content = content();
        assert!(content.contains(UPPER_EDGE));
        for (altered, fault) in [
            (content.replacen(UPPER_EDGE, "\n", 1), Fault::Modules),
            (content.replacen(UPPER_EDGE, "\n0.5 28 7 1 re", 1), Fault::OffGrid),
            (content.replacen(UPPER_EDGE, "\n-1 28 8 1 re", 1), Fault::QuietZone),
            (content.replacen(UPPER_EDGE, "\n0 28 8 1 re", 1), Fault::Modules),
            (content.replacen("\n0 g\nq", "\n1 g\nq", 1), Fault::Modules),
            (content.replacen("\n0 g\nq", "\n0 g\nq 1 0.1 0 1 0 0 cm", 1), Fault::Unreadable),
            (content.replacen("\nf Q Q", "\nn Q Q", 1), Fault::Modules),
        ] {
            assert_ne!(altered, content);
            assert_eq!(check(&altered), Err(fault));
        }
    }

    #[test]
    fn a_dark_ground_needs_the_light_square_of_the_symbol() {
        let run = PlateRun { finish: Finish::Inverted, ..run() };
        let (content, shared, expected, payload) = page_of(&run, &plate(1));
        let shared = String::from_utf8(shared).unwrap();
        let check = |shared: &str| {
            check_page(&content, shared.as_bytes(), std::slice::from_ref(&expected), &[&payload])
                .map_err(|(_, fault)| fault)
        };
        assert_eq!(check(&shared), Ok(()));
        let dark = shared.replacen("\n1 g\n", "\n0 g\n", 1);
        assert_ne!(dark, shared);
        assert_eq!(check(&dark), Err(Fault::QuietZone));
    }

    #[test]
    fn a_text_in_the_quiet_zone_fails() {
        let content = content().replacen("/F Do", "/F Do\nBT\n1 0 0 1 10 20 Tm\n<0001>Tj\nET", 1);
        assert_eq!(check(&content), Err(Fault::QuietZone));
    }

    #[test]
    fn another_payload_fails() {
        let (content, shared, expected, _) = page_of_one(&plate(1));
        let other = check_page(&content, &shared, &[expected], &["HTTPS://LID.EXAMPLE.CN/C/ELSE"]);
        assert_eq!(other, Err((0, Fault::Payload)));
    }
}
