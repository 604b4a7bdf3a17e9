//! Drawings of figures as SVG, with what they say in words. The numbers themselves stand in a table beside each.

use std::collections::{BTreeMap, BTreeSet};

/// A drawing 360 units wide, so that its letters are as large as those of a phone's page.
pub(super) struct Chart {
    pub id: &'static str,
    pub title: String,
    pub words: String,
    pub height: f64,
    pub boxes: Vec<ChartBox>,
    pub lines: Vec<ChartLine>,
    pub texts: Vec<ChartText>,
}

pub(super) struct ChartBox {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub class: &'static str,
}

pub(super) struct ChartLine {
    pub path: Vec<(f64, f64)>,
    pub class: &'static str,
}

impl ChartLine {
    /// As `points` of a polyline has them.
    pub fn points(&self) -> String {
        self.path.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
    }
}

pub(super) struct ChartText {
    pub x: f64,
    pub y: f64,
    pub anchor: &'static str,
    pub text: String,
}

pub(super) const WIDTH: f64 = 360.0;
const ROW: f64 = 32.0;
const HEAT: [&str; 5] = ["heat1", "heat2", "heat3", "heat4", "heat5"];
/// Most columns and rows of a heat map, and fewest.
const SQUARES: i32 = 40;
const LEAST_COLUMNS: i32 = 7;
const LEAST_ROWS: i32 = 5;
/// A city that stretches from north to south is drawn narrower.
const TALLEST: f64 = 240.0;
/// A square is no wider: where there are few, the map is small and not mostly empty.
const WIDEST: f64 = 28.0;

fn text(x: f64, y: f64, anchor: &'static str, text: impl Into<String>) -> ChartText {
    ChartText { x, y, anchor, text: text.into() }
}

fn tenth(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

/// A bar for each line: its name, its share of the whole width, and the value in words.
pub(super) fn bars(id: &'static str, title: String, words: String, rows: &[(String, f64, String)]) -> Chart {
    let (mut boxes, mut texts) = (Vec::new(), Vec::new());
    for (at, (name, share, value)) in rows.iter().enumerate() {
        let y = at as f64 * ROW;
        texts.push(text(0.0, y + 13.0, "start", name));
        texts.push(text(WIDTH, y + 13.0, "end", value));
        let full = ChartBox { x: 0.0, y: y + 18.0, width: WIDTH, height: 8.0, class: "track" };
        let width = tenth(WIDTH * share.clamp(0.0, 1.0));
        boxes.extend([full, ChartBox { x: 0.0, y: y + 18.0, width, height: 8.0, class: "fill" }]);
    }
    Chart { id, title, words, height: ROW * rows.len() as f64, boxes, lines: Vec::new(), texts }
}

/// A line through the values that there are, and one across at the baseline.
pub(super) fn trend(
    id: &'static str,
    title: String,
    words: String,
    points: &[(String, Option<i64>)],
    baseline: Option<i64>,
    in_words: impl Fn(i64) -> String,
) -> Chart {
    const TOP: f64 = 22.0;
    const BOTTOM: f64 = 150.0;
    let most = points.iter().filter_map(|(_, value)| *value).chain(baseline).max().unwrap_or(0).max(1);
    let step = (WIDTH - 20.0) / (points.len().max(2) - 1) as f64;
    let x = |at: usize| tenth(10.0 + at as f64 * step);
    let y = |value: i64| tenth(BOTTOM - (BOTTOM - TOP) * value as f64 / most as f64);
    let known: Vec<(usize, i64)> =
        points.iter().enumerate().filter_map(|(at, (_, value))| Some((at, (*value)?))).collect();
    let mut lines = vec![ChartLine { path: vec![(0.0, BOTTOM), (WIDTH, BOTTOM)], class: "axis" }];
    if let Some(value) = baseline {
        lines.push(ChartLine { path: vec![(0.0, y(value)), (WIDTH, y(value))], class: "base" });
    }
    let path = known.iter().map(|(at, value)| (x(*at), y(*value))).collect();
    lines.push(ChartLine { path, class: "line" });
    let dot = |(at, value): &(usize, i64)| ChartBox {
        x: x(*at) - 2.5,
        y: y(*value) - 2.5,
        width: 5.0,
        height: 5.0,
        class: "fill",
    };
    let mut texts = vec![text(0.0, 12.0, "start", in_words(most))];
    if let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) {
        texts.extend([text(0.0, BOTTOM + 16.0, "start", first), text(WIDTH, BOTTOM + 16.0, "end", last)]);
    }
    Chart { id, title, words, height: BOTTOM + 22.0, boxes: known.iter().map(dot).collect(), lines, texts }
}

/// Squares by how many cases there are, north above, on the ground where there are covers; a little of the city stands
/// around them, so that a few cases have a place. Where the city is large, several cells are one square.
pub(super) fn heat(
    id: &'static str,
    (title, words): (String, String),
    cells: &[([u16; 2], u64)],
    covers: &BTreeSet<[u16; 2]>,
    scale: impl Fn(u64, u64) -> String,
) -> Chart {
    if cells.is_empty() {
        let none = (Vec::new(), Vec::new(), Vec::new());
        return Chart { id, title, words, height: 10.0, boxes: none.0, lines: none.1, texts: none.2 };
    }
    let (left, right) = around(cells.iter().map(|(at, _)| at[0]), LEAST_COLUMNS);
    let (bottom, top) = around(cells.iter().map(|(at, _)| at[1]), LEAST_ROWS);
    let per_square = (right - left).max(top - bottom) / SQUARES + 1;
    let square_of = |at: &[u16; 2]| {
        let inside = (left..=right).contains(&i32::from(at[0])) && (bottom..=top).contains(&i32::from(at[1]));
        inside.then(|| [(i32::from(at[0]) - left) / per_square, (top - i32::from(at[1])) / per_square])
    };
    let mut squares = BTreeMap::<[i32; 2], u64>::new();
    for (at, cases) in cells {
        if let Some(square) = square_of(at) {
            *squares.entry(square).or_default() += cases;
        }
    }
    let most = squares.values().max().copied().unwrap_or(1).max(1);
    let step = |cases: u64| ((5 * cases).div_ceil(most) as usize).clamp(1, 5) - 1;
    let (columns, rows) = ((right - left) / per_square + 1, (top - bottom) / per_square + 1);
    // A degree of longitude is shorter than one of latitude.
    let latitude = f64::from(bottom + top) / 200.0 - 90.0;
    let shrink = latitude.to_radians().cos().max(0.1);
    let width = (WIDTH / f64::from(columns)).min(TALLEST * shrink / f64::from(rows)).min(WIDEST);
    let height = width / shrink;
    let margin = (WIDTH - width * f64::from(columns)) / 2.0;
    let bar = |[x, y]: [i32; 2], count: i32, class| ChartBox {
        x: tenth(margin + f64::from(x) * width),
        y: tenth(f64::from(y) * height),
        width: tenth(width * f64::from(count)),
        height: tenth(height),
        class,
    };
    let bottom_line = tenth(height * f64::from(rows));
    let mut boxes = vec![ChartBox {
        x: tenth(margin),
        y: 0.0,
        width: tenth(width * f64::from(columns)),
        height: bottom_line,
        class: "map",
    }];
    // Runs of squares from west to east are one box each.
    let ground: BTreeSet<[i32; 2]> = covers.iter().filter_map(square_of).map(|[x, y]| [y, x]).collect();
    let mut run: Option<([i32; 2], i32)> = None;
    for [y, x] in ground {
        run = match run {
            Some(([from, row], count)) if row == y && from + count == x => Some(([from, row], count + 1)),
            other => {
                boxes.extend(other.map(|(at, count)| bar(at, count, "ground")));
                Some(([x, y], 1))
            }
        };
    }
    boxes.extend(run.map(|(at, count)| bar(at, count, "ground")));
    boxes.extend(squares.iter().map(|(at, cases)| bar(*at, 1, HEAT[step(*cases)])));
    // What the colors mean: from how many cases to how many.
    let (mut texts, mut steps) = (Vec::new(), BTreeMap::<usize, (u64, u64)>::new());
    for cases in squares.values() {
        let range = steps.entry(step(*cases)).or_insert((*cases, *cases));
        *range = (range.0.min(*cases), range.1.max(*cases));
    }
    let place = WIDTH / HEAT.len() as f64;
    for (at, (step, (from, until))) in steps.into_iter().enumerate() {
        let (x, y) = (at as f64 * place, bottom_line + 8.0);
        boxes.push(ChartBox { x, y, width: 12.0, height: 12.0, class: HEAT[step] });
        texts.push(text(x + 16.0, y + 10.5, "start", scale(from, until)));
    }
    Chart { id, title, words, height: tenth(bottom_line + 24.0), boxes, lines: Vec::new(), texts }
}

/// The first and the last of some cells with a quarter of their span around them, and at least so many.
fn around(cells: impl Iterator<Item = u16> + Clone, least: i32) -> (i32, i32) {
    let first = i32::from(cells.clone().min().unwrap_or_default());
    let last = i32::from(cells.max().unwrap_or_default());
    let span = last - first + 1;
    let more = (span / 4).max((least - span + 1) / 2).max(1);
    (first - more, last + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_stays_within_its_frame() {
        let far = [([0, 0], 1), ([35_999, 17_999], 5), ([29_860, 12_746], 3)];
        let covers: BTreeSet<[u16; 2]> =
            [[29_860, 12_746], [29_861, 12_746], [29_863, 12_746], [0, 0], [35_999, 17_999]].into();
        let words = || (String::new(), String::new());
        for cells in [&far[..0], &far[..1], &far[2..], &far[..]] {
            let chart = heat("heat", words(), cells, &covers, |from, until| format!("{from}–{until}"));
            for one in &chart.boxes {
                assert!(one.x >= 0.0 && one.x + one.width <= WIDTH + 0.2, "{} {}", one.x, one.width);
                assert!(one.y >= 0.0 && one.y + one.height <= chart.height + 0.2);
            }
            let warm = chart.boxes.iter().filter(|one| one.class.starts_with("heat") && one.height != 12.0);
            assert_eq!(warm.count(), cells.len());
        }
        let few = heat("heat", words(), &far[2..], &covers, |from, _| from.to_string());
        let ground: Vec<f64> =
            few.boxes.iter().filter(|one| one.class == "ground").map(|one| one.width).collect();
        assert!(
            ground.len() == 2 && (ground[0] - 2.0 * ground[1]).abs() < 0.2,
            "neighbors are one box: {ground:?}"
        );
        assert!(few.height < 340.0 && few.texts.len() == 1, "{}", few.height);
        let none = trend("t", String::new(), String::new(), &[("a".into(), None)], None, |ms| ms.to_string());
        assert!(none.boxes.is_empty() && none.height.is_finite());
    }
}
