//! Shapes as closed lines of points, for what knows no text and no clipping: engravers and label
//! printers. Millimetres from the upper left corner of the face, y downwards.

use super::face::{Area, Outline};

pub(super) type Point = (f64, f64);

/// Widest gap between an arc and the line that stands for it, in millimetres.
const ARC_SLIP: f64 = 0.005;

/// The outline of a face; every outline is convex.
pub(super) fn outline(outline: Outline) -> Vec<Point> {
    let quarter = std::f64::consts::FRAC_PI_2;
    match outline {
        Outline::Circle { d } => arc((d / 2.0, d / 2.0), (d / 2.0, d / 2.0), 0.0, 4.0 * quarter),
        Outline::Oval { width, height } => {
            let half = (width / 2.0, height / 2.0);
            arc(half, half, 0.0, 4.0 * quarter)
        }
        Outline::Rect { width, height, radius } => {
            let centers = [
                (width - radius, height - radius),
                (radius, height - radius),
                (radius, radius),
                (width - radius, radius),
            ];
            let corner =
                |(at, center): (usize, Point)| arc(center, (radius, radius), at as f64 * quarter, quarter);
            centers.into_iter().enumerate().flat_map(corner).collect()
        }
    }
}

/// Points on an ellipse, first and last included.
fn arc(center: Point, half: Point, from: f64, turn: f64) -> Vec<Point> {
    let radius = half.0.max(half.1);
    if radius <= ARC_SLIP {
        return vec![center];
    }
    let step = 2.0 * (1.0 - ARC_SLIP / radius).acos();
    let steps = (turn / step).ceil().max(1.0);
    (0..=steps as usize)
        .map(|at| {
            let (sin, cos) = (from + turn * at as f64 / steps).sin_cos();
            (center.0 + half.0 * cos, center.1 + half.1 * sin)
        })
        .collect()
}

/// What of a convex shape lies in an area; empty where they do not meet.
pub(super) fn clipped(shape: &[Point], area: Area) -> Vec<Point> {
    let sides: [(bool, f64, f64); 4] = [
        (true, area.x, 1.0),
        (true, area.x + area.w, -1.0),
        (false, area.y, 1.0),
        (false, area.y + area.h, -1.0),
    ];
    let mut shape = shape.to_vec();
    for (across, edge, sign) in sides {
        let depth = |point: Point| (if across { point.0 } else { point.1 } - edge) * sign;
        let mut kept = Vec::with_capacity(shape.len() + 2);
        for (at, &here) in shape.iter().enumerate() {
            let before = shape[(at + shape.len() - 1) % shape.len()];
            let (there, now) = (depth(before), depth(here));
            if (there < 0.0) != (now < 0.0) {
                let share = there / (there - now);
                kept.push((before.0 + (here.0 - before.0) * share, before.1 + (here.1 - before.1) * share));
            }
            if now >= 0.0 {
                kept.push(here);
            }
        }
        shape = kept;
    }
    shape
}

/// The edges of a symbol as closed lines of corners, in modules: a cutter follows the edge of a dark
/// region once, instead of every module by itself. Dark regions that touch at a corner stay apart.
pub(super) fn regions(rows: &[u64]) -> Vec<Vec<(usize, usize)>> {
    const STEPS: [(isize, isize); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];
    let side = rows.len();
    let dark = |x: isize, y: isize| {
        (0..side as isize).contains(&x) && (0..side as isize).contains(&y) && rows[y as usize] >> x & 1 == 1
    };
    // Of each corner the directions (right, down, left, up) in which an edge leaves it, dark on its right.
    let mut leaving = vec![0u8; (side + 1) * (side + 1)];
    let at = |(x, y): (usize, usize)| y * (side + 1) + x;
    for y in 0..side {
        for x in 0..side {
            let (here_x, here_y) = (x as isize, y as isize);
            if !dark(here_x, here_y) {
                continue;
            }
            let edges = [
                (dark(here_x, here_y - 1), (x, y), 0),
                (dark(here_x + 1, here_y), (x + 1, y), 1),
                (dark(here_x, here_y + 1), (x + 1, y + 1), 2),
                (dark(here_x - 1, here_y), (x, y + 1), 3),
            ];
            for (neighbor, corner, direction) in edges {
                if !neighbor {
                    leaving[at(corner)] |= 1 << direction;
                }
            }
        }
    }
    let mut loops = Vec::new();
    for start_y in 0..=side {
        for start_x in 0..=side {
            let start = (start_x, start_y);
            while leaving[at(start)] != 0 {
                let first = leaving[at(start)].trailing_zeros() as usize;
                let (mut corners, mut here, mut direction) = (vec![start], start, first);
                loop {
                    leaving[at(here)] &= !(1 << direction);
                    let (dx, dy) = STEPS[direction];
                    here = ((here.0 as isize + dx) as usize, (here.1 as isize + dy) as usize);
                    // To the right where two edges leave: around the same module.
                    let home = if here == start { 1 << first } else { 0 };
                    let open = |way: &usize| (leaving[at(here)] | home) >> way & 1 == 1;
                    let next = [1, 0, 3].map(|turn| (direction + turn) % 4).into_iter().find(open);
                    let Some(next) = next.filter(|way| home >> way & 1 == 0) else { break };
                    if next != direction {
                        corners.push(here);
                    }
                    direction = next;
                }
                loops.push(corners);
            }
        }
    }
    loops
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn surface(shape: &[Point]) -> f64 {
        let twice = (0..shape.len()).map(|at| {
            let ((x1, y1), (x2, y2)) = (shape[at], shape[(at + 1) % shape.len()]);
            x1 * y2 - x2 * y1
        });
        twice.sum::<f64>().abs() / 2.0
    }

    #[test]
    fn a_shape_has_the_surface_of_its_outline() {
        let shape = outline(Outline::Circle { d: 100.0 });
        assert!((surface(&shape) - std::f64::consts::PI * 2500.0).abs() < 1.5, "{}", surface(&shape));
        let shape = outline(Outline::Rect { width: 90.0, height: 60.0, radius: 4.0 });
        let corners = (4.0 - std::f64::consts::PI) * 16.0;
        assert!((surface(&shape) - (5400.0 - corners)).abs() < 0.1);
        let band = clipped(&shape, Area { x: 0.0, y: 0.0, w: 90.0, h: 13.0 });
        assert!((surface(&band) - (90.0 * 13.0 - corners / 2.0)).abs() < 0.1);
        assert_eq!(clipped(&shape, Area { x: 0.0, y: 70.0, w: 90.0, h: 13.0 }), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A ray to the left of any module crosses an odd number of upright edges where it is dark.
        #[test]
        fn regions_hold_the_dark_modules_and_no_other(seed in prop::collection::vec(any::<u64>(), 1..40)) {
            let side = seed.len();
            let rows: Vec<u64> = seed.iter().map(|row| row & ((1u64 << side) - 1)).collect();
            let loops = regions(&rows);
            for corners in &loops {
                prop_assert!(corners.len() >= 4);
            }
            for (y, row) in rows.iter().enumerate() {
                for x in 0..side {
                    let crossings = loops.iter().flat_map(|corners| {
                        (0..corners.len()).map(|at| (corners[at], corners[(at + 1) % corners.len()]))
                    });
                    let crossed = crossings.filter(|((x1, y1), (x2, y2))| {
                        x1 == x2 && *x1 <= x && (*y1).min(*y2) <= y && y < (*y1).max(*y2)
                    });
                    prop_assert_eq!(crossed.count() % 2 == 1, row >> x & 1 == 1, "{} {}", x, y);
                }
            }
        }
    }
}
