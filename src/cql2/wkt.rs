//! Geometries inside the text encoding, in well-known text.

use geo::{Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon};

use super::lexer::Token;
use super::literal::{line, polygon};
use super::node::Node;
use super::text::Parser;
use crate::domain::Refusal;

impl Parser<'_> {
    /// The geometry behind this keyword, which was taken already.
    pub(super) fn geometry(&mut self, keyword: &str) -> Result<Node, Refusal> {
        self.take_word("Z");
        if keyword == "BBOX" {
            let numbers = self.in_brackets(|parser| parser.listed(Self::signed_number))?;
            return self.coordinates.bbox(&numbers);
        }
        if keyword == "GEOMETRYCOLLECTION" {
            let members = self.in_brackets(|parser| {
                parser.listed(|parser| {
                    let keyword = parser.word().unwrap_or_default();
                    let fits = super::text::LITERALS[4..10].contains(&keyword.as_str());
                    if !fits {
                        return Err(parser.expected("POINT / LINESTRING / POLYGON / MULTI…"));
                    }
                    parser.next();
                    parser.take_word("Z");
                    parser.simple_geometry(&keyword)
                })
            })?;
            let collection = Geometry::GeometryCollection(GeometryCollection::from(members));
            return Ok(Node::Geometry(Box::new(collection)));
        }
        Ok(Node::Geometry(Box::new(self.simple_geometry(keyword)?)))
    }

    fn simple_geometry(&mut self, keyword: &str) -> Result<Geometry, Refusal> {
        self.in_brackets(|parser| {
            Ok(match keyword {
                "POINT" => geo::Point::from(parser.position()?).into(),
                "LINESTRING" => line(parser.listed(Self::position)?)?.into(),
                "POLYGON" => polygon(parser.listed(Self::bracketed)?)?.into(),
                "MULTIPOINT" => {
                    // Brackets around each point are the standard's; older writers leave them out.
                    let points = parser.listed(|parser| match parser.token() {
                        Token::Sign("(") => parser.in_brackets(Self::position),
                        _ => parser.position(),
                    })?;
                    MultiPoint::from(points).into()
                }
                "MULTILINESTRING" => {
                    let lines = parser.listed(Self::bracketed)?.into_iter().map(line);
                    MultiLineString::new(lines.collect::<Result<Vec<LineString>, _>>()?).into()
                }
                _ => {
                    let polygons = parser.listed(|parser| {
                        polygon(parser.in_brackets(|parser| parser.listed(Self::bracketed))?)
                    })?;
                    MultiPolygon::new(polygons).into()
                }
            })
        })
    }

    fn bracketed(&mut self) -> Result<Vec<Coord>, Refusal> {
        self.in_brackets(|parser| parser.listed(Self::position))
    }

    /// Two numbers, and a third that is a height.
    fn position(&mut self) -> Result<Coord, Refusal> {
        let (first, second) = (self.signed_number()?, self.signed_number()?);
        if !matches!(self.token(), Token::Sign("," | ")")) {
            self.signed_number()?;
        }
        self.coordinates.position(first, second)
    }

    /// One or more, with commas between.
    fn listed<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T, Refusal>) -> Result<Vec<T>, Refusal> {
        let mut all = vec![one(self)?];
        while self.take(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }
}
