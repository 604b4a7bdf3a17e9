//! Drawings of figures as SVG, with what they say in words. The numbers themselves stand in a table beside each.

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
    /// As `points` of a polyline has them.
    pub points: String,
    pub class: &'static str,
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
/// Most columns and rows of a heat map.
const SQUARES: u16 = 40;

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
    let mut lines = vec![ChartLine { points: format!("0,{BOTTOM} {WIDTH},{BOTTOM}"), class: "axis" }];
    if let Some(value) = baseline {
        lines.push(ChartLine { points: format!("0,{0} {WIDTH},{0}", y(value)), class: "base" });
    }
    let path: Vec<String> = known.iter().map(|(at, value)| format!("{},{}", x(*at), y(*value))).collect();
    lines.push(ChartLine { points: path.join(" "), class: "line" });
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

/// Squares by how many cases there are, north above. Where the city is large, several cells are one square.
pub(super) fn heat(id: &'static str, title: String, words: String, cells: &[([u16; 2], u64)]) -> Chart {
    let edge = |axis: usize, pick: fn(u16, u16) -> u16| cells.iter().map(|(at, _)| at[axis]).reduce(pick);
    let [left, right] = [edge(0, u16::min), edge(0, u16::max)].map(Option::unwrap_or_default);
    let [bottom, top] = [edge(1, u16::min), edge(1, u16::max)].map(Option::unwrap_or_default);
    let per_square = ((right - left) / SQUARES).max((top - bottom) / SQUARES) + 1;
    let mut squares = std::collections::BTreeMap::<[u16; 2], u64>::new();
    for (at, cases) in cells {
        *squares.entry([(at[0] - left) / per_square, (top - at[1]) / per_square]).or_default() += cases;
    }
    let most = squares.values().max().copied().unwrap_or(1).max(1);
    let columns = f64::from((right - left) / per_square + 1).max(8.0);
    let rows = f64::from((top - bottom) / per_square + 1);
    let width = WIDTH / columns;
    // A degree of longitude is shorter than one of latitude.
    let latitude = (f64::from(bottom) + f64::from(top)) / 200.0 - 90.0;
    let height = width / latitude.to_radians().cos().max(0.1);
    let square = |(at, cases): (&[u16; 2], &u64)| ChartBox {
        x: tenth(f64::from(at[0]) * width),
        y: tenth(f64::from(at[1]) * height),
        width: tenth(width),
        height: tenth(height),
        class: HEAT[((5 * cases).div_ceil(most) as usize).clamp(1, 5) - 1],
    };
    Chart {
        id,
        title,
        words,
        height: tenth(rows * height).max(10.0),
        boxes: squares.iter().map(square).collect(),
        lines: Vec::new(),
        texts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_stays_within_its_frame() {
        let far = [([0, 0], 1), ([35_999, 17_999], 5), ([29_860, 12_746], 3)];
        for cells in [&far[..0], &far[..1], &far[..]] {
            let chart = heat("heat", String::new(), String::new(), cells);
            assert_eq!(chart.boxes.len(), cells.len());
            for one in &chart.boxes {
                assert!(one.x >= 0.0 && one.x + one.width <= WIDTH + 0.2, "{} {}", one.x, one.width);
                assert!(one.y >= 0.0 && one.y + one.height <= chart.height + 0.2);
            }
        }
        let none = trend("t", String::new(), String::new(), &[("a".into(), None)], None, |ms| ms.to_string());
        assert!(none.boxes.is_empty() && none.height.is_finite());
    }
}
