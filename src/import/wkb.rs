//! Well-known binary, as far as a cover can be: one point. Surfaces are read by `areas`.

use super::place::Point;
use super::shown;
use crate::domain::Refusal;

/// The point of a GeoPackage geometry; `None` = it is empty.
pub(super) fn point_of_geopackage(blob: &[u8]) -> Result<Option<Point>, Refusal> {
    match without_header(blob)? {
        (_, true) => Ok(None),
        (wkb, false) => point_of(wkb),
    }
}

/// The well-known binary behind a GeoPackage's own header, and whether that says it is empty.
pub(super) fn without_header(blob: &[u8]) -> Result<(&[u8], bool), Refusal> {
    let damaged = || Refusal::new("geometry.coordinates").at("position");
    let [b'G', b'P', _, flags, rest @ ..] = blob else { return Err(damaged()) };
    let envelope = match (flags >> 1) & 7 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        _ => return Err(damaged()),
    };
    if flags & 0x10 != 0 {
        return Ok((&[], true));
    }
    Ok((rest.get(4 + envelope..).ok_or_else(damaged)?, false))
}

/// A point, or the only one of a multipoint.
fn point_of(wkb: &[u8]) -> Result<Option<Point>, Refusal> {
    let damaged = || Refusal::new("geometry.coordinates").at("position");
    let head = Head::read(wkb).ok_or_else(damaged)?;
    if head.kind != 4 {
        return head.point(wkb);
    }
    let inner = &wkb[head.len..];
    match head.long(inner, 0).ok_or_else(damaged)? {
        0 => Ok(None),
        1 => {
            let inner = &inner[4..];
            Head::read(inner).ok_or_else(damaged)?.point(inner)
        }
        _ => Err(other("MultiPoint")),
    }
}

/// What stands before the ordinates.
pub(super) struct Head {
    little: bool,
    pub(super) kind: u32,
    has_z: bool,
    has_m: bool,
    pub(super) len: usize,
}

impl Head {
    pub(super) fn read(wkb: &[u8]) -> Option<Self> {
        let little = match wkb.first()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mut head = Self { little, kind: 0, has_z: false, has_m: false, len: 5 };
        let kind = head.long(wkb, 1)?;
        // ISO adds thousands for Z and M, EWKB sets the highest bits.
        let (high, low) = (kind >> 28, kind & 0x0FFF_FFFF);
        head.has_z = high & 8 != 0 || matches!(low / 1000, 1 | 3);
        head.has_m = high & 4 != 0 || matches!(low / 1000, 2 | 3);
        head.kind = low % 1000;
        if high & 2 != 0 {
            head.len = 9;
        }
        (wkb.len() >= head.len).then_some(head)
    }

    /// Numbers of a corner.
    pub(super) fn ordinates(&self) -> usize {
        2 + usize::from(self.has_z) + usize::from(self.has_m)
    }

    pub(super) fn long(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    pub(super) fn double(&self, bytes: &[u8], at: usize) -> Option<f64> {
        let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
        Some(if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    fn point(&self, wkb: &[u8]) -> Result<Option<Point>, Refusal> {
        if self.kind != 1 {
            return Err(other(kind_name(self.kind)));
        }
        let (Some(x), Some(y)) = (self.double(wkb, self.len), self.double(wkb, self.len + 8)) else {
            return Err(Refusal::new("geometry.coordinates").at("position"));
        };
        if x.is_nan() && y.is_nan() {
            return Ok(None);
        }
        let z = self.double(wkb, self.len + 16).filter(|z| self.has_z && z.is_finite());
        Ok(Some(Point { x, y, z }))
    }
}

pub(super) fn kind_name(kind: u32) -> &'static str {
    match kind {
        1 => "Point",
        2 => "LineString",
        3 => "Polygon",
        4 => "MultiPoint",
        5 => "MultiLineString",
        6 => "MultiPolygon",
        7 => "GeometryCollection",
        8..=14 => "Curve",
        15..=17 => "Surface",
        _ => "?",
    }
}

fn other(kind: &str) -> Refusal {
    Refusal::new("geometry.type").at("position").with("read", shown(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `GP` header without envelope, then a point in either byte order.
    fn blob(wkb: &[u8]) -> Vec<u8> {
        [b"GP\0\x01\x8a\x11\0\0", wkb].concat()
    }

    #[test]
    fn points_are_read_in_either_byte_order_with_and_without_height() {
        let point = |kind: u32, ordinates: &[f64]| {
            let mut little = vec![1];
            little.extend(kind.to_le_bytes());
            let mut big = vec![0];
            big.extend(kind.to_be_bytes());
            for ordinate in ordinates {
                little.extend(ordinate.to_le_bytes());
                big.extend(ordinate.to_be_bytes());
            }
            [little, big]
        };
        for (kind, ordinates, z) in [
            (1, &[118.5, 37.4][..], None),
            (1001, &[118.5, 37.4, 7.5], Some(7.5)),
            (2001, &[118.5, 37.4, 9.0], None),
            (3001, &[118.5, 37.4, 7.5, 9.0], Some(7.5)),
            (0x8000_0001, &[118.5, 37.4, 7.5], Some(7.5)),
        ] {
            for wkb in point(kind, ordinates) {
                let read = point_of_geopackage(&blob(&wkb)).unwrap().unwrap();
                assert_eq!((read.x, read.y, read.z), (118.5, 37.4, z), "{kind}");
                let mut multi = vec![1, 4, 0, 0, 0, 1, 0, 0, 0];
                multi.extend(&wkb);
                assert_eq!(point_of_geopackage(&blob(&multi)).unwrap().unwrap().x, 118.5);
                multi[5] = 2;
                assert_eq!(point_of_geopackage(&blob(&multi)).err().unwrap().code, "geometry.type");
                for cut in 0..wkb.len() {
                    let _ = point_of_geopackage(&blob(&wkb[..cut]));
                }
            }
        }
        let [empty, _] = point(1, &[f64::NAN, f64::NAN]);
        assert!(point_of_geopackage(&blob(&empty)).unwrap().is_none());
        assert_eq!(point_of_geopackage(&blob(&[1, 3, 0, 0, 0])).err().unwrap().code, "geometry.type");
    }

    #[test]
    fn points_within_points_end() {
        // A multipoint of one multipoint of one … : never deeper than a point.
        let nested = [1, 4, 0, 0, 0, 1, 0, 0, 0].repeat(100_000);
        assert_eq!(point_of_geopackage(&blob(&nested)).err().unwrap().code, "geometry.type");
    }
}
