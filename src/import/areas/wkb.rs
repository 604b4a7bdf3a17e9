//! Well-known binary, as far as an area can be: polygons and what is made of them.

use super::super::wkb::Head;
use super::features::{RawRing, RawShape, no_polygon};
use crate::domain::Refusal;

/// Collections within collections that are followed.
const MOST_DEPTH: u8 = 8;

/// The surface of a GeoPackage geometry; without a part where it is empty.
pub(super) fn shape_of_geopackage(blob: &[u8]) -> Result<RawShape, Refusal> {
    let (wkb, empty) = super::super::wkb::without_header(blob)?;
    if empty {
        return Ok(Vec::new());
    }
    let mut shape = Vec::new();
    take(wkb, MOST_DEPTH, &mut shape)?;
    Ok(shape)
}

fn damaged() -> Refusal {
    Refusal::new("geometry.coordinates").at("geometry")
}

/// Adds the parts of a geometry; answers the bytes behind it.
fn take<'w>(wkb: &'w [u8], depth: u8, shape: &mut RawShape) -> Result<&'w [u8], Refusal> {
    let head = Head::read(wkb).ok_or_else(damaged)?;
    let mut rest = &wkb[head.len..];
    match head.kind {
        3 => {
            let count = take_count(&head, &mut rest)?;
            let mut rings = Vec::new();
            for _ in 0..count {
                rings.push(take_ring(&head, &mut rest)?);
            }
            if !rings.is_empty() {
                shape.push(rings);
            }
            Ok(rest)
        }
        6 | 7 if depth > 0 => {
            // Each member takes five bytes at least, so that no count lasts longer than the bytes.
            for _ in 0..take_count(&head, &mut rest)? {
                rest = take(rest, depth - 1, shape)?;
            }
            Ok(rest)
        }
        kind => Err(no_polygon(super::super::wkb::kind_name(kind))),
    }
}

fn take_count(head: &Head, rest: &mut &[u8]) -> Result<u32, Refusal> {
    let count = head.long(rest, 0).ok_or_else(damaged)?;
    *rest = &rest[4..];
    Ok(count)
}

fn take_ring(head: &Head, rest: &mut &[u8]) -> Result<RawRing, Refusal> {
    let count = take_count(head, rest)? as usize;
    let bytes = count.checked_mul(head.ordinates() * 8).ok_or_else(damaged)?;
    let corners = rest.get(..bytes).ok_or_else(damaged)?;
    *rest = &rest[bytes..];
    let corner = |corner: &[u8]| Some([head.double(corner, 0)?, head.double(corner, 8)?]);
    corners.chunks_exact(head.ordinates() * 8).map(corner).collect::<Option<RawRing>>().ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A triangle as WKB of a kind, with as many ordinates as it has.
    fn triangle(kind: u32, ordinates: usize) -> Vec<u8> {
        let mut wkb = vec![1];
        wkb.extend(kind.to_le_bytes());
        wkb.extend(1u32.to_le_bytes());
        wkb.extend(4u32.to_le_bytes());
        for corner in [[1.0, 2.0], [3.0, 2.0], [3.0, 5.0], [1.0, 2.0]] {
            for at in 0..ordinates {
                wkb.extend(corner.get(at).copied().unwrap_or(9.0f64).to_le_bytes());
            }
        }
        wkb
    }

    fn many(kind: u32, members: &[Vec<u8>]) -> Vec<u8> {
        let mut wkb = vec![1];
        wkb.extend(kind.to_le_bytes());
        wkb.extend((members.len() as u32).to_le_bytes());
        wkb.extend(members.concat());
        wkb
    }

    fn read(wkb: &[u8]) -> Result<RawShape, Refusal> {
        shape_of_geopackage(&[b"GP\0\x01\x8a\x11\0\0", wkb].concat())
    }

    #[test]
    fn polygons_with_and_without_heights_alone_and_together() {
        let ring = vec![[1.0, 2.0], [3.0, 2.0], [3.0, 5.0], [1.0, 2.0]];
        for (kind, ordinates) in [(3, 2), (1003, 3), (2003, 3), (3003, 4), (0x8000_0003, 3)] {
            let one = triangle(kind, ordinates);
            assert_eq!(read(&one).unwrap(), [[ring.clone()]], "{kind}");
            let both = many(6, &[one.clone(), many(7, std::slice::from_ref(&one))]);
            assert_eq!(read(&both).unwrap().len(), 2, "{kind}");
            for cut in 0..both.len() {
                assert!(read(&both[..cut]).is_err(), "{kind} cut at {cut}");
            }
        }
        assert_eq!(read(&many(6, &[])).unwrap(), RawShape::new());
        assert_eq!(read(&[1, 1, 0, 0, 0]).unwrap_err().code, "area.no_polygon");
    }

    #[test]
    fn counts_that_no_bytes_follow_and_collections_without_end_are_refused() {
        let mut huge = triangle(3, 2);
        huge[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&huge).is_err());
        huge[5..9].copy_from_slice(&1u32.to_le_bytes());
        huge[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&huge).is_err());
        let nested = [1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(100_000);
        assert!(read(&nested).is_err());
    }
}
