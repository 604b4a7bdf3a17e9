//! Loose rings, as a Shapefile has them → parts with their holes.

use geo::coordinate_position::{CoordPos, coord_pos_relative_to_ring};
use geo::{BoundingRect, Coord, LineString, Rect};

use super::features::{RawRing, RawShape};
use crate::domain::Refusal;

/// Corners that may be looked at for one feature; an island coast takes some millions.
const MOST_STEPS: u64 = 400_000_000;

/// Which ring is a hole of which follows from where they lie, and not from the way they turn: half of
/// the programs in use turn them otherwise than the format says. A ring within an even number of others
/// begins a part; within an odd number, it is a hole of the smallest part around it.
pub(super) fn sort_rings(rings: Vec<RawRing>) -> Result<RawShape, Refusal> {
    if rings.len() == 1 {
        return Ok(vec![rings]);
    }
    let lines: Vec<(LineString, Option<Rect>)> = rings
        .iter()
        .map(|ring| {
            let mut line: LineString = ring.iter().map(|[x, y]| Coord { x: *x, y: *y }).collect();
            // One that is open is refused later; here it must not be asked as it is.
            line.close();
            let bounds =
                line.bounding_rect().filter(|_| ring.iter().flatten().all(|number| number.is_finite()));
            (line, bounds)
        })
        .collect();
    let mut steps = 0;
    let mut around: Vec<Vec<usize>> = vec![Vec::new(); rings.len()];
    for (inner, (line, bounds)) in lines.iter().enumerate() {
        let Some(bounds) = bounds else { continue };
        for (outer, (outer_line, outer_bounds)) in lines.iter().enumerate() {
            steps += 1;
            let fits = outer_bounds.is_some_and(|outer| holds(&outer, bounds));
            if outer != inner && fits && lies_within(line, outer_line, &mut steps) {
                around[inner].push(outer);
            }
            if steps > MOST_STEPS {
                return Err(Refusal::new("area.too_intricate").at("geometry").with("read", rings.len()));
            }
        }
    }
    let mut rings: Vec<Option<RawRing>> = rings.into_iter().map(Some).collect();
    let (mut parts, mut part_of) = (Vec::new(), vec![0; rings.len()]);
    for ring in (0..rings.len()).filter(|ring| around[*ring].len().is_multiple_of(2)) {
        part_of[ring] = parts.len();
        parts.push(vec![rings[ring].take().unwrap_or_default()]);
    }
    for ring in (0..rings.len()).filter(|ring| !around[*ring].len().is_multiple_of(2)) {
        // The smallest ring around it is the one that most others lie around.
        let Some(smallest) = around[ring].iter().copied().max_by_key(|outer| around[*outer].len()) else {
            continue;
        };
        parts[part_of[smallest]].push(rings[ring].take().unwrap_or_default());
    }
    Ok(parts)
}

fn holds(outer: &Rect, inner: &Rect) -> bool {
    outer.min().x <= inner.min().x
        && outer.min().y <= inner.min().y
        && outer.max().x >= inner.max().x
        && outer.max().y >= inner.max().y
}

/// Whether a ring lies within another one. They may touch, so corners on the border say nothing.
fn lies_within(inner: &LineString, outer: &LineString, steps: &mut u64) -> bool {
    for corner in inner.coords() {
        *steps += outer.0.len() as u64;
        match coord_pos_relative_to_ring(*corner, outer) {
            CoordPos::Inside => return true,
            CoordPos::Outside => return false,
            CoordPos::OnBoundary if *steps > MOST_STEPS => return false,
            CoordPos::OnBoundary => {}
        }
    }
    let middles = inner.lines().map(|line| (line.start + line.end) / 2.0);
    middles.take(8).any(|middle| coord_pos_relative_to_ring(middle, outer) == CoordPos::Inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(west: f64, south: f64, side: f64) -> RawRing {
        let (east, north) = (west + side, south + side);
        vec![[west, south], [west, north], [east, north], [east, south], [west, south]]
    }

    #[test]
    fn holes_are_told_by_where_they_lie_whatever_the_turn_and_order() {
        let (land, lake, island) = (square(0.0, 0.0, 10.0), square(2.0, 2.0, 6.0), square(4.0, 4.0, 1.0));
        let (far, touching) = (square(20.0, 0.0, 1.0), square(0.0, 0.0, 1.0));
        let turned = |ring: &RawRing| ring.iter().rev().copied().collect::<RawRing>();
        for (lake, island) in [(lake.clone(), island.clone()), (turned(&lake), turned(&island))] {
            let given = vec![island.clone(), lake.clone(), far.clone(), touching.clone(), land.clone()];
            let parts = sort_rings(given).unwrap();
            assert_eq!(parts.len(), 3, "{parts:?}");
            assert!(parts.contains(&vec![island]) && parts.contains(&vec![far.clone()]));
            let with_holes = parts.iter().find(|part| part[0] == land).unwrap();
            assert!(with_holes.len() == 3 && with_holes.contains(&lake) && with_holes.contains(&touching));
        }
    }

    #[test]
    fn rings_without_numbers_are_parts_of_their_own() {
        let parts = sort_rings(vec![square(0.0, 0.0, 9.0), vec![[f64::NAN, 1.0]; 4], Vec::new()]).unwrap();
        assert_eq!(parts.len(), 3);
    }
}
