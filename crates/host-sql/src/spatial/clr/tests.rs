//! Bytes as SQL Server writes them, and what they are.

use super::{DEEPEST, Kind, text};

/// What is serialized: numbers as they lie there.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn head(srid: i32, version: u8, properties: u8) -> Self {
        Self([&srid.to_le_bytes()[..], &[version, properties]].concat())
    }

    fn count(mut self, count: u32) -> Self {
        self.0.extend(count.to_le_bytes());
        self
    }

    fn doubles(mut self, numbers: &[f64]) -> Self {
        self.0
            .extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self
    }

    fn positions(self, numbers: &[f64]) -> Self {
        let count = u32::try_from(numbers.len() / 2).unwrap();
        self.count(count).doubles(numbers)
    }

    fn figures(self, figures: &[(u8, i32)]) -> Self {
        let mut bytes = self.count(u32::try_from(figures.len()).unwrap());
        for (attribute, first) in figures {
            bytes.0.push(*attribute);
            bytes.0.extend(first.to_le_bytes());
        }
        bytes
    }

    fn shapes(self, shapes: &[(i32, i32, u8)]) -> Self {
        let mut bytes = self.count(u32::try_from(shapes.len()).unwrap());
        for (parent, first, of) in shapes {
            bytes.0.extend(parent.to_le_bytes());
            bytes.0.extend(first.to_le_bytes());
            bytes.0.push(*of);
        }
        bytes
    }

    fn segments(self, segments: &[u8]) -> Self {
        let mut bytes = self.count(u32::try_from(segments.len()).unwrap());
        bytes.0.extend(segments);
        bytes
    }

    fn text(&self) -> Option<String> {
        text(Kind::Geometry, &self.0)
    }
}

fn of(bytes: &Bytes) -> String {
    bytes.text().unwrap()
}

const NAN: f64 = f64::NAN;

#[test]
fn points_and_single_lines_are_written_short() {
    let point = Bytes::head(4326, 1, 0x0C).doubles(&[5.0, 10.0]);
    assert_eq!(of(&point), "SRID=4326;POINT (5 10)");
    assert_eq!(
        text(Kind::Geography, &point.0).unwrap(),
        "SRID=4326;POINT (10 5)",
        "latitude comes first there"
    );
    let deep = Bytes::head(0, 1, 0x0F).doubles(&[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(of(&deep), "POINT (1 2 3 4)");
    let measured = Bytes::head(0, 1, 0x0E).doubles(&[1.0, 2.0, 4.0]);
    assert_eq!(of(&measured), "POINT (1 2 NULL 4)");
    let line = Bytes::head(0, 1, 0x15).doubles(&[0.0, 0.0, 0.0, 1.0, NAN, 2.0]);
    assert_eq!(of(&line), "LINESTRING (0 0, 0 1 2)");
    // The start and the end are one: not valid, and all the same there.
    let invalid = Bytes::head(4326, 2, 0x10).doubles(&[0.0; 4]);
    assert_eq!(of(&invalid), "SRID=4326;LINESTRING (0 0, 0 0)");
}

#[test]
fn nothing_at_all_has_a_type() {
    for (of_type, word) in [(1, "POINT"), (3, "POLYGON"), (7, "GEOMETRYCOLLECTION")] {
        let bytes = Bytes::head(0, 1, 0x04).positions(&[]).figures(&[]);
        let bytes = bytes.shapes(&[(-1, -1, of_type)]);
        assert_eq!(of(&bytes), format!("{word} EMPTY"));
    }
}

#[test]
fn polygons_have_their_holes() {
    let outer = [0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0];
    let hole = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0];
    let bytes = Bytes::head(0, 1, 0x04)
        .positions(&[outer, hole].concat())
        .figures(&[(2, 0), (0, 5)])
        .shapes(&[(-1, 0, 3)]);
    assert_eq!(
        of(&bytes),
        "POLYGON ((0 0, 0 3, 3 3, 3 0, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))"
    );
}

#[test]
fn what_is_made_of_many_tells_each() {
    let line = [0.0, 0.0, 0.0, 1.0];
    let bytes = |positions: &[f64], shapes: &[(i32, i32, u8)], figures: &[(u8, i32)]| {
        let head = Bytes::head(0, 1, 0x04);
        of(&head.positions(positions).figures(figures).shapes(shapes))
    };
    assert_eq!(
        bytes(
            &line,
            &[(-1, 0, 4), (0, 0, 1), (0, 1, 1)],
            &[(1, 0), (1, 1)]
        ),
        "MULTIPOINT ((0 0), (0 1))"
    );
    assert_eq!(
        bytes(&line, &[(-1, 0, 5), (0, 0, 2), (0, -1, 2)], &[(1, 0)]),
        "MULTILINESTRING ((0 0, 0 1), EMPTY)"
    );
    let ring = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0];
    assert_eq!(
        bytes(&ring, &[(-1, 0, 6), (0, 0, 3)], &[(2, 0)]),
        "MULTIPOLYGON (((0 0, 0 1, 1 1, 0 0)))"
    );
    let nested = [(-1, 0, 7), (0, 0, 1), (0, 1, 7), (2, 1, 1)];
    assert_eq!(
        bytes(&line, &nested, &[(1, 0), (1, 1)]),
        "GEOMETRYCOLLECTION (POINT (0 0), GEOMETRYCOLLECTION (POINT (0 1)))"
    );
}

#[test]
fn arcs_and_lines_are_told_apart() {
    let circular = Bytes::head(0, 2, 0x04)
        .positions(&[0.0, 0.0, 1.0, 1.0, 2.0, 0.0])
        .figures(&[(2, 0)])
        .shapes(&[(-1, 0, 8)]);
    assert_eq!(of(&circular), "CIRCULARSTRING (0 0, 1 1, 2 0)");
    let compound = Bytes::head(0, 2, 0x04)
        .positions(&[0.0, 0.0, 1.0, 0.0, 2.0, 1.0, 3.0, 0.0])
        .figures(&[(3, 0)])
        .shapes(&[(-1, 0, 9)])
        .segments(&[2, 3]);
    assert_eq!(
        of(&compound),
        "COMPOUNDCURVE ((0 0, 1 0), CIRCULARSTRING (1 0, 2 1, 3 0))"
    );
    // Two rings of both: the segments of the second come after the first's.
    let ring = [0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 1.0, 0.0, 0.0];
    let rings = Bytes::head(4326, 2, 0x24)
        .positions(&[ring, ring].concat())
        .figures(&[(3, 0), (3, 5)])
        .shapes(&[(-1, 0, 10)])
        .segments(&[2, 0, 3, 3, 2, 0]);
    assert_eq!(
        of(&rings),
        "SRID=4326;CURVEPOLYGON (COMPOUNDCURVE ((0 0, 2 0, 2 2), CIRCULARSTRING (2 2, 0 1, 0 0)), \
         COMPOUNDCURVE (CIRCULARSTRING (0 0, 2 0, 2 2), (2 2, 0 1, 0 0)))"
    );
}

#[test]
fn the_whole_earth_has_no_positions() {
    let globe = Bytes::head(4326, 2, 0x24).positions(&[]).figures(&[]);
    let globe = globe.shapes(&[(-1, -1, 11)]);
    assert_eq!(of(&globe), "SRID=4326;FULLGLOBE");
}

#[test]
fn what_is_not_understood_to_its_last_byte_is_nobodys_text() {
    let line = || {
        Bytes::head(0, 1, 0x04)
            .positions(&[0.0, 0.0, 0.0, 1.0, 0.0, 2.0])
            .figures(&[(1, 0)])
            .shapes(&[(-1, 0, 2)])
    };
    assert_eq!(of(&line()), "LINESTRING (0 0, 0 1, 0 2)");
    let whole = line().0;
    for length in 0..whole.len() {
        assert_eq!(text(Kind::Geometry, &whole[..length]), None, "{length}");
    }
    assert_eq!(text(Kind::Geometry, &[&whole[..], &[0]].concat()), None);
    for (at, byte) in [(4, 3), (4, 0)] {
        let mut other = line().0;
        other[at] = byte;
        assert_eq!(text(Kind::Geometry, &other), None, "version {byte}");
    }
}

#[test]
fn offsets_that_lead_astray_are_seen() {
    let with = |figures: &[(u8, i32)], shapes: &[(i32, i32, u8)]| {
        let head = Bytes::head(0, 1, 0x04).positions(&[0.0, 0.0, 0.0, 1.0]);
        head.figures(figures).shapes(shapes).text()
    };
    assert!(with(&[(1, 0)], &[(-1, 0, 2)]).is_some());
    assert_eq!(with(&[(1, 1)], &[(-1, 0, 2)]), None, "a lost position");
    assert_eq!(with(&[(1, 7)], &[(-1, 0, 2)]), None, "past the positions");
    assert_eq!(with(&[(1, 0)], &[(-1, 7, 2)]), None, "past the figures");
    assert_eq!(with(&[(1, -2)], &[(-1, 0, 2)]), None);
    assert_eq!(with(&[(1, 0)], &[(0, 0, 7)]), None, "inside itself");
    assert_eq!(
        with(&[(1, 0)], &[(-1, 0, 2), (-1, 0, 2)]),
        None,
        "two roots"
    );
    assert_eq!(with(&[(1, 0)], &[(-1, 0, 7), (2, 0, 7), (1, 0, 7)]), None);
    assert_eq!(with(&[(1, 0)], &[]), None, "no shape");
    assert_eq!(
        with(&[(1, 0)], &[(-1, 0, 5), (0, 0, 1)]),
        None,
        "a point there"
    );
    assert_eq!(with(&[(1, 0)], &[(-1, 0, 1)]), None, "two positions");
}

#[test]
fn no_position_is_told_twice() {
    let many: Vec<f64> = (0..2000).map(f64::from).collect();
    // A line over all of them, and something that has no figures, in turns.
    let figures: Vec<(u8, i32)> = (0..200).map(|at| (1, 1000 * (at % 2))).collect();
    let shapes = (0..200).map(|at| (0, at, if at % 2 == 0 { 2 } else { 7 }));
    let shapes: Vec<_> = [(-1, 0, 7)].into_iter().chain(shapes).collect();
    let head = Bytes::head(0, 1, 0x04).positions(&many);
    assert_eq!(head.figures(&figures).shapes(&shapes).text(), None);
    let with = |shapes: &[(i32, i32, u8)]| {
        let head = Bytes::head(0, 1, 0x04).positions(&[0.0, 0.0, 0.0, 1.0]);
        head.figures(&[(1, 0), (1, 1)]).shapes(shapes).text()
    };
    let nested = [(-1, 0, 7), (0, 0, 2), (1, 1, 1)];
    assert_eq!(with(&nested), None, "a point inside a line");
    assert_eq!(
        with(&[(-1, 0, 7), (0, 1, 1)]),
        None,
        "a figure of a collection"
    );
}

#[test]
fn collections_end_somewhere() {
    let nested = |levels: i32| {
        let shapes: Vec<_> = (0..levels).map(|at| (at - 1, -1, 7)).collect();
        let bytes = Bytes::head(0, 1, 0x04).positions(&[]).figures(&[]);
        bytes.shapes(&shapes).text()
    };
    let deepest = i32::try_from(DEEPEST).unwrap();
    assert!(nested(deepest).is_some());
    assert_eq!(nested(deepest + 1), None);
    assert_eq!(nested(100_000), None);
}
