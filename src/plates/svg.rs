//! One plate as an SVG for engravers: true millimetres, outlines instead of text, every dark region of
//! the symbol one closed line, and what is cut in a group of its own.

use ttf_parser::OutlineBuilder;

use super::draw::{QUIET, push_number};
use super::face::{Hole, Outline};
use super::palette::Rgb;
use super::proof;
use super::shapes::{self, Point};
use super::symbol::{Symbol, SymbolMaker};
use super::typeset::Line;
use super::{Batch, PlateError, PlateRun, PlateSpec, refused_proof, workers};
use crate::domain::Refusal;
use crate::domain::plate::SymbolRecord;

/// Ten thousandths of a millimetre: far below what any laser does.
const DECIMALS: u32 = 4;

/// Draws every plate as an SVG of its own and hands them over in order, with their index from 0. Each
/// symbol is read back from its finished outlines first. An error from `take` ends the run.
pub fn render_svgs(
    run: &PlateRun,
    plates: &[PlateSpec],
    mut take: impl FnMut(usize, &[u8]) -> std::io::Result<()>,
) -> Result<Vec<SymbolRecord>, PlateError> {
    let batch = Batch::prepare(run, plates)?;
    let fixed = batch.fixed_lines()?;
    let mut records = Vec::with_capacity(plates.len());
    workers::in_order(
        plates.len(),
        SymbolMaker::default,
        |maker, at| {
            let spec = &plates[at];
            let symbol = batch.symbol(maker, at, spec)?;
            let lines = [fixed.clone(), batch.lines(at, spec)?].concat();
            let svg = draw(&batch, spec, &lines, &symbol)?;
            prove(&batch, at, spec, &symbol, &svg)?;
            Ok::<_, PlateError>((symbol.record, svg))
        },
        |(record, svg)| {
            take(records.len(), svg.as_bytes())?;
            records.push(record);
            Ok(())
        },
    )?;
    Ok(records)
}

fn draw(batch: &Batch<'_>, spec: &PlateSpec, lines: &[Line], symbol: &Symbol) -> Result<String, PlateError> {
    let PlateRun { face, palette, finish, .. } = batch.run;
    let (width, height) = face.outline.size();
    let outline = shapes::outline(face.outline);
    let mut svg = Svg(Vec::with_capacity(64 << 10));
    svg.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"");
    svg.number(width);
    svg.raw("mm\" height=\"");
    svg.number(height);
    svg.raw("mm\" viewBox=\"0 0 ");
    svg.numbers(&[width, height]);
    svg.raw("\">\n<title>");
    svg.words(spec.code_groups.as_deref().unwrap_or_default());
    svg.raw(" ");
    svg.words(&spec.token.grouped());
    svg.raw("</title>\n");
    if let Some(ground) = finish.ground() {
        let qr = face.qr;
        let (right, bottom) = (qr.x + qr.w, qr.y + qr.h);
        svg.path("ground", ground);
        svg.shape(&outline);
        svg.shape(&[(qr.x, qr.y), (right, qr.y), (right, bottom), (qr.x, bottom)]);
        svg.raw("\"/>\n");
    }
    if let Some(band) = face.band {
        svg.path("band", finish.band(palette, spec.class));
        svg.shape(&shapes::clipped(&outline, band));
        svg.raw("\"/>\n");
    }
    svg.raw("<g id=\"text\">\n");
    for line in lines {
        svg.raw("<path fill=\"");
        svg.color(finish.ink(line.ink, palette, Some(spec.class)));
        svg.raw("\" d=\"");
        super::glyphs::draw(std::slice::from_ref(line), &batch.fonts, &mut svg)?;
        svg.raw("\"/>\n");
    }
    svg.raw("</g>\n");
    svg.path(SYMBOL, [0.0; 3]);
    let module = face.qr.w / (symbol.rows.len() as f64 + 2.0 * QUIET);
    let corner = (face.qr.x + QUIET * module, face.qr.y + QUIET * module);
    for region in shapes::regions(&symbol.rows) {
        let region: Vec<Point> = region
            .into_iter()
            .map(|(x, y)| (corner.0 + x as f64 * module, corner.1 + y as f64 * module))
            .collect();
        svg.shape(&region);
    }
    svg.raw("\"/>\n<g id=\"cut\" fill=\"none\" stroke=\"#ff0000\" stroke-width=\"0.1\">\n");
    svg.cut(face.outline, &face.holes);
    svg.raw("</g>\n</svg>\n");
    Ok(String::from_utf8(svg.0).expect("built of text"))
}

const SYMBOL: &str = "symbol";

struct Svg(Vec<u8>);

impl Svg {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: f64) {
        push_number(&mut self.0, number, DECIMALS);
    }

    fn numbers(&mut self, numbers: &[f64]) {
        for (at, number) in numbers.iter().enumerate() {
            if at > 0 {
                self.raw(" ");
            }
            self.number(*number);
        }
    }

    fn words(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                _ => self.raw(character.encode_utf8(&mut [0; 4])),
            }
        }
    }

    fn color(&mut self, color: Rgb) {
        self.raw("#");
        for part in color {
            self.raw(&format!("{:02x}", (part * 255.0).round() as u8));
        }
    }

    /// Begins a filled path; `"/>` ends it.
    fn path(&mut self, id: &str, fill: Rgb) {
        self.raw(&format!("<path id=\"{id}\" fill-rule=\"evenodd\" fill=\""));
        self.color(fill);
        self.raw("\" d=\"");
    }

    fn shape(&mut self, points: &[Point]) {
        for (at, (x, y)) in points.iter().enumerate() {
            self.raw(if at == 0 { "M" } else { "L" });
            self.numbers(&[*x, *y]);
        }
        if !points.is_empty() {
            self.raw("Z");
        }
    }

    fn attributes(&mut self, element: &str, values: &[(&str, f64)]) {
        self.raw(&format!("<{element}"));
        for (name, value) in values {
            self.raw(&format!(" {name}=\""));
            self.number(*value);
            self.raw("\"");
        }
        self.raw("/>\n");
    }

    fn cut(&mut self, outline: Outline, holes: &[Hole]) {
        match outline {
            Outline::Rect { width, height, radius } => {
                self.attributes("rect", &[("width", width), ("height", height), ("rx", radius)]);
            }
            Outline::Circle { d } => {
                self.attributes("circle", &[("cx", d / 2.0), ("cy", d / 2.0), ("r", d / 2.0)]);
            }
            Outline::Oval { width, height } => {
                let (a, b) = (width / 2.0, height / 2.0);
                self.attributes("ellipse", &[("cx", a), ("cy", b), ("rx", a), ("ry", b)]);
            }
        }
        for hole in holes {
            self.attributes("circle", &[("cx", hole.x), ("cy", hole.y), ("r", hole.d / 2.0)]);
        }
    }

    fn curve(&mut self, command: &str, numbers: &[f32]) {
        self.raw(command);
        for (at, number) in numbers.iter().enumerate() {
            if at > 0 {
                self.raw(" ");
            }
            push_number(&mut self.0, f64::from(*number), 3);
        }
    }
}

impl OutlineBuilder for Svg {
    fn move_to(&mut self, x: f32, y: f32) {
        self.curve("M", &[x, y]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.curve("L", &[x, y]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.curve("Q", &[x1, y1, x, y]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.curve("C", &[x1, y1, x2, y2, x, y]);
    }

    fn close(&mut self) {
        self.raw("Z");
    }
}

/// Reads the symbol back from the finished file: which middles of modules lie inside its lines.
fn prove(
    batch: &Batch<'_>,
    index: usize,
    spec: &PlateSpec,
    symbol: &Symbol,
    svg: &str,
) -> Result<(), Refusal> {
    let shapes = shapes_of(svg, SYMBOL).ok_or_else(|| refused_proof(index, proof::Fault::Unreadable))?;
    let qr = batch.run.face.qr;
    let side = symbol.rows.len();
    let module = qr.w / (side as f64 + 2.0 * QUIET);
    let upright: Vec<(f64, f64, f64)> = shapes
        .iter()
        .flat_map(|shape| (0..shape.len()).map(|at| (shape[at], shape[(at + 1) % shape.len()])))
        .filter(|((_, y1), (_, y2))| y1 != y2)
        .map(|((x, y1), (_, y2))| (x, y1.min(y2), y1.max(y2)))
        .collect();
    let mut rows = vec![0u64; side];
    let mut crossings = Vec::with_capacity(side);
    for (at, row) in rows.iter_mut().enumerate() {
        let y = qr.y + (QUIET + at as f64 + 0.5) * module;
        crossings.clear();
        crossings
            .extend(upright.iter().filter(|(_, top, bottom)| *top <= y && y < *bottom).map(|edge| edge.0));
        for column in 0..side {
            let x = qr.x + (QUIET + column as f64 + 0.5) * module;
            let inside = crossings.iter().filter(|edge| **edge < x).count() % 2 == 1;
            *row |= u64::from(inside) << column;
        }
    }
    let (near_x, near_y) = (qr.x + QUIET * module, qr.y + QUIET * module);
    let (far_x, far_y) = (qr.x + qr.w - QUIET * module, qr.y + qr.h - QUIET * module);
    let slip = 2e-4;
    let within = |(x, y): &Point| {
        *x >= near_x - slip && *x <= far_x + slip && *y >= near_y - slip && *y <= far_y + slip
    };
    if !shapes.iter().flatten().all(within) {
        return Err(refused_proof(index, proof::Fault::QuietZone));
    }
    proof::check_symbol(&rows, &symbol.rows, symbol.record, &spec.payload)
        .map_err(|fault| refused_proof(index, fault))
}

/// The closed lines of the path with this id.
fn shapes_of(svg: &str, id: &str) -> Option<Vec<Vec<Point>>> {
    let (_, rest) = svg.split_once(&format!("<path id=\"{id}\""))?;
    let (_, rest) = rest.split_once(" d=\"")?;
    let (path, _) = rest.split_once('"')?;
    let mut shapes = Vec::new();
    for shape in path.split_terminator('Z') {
        let points = shape.strip_prefix('M')?.split('L').map(|point| {
            let (x, y) = point.split_once(' ')?;
            Some((x.parse().ok()?, y.parse().ok()?))
        });
        shapes.push(points.collect::<Option<Vec<Point>>>()?);
    }
    Some(shapes)
}
