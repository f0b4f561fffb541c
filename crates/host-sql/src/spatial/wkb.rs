//! Well-known binary (OGC 06-103r4, 8.2): of two dimensions behind a SRID, as MySQL
//! and MariaDB store it, and PostGIS's, in which flags beside the number of the type
//! tell of heights, measures and a SRID.

use super::DEEPEST;
use super::reader::Reader;
use super::wkt::{Position, Wkt};

/// A byte for the order and the number of the type.
const HEAD: usize = 5;

const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;

/// The head of a geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    of: u32,
    z: bool,
    m: bool,
    srid: bool,
}

/// Behind a SRID, without flags.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let mut from = Reader::new(bytes);
    let mut wkt = Wkt::new(from.unsigned()?.into());
    let head = head(&mut from)?;
    let plain = matches!(head.of, 1..=7) && !head.srid && !head.z && !head.m;
    plain.then_some(())?;
    geometry(head, &mut from, &mut wkt, DEEPEST)?;
    from.is_at_end().then(|| wkt.finish())
}

/// With flags, and the SRID behind the first type.
pub(super) fn text_of_postgis(bytes: &[u8]) -> Option<String> {
    let mut from = Reader::new(bytes);
    let head = head(&mut from)?;
    let srid = if head.srid { from.signed()? } else { 0 };
    let mut wkt = Wkt::new(srid.into());
    geometry(head, &mut from, &mut wkt, DEEPEST)?;
    from.is_at_end().then(|| wkt.finish())
}

fn geometry(head: Head, from: &mut Reader<'_>, wkt: &mut Wkt, deeper: usize) -> Option<()> {
    let word = match head.of {
        1 => "POINT",
        2 => "LINESTRING",
        3 => "POLYGON",
        4 => "MULTIPOINT",
        5 => "MULTILINESTRING",
        6 => "MULTIPOLYGON",
        7 => "GEOMETRYCOLLECTION",
        8 => "CIRCULARSTRING",
        9 => "COMPOUNDCURVE",
        10 => "CURVEPOLYGON",
        11 => "MULTICURVE",
        12 => "MULTISURFACE",
        15 => "POLYHEDRALSURFACE",
        16 => "TIN",
        17 => "TRIANGLE",
        _ => return None,
    };
    // Where there is a measure and no height, the word says so.
    let measured = head.m && !head.z;
    wkt.tag(word, measured);
    body(head, from, wkt, deeper)
}

/// What stands behind the word.
fn body(of: Head, from: &mut Reader<'_>, wkt: &mut Wkt, deeper: usize) -> Option<()> {
    match of.of {
        1 => {
            let position = position(of, from)?;
            // How no position is written where there has to be one.
            let none = position.x.is_nan() && position.y.is_nan();
            wkt.positions((!none).then_some(position));
        }
        2 | 8 => wkt.positions(positions(of, from)?),
        3 | 17 => {
            let rings = from.count(4)?;
            wkt.list(0..rings, |wkt, _| {
                wkt.positions(positions(of, from)?);
                Some(())
            })?;
        }
        whole => {
            let deeper = deeper.checked_sub(1)?;
            let parts = from.count(HEAD)?;
            wkt.list(0..parts, |wkt, _| {
                let part = head(from)?;
                let same = (part.z, part.m, part.srid) == (of.z, of.m, false);
                match named(whole, part.of)? {
                    _ if !same => None,
                    true => geometry(part, from, wkt, deeper),
                    false => body(part, from, wkt, deeper),
                }
            })?;
        }
    }
    Some(())
}

/// Whether a part is named by its word inside a whole of this type; none where it
/// has no place. What a whole is commonly made of has no name there.
const fn named(whole: u32, part: u32) -> Option<bool> {
    match (whole, part) {
        (7, _) => Some(true),
        (4, 1) | (5 | 9 | 10 | 11, 2) | (6 | 12 | 15, 3) | (16, 17) => Some(false),
        (9, 8) | (10 | 11, 8 | 9) | (12, 10) => Some(true),
        _ => None,
    }
}

fn head(from: &mut Reader<'_>) -> Option<Head> {
    let little = match from.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    from.set_order(little);
    let of = from.unsigned()?;
    Some(Head {
        of: of & !(HAS_Z | HAS_M | HAS_SRID),
        z: of & HAS_Z != 0,
        m: of & HAS_M != 0,
        srid: of & HAS_SRID != 0,
    })
}

fn positions(of: Head, from: &mut Reader<'_>) -> Option<Vec<Position>> {
    let each = 16 + 8 * (usize::from(of.z) + usize::from(of.m));
    let count = from.count(each)?;
    from.many(count, |from| position(of, from))
}

fn position(of: Head, from: &mut Reader<'_>) -> Option<Position> {
    let (x, y) = (from.double()?, from.double()?);
    let mut further = |there: bool| match there {
        true => from.double().map(Some),
        false => Some(None),
    };
    let (z, m) = (further(of.z)?, further(of.m)?);
    // A measure alone stands third.
    let (z, m) = if of.z { (z, m) } else { (m, None) };
    Some(Position { x, y, z, m })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn of(hex: &str) -> Option<String> {
        text(&bytes(hex))
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.as_chunks::<2>().0.iter();
        let pair = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        pairs.map(|digits| pair(digits).unwrap()).collect()
    }

    #[test]
    fn tells_the_srid_and_keeps_each_digit() {
        let point = [
            &4326_u32.to_le_bytes()[..],
            &[1, 1, 0, 0, 0],
            &(-122.349_f64).to_le_bytes(),
            &0.1_f64.to_le_bytes(),
        ]
        .concat();
        assert_eq!(
            text(&point).as_deref(),
            Some("SRID=4326;POINT (-122.349 0.1)")
        );
    }

    #[test]
    fn reads_either_order_of_bytes() {
        let point = "00000000 00 00000001 3FF0000000000000 4000000000000000";
        assert_eq!(of(point).as_deref(), Some("POINT (1 2)"));
    }

    #[test]
    fn what_is_not_understood_to_its_last_byte_is_nobodys_text() {
        let point = "00000000 01 01000000 000000000000F03F 0000000000000040";
        assert_eq!(of(point).as_deref(), Some("POINT (1 2)"));
        assert_eq!(of(&format!("{point}00")), None, "a byte too many");
        let whole = bytes(point);
        for length in 0..whole.len() {
            assert_eq!(text(&whole[..length]), None, "{length} bytes");
        }
        let other = "00000000 01 08000000 000000000000F03F 0000000000000040";
        assert_eq!(of(other), None, "an unknown type");
        let mixed = "00000000 01 04000000 01000000 01 02000000 00000000";
        assert_eq!(of(mixed), None, "a line among points");
    }

    #[test]
    fn makes_no_room_for_what_can_not_be_there() {
        assert_eq!(of("00000000 01 02000000 FFFFFFFF"), None);
        assert_eq!(of("00000000 01 03000000 FFFFFFFF"), None);
        assert_eq!(of("00000000 01 07000000 FFFFFFFF"), None);
    }

    #[test]
    fn collections_end_somewhere() {
        let nested = |levels: usize| {
            let inner = "01 07000000 01000000".repeat(levels);
            of(&format!("00000000 {inner} 01 07000000 00000000"))
        };
        assert_eq!(
            nested(1).as_deref(),
            Some("GEOMETRYCOLLECTION (GEOMETRYCOLLECTION EMPTY)")
        );
        assert!(nested(DEEPEST - 1).is_some());
        assert_eq!(nested(DEEPEST), None);
        assert_eq!(nested(1_000_000), None);
    }

    #[test]
    fn numbers_are_never_hundreds_of_digits_long() {
        let written = |x: f64| {
            let mut wkt = Wkt::new(0);
            let (y, z, m) = (0.0, None, None);
            wkt.positions([Position { x, y, z, m }]);
            wkt.finish()
        };
        assert_eq!(written(1e300), "(1e300 0)");
        assert_eq!(written(-1.5e-7), "(-1.5e-7 0)");
        assert_eq!(written(1e15), "(1000000000000000 0)");
    }

    fn of_postgis(hex: &str) -> Option<String> {
        text_of_postgis(&bytes(hex))
    }

    #[test]
    fn flags_tell_of_heights_measures_and_a_srid() {
        let one = "000000000000F03F";
        let told = |of: &str, numbers: usize| {
            of_postgis(&format!("01{of}{}", one.repeat(numbers))).unwrap()
        };
        assert_eq!(told("01000000", 2), "POINT (1 1)");
        assert_eq!(told("01000080", 3), "POINT (1 1 1)");
        assert_eq!(told("01000040", 3), "POINTM (1 1 1)");
        assert_eq!(told("010000C0", 4), "POINT (1 1 1 1)");
        assert_eq!(told("01000020E6100000", 2), "SRID=4326;POINT (1 1)");
        let none = "000000000000F87F".repeat(2);
        assert_eq!(
            of_postgis(&format!("0101000000{none}")).unwrap(),
            "POINT EMPTY"
        );
    }

    #[test]
    fn curves_and_surfaces_name_the_parts_that_are_not_what_they_are_made_of() {
        let line = "01 02000000 00000000";
        let arc = "01 08000000 00000000";
        let polygon = "01 03000000 00000000";
        let told = |of: &str, parts: &[&str]| {
            let count = format!("{:02x}000000", parts.len());
            of_postgis(&format!("01 {of}000000 {count} {}", parts.concat()))
        };
        let compound = format!("01 09000000 02000000 {line} {arc}");
        let curved = format!("01 0A000000 01000000 {compound}");
        assert_eq!(
            told("0A", &[line, arc, &compound]).unwrap(),
            "CURVEPOLYGON (EMPTY, CIRCULARSTRING EMPTY, COMPOUNDCURVE (EMPTY, CIRCULARSTRING EMPTY))"
        );
        assert_eq!(
            told("0B", &[line, arc]).unwrap(),
            "MULTICURVE (EMPTY, CIRCULARSTRING EMPTY)"
        );
        assert_eq!(
            told("0C", &[polygon, &curved]).unwrap(),
            "MULTISURFACE (EMPTY, CURVEPOLYGON (COMPOUNDCURVE (EMPTY, CIRCULARSTRING EMPTY)))"
        );
        assert_eq!(told("0F", &[polygon]).unwrap(), "POLYHEDRALSURFACE (EMPTY)");
        assert_eq!(
            told("10", &["01 11000000 00000000"]).unwrap(),
            "TIN (EMPTY)"
        );
        assert_eq!(told("0F", &[line]), None, "no place for a line");
        assert_eq!(
            told("07", &["01 02000080 00000000"]),
            None,
            "other dimensions"
        );
    }
}
