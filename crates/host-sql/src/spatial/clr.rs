//! SQL Server's `geography` and `geometry` as they are serialized (MS-SSCLRT 2.1,
//! versions 1 and 2): all positions, figures that take runs of them, shapes that
//! take runs of figures and hold each other.

use std::ops::Range;

use super::DEEPEST;
use super::reader::Reader;
use super::wkt::{Position, Wkt};

/// Which of the two it is; they differ by the order of a position's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On the round earth: latitude before longitude.
    Geography,
    /// On a plane: x before y.
    Geometry,
}

const HAS_Z: u8 = 0x01;
const HAS_M: u8 = 0x02;
const ONE_POINT: u8 = 0x08;
const ONE_LINE: u8 = 0x10;

/// How a figure's positions are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    Lines,
    Arcs,
    /// As the segments say.
    Both,
}

struct Figure {
    join: Join,
    first: usize,
}

struct Shape {
    of: u8,
    /// Where its figures start; none when it has none.
    first: Option<usize>,
    parent: Option<usize>,
}

/// A step along a figure of lines and arcs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Line,
    Arc,
    FirstLine,
    FirstArc,
}

struct Serialized {
    positions: Vec<Position>,
    figures: Vec<Figure>,
    shapes: Vec<Shape>,
    /// For each figure, how it is made up where that is not by its join alone.
    segments: Vec<Vec<Segment>>,
    /// For each shape, those inside it.
    inside: Vec<Vec<usize>>,
    /// For each shape, its figures.
    of_shape: Vec<Range<usize>>,
}

pub(super) fn text(kind: Kind, bytes: &[u8]) -> Option<String> {
    let mut from = Reader::new(bytes);
    let mut wkt = Wkt::new(from.signed()?.into());
    let version = from.byte()?;
    if !matches!(version, 1 | 2) {
        return None;
    }
    let properties = from.byte()?;
    if properties & (ONE_POINT | ONE_LINE) != 0 {
        let one = properties & ONE_POINT != 0;
        wkt.tag(if one { "POINT" } else { "LINESTRING" }, false);
        let count = if one { 1 } else { 2 };
        wkt.positions(positions(&mut from, kind, properties, count)?);
    } else {
        let all = Serialized::read(&mut from, kind, version, properties)?;
        all.write(0, &mut wkt, DEEPEST)?;
    }
    from.is_at_end().then(|| wkt.finish())
}

/// Two numbers for each position, then all heights, then all measures.
fn positions(
    from: &mut Reader<'_>,
    kind: Kind,
    properties: u8,
    count: usize,
) -> Option<Vec<Position>> {
    let pairs = from.many(count, |from| Some((from.double()?, from.double()?)))?;
    let mut further = |flag| {
        let count = if properties & flag == 0 { 0 } else { count };
        from.many(count, Reader::double)
    };
    let (heights, measures) = (further(HAS_Z)?, further(HAS_M)?);
    // Where one of the positions has none, there is no number.
    let known =
        |numbers: &[f64], at: usize| numbers.get(at).copied().filter(|number| !number.is_nan());
    let positions = pairs.into_iter().enumerate();
    let position = |(at, (first, second))| {
        let (x, y) = match kind {
            Kind::Geography => (second, first),
            Kind::Geometry => (first, second),
        };
        Position {
            x,
            y,
            z: known(&heights, at),
            m: known(&measures, at),
        }
    };
    Some(positions.map(position).collect())
}

/// An offset; −1 for none.
fn offset(from: &mut Reader<'_>) -> Option<Option<usize>> {
    match from.signed()? {
        -1 => Some(None),
        offset => usize::try_from(offset).ok().map(Some),
    }
}

impl Serialized {
    fn read(from: &mut Reader<'_>, kind: Kind, version: u8, properties: u8) -> Option<Self> {
        let count = from.count(16)?;
        let positions = positions(from, kind, properties, count)?;
        let count = from.count(5)?;
        let figures = from.many(count, |from| {
            let join = match (version, from.byte()?) {
                (1, 0..=2) | (2, 0 | 1) => Join::Lines,
                (2, 2) => Join::Arcs,
                (2, 3) => Join::Both,
                _ => return None,
            };
            let first = offset(from)??;
            Some(Figure { join, first })
        })?;
        let count = from.count(9)?;
        let shapes = from.many(count, |from| {
            let (parent, first) = (offset(from)?, offset(from)?);
            let of = from.byte()?;
            Some(Shape { of, first, parent })
        })?;
        let inside = inside(&shapes)?;
        let of_shape = figures_of(&shapes, figures.len())?;
        // Each position belongs to one figure, as each figure to one shape, so that no
        // text is longer than what it tells of.
        let starts = figures.iter().map(|figure: &Figure| figure.first);
        let starts: Vec<usize> = starts.chain([positions.len()]).collect();
        (starts.is_sorted() && starts.first() == Some(&0)).then_some(())?;
        let mut all = Self {
            positions,
            figures,
            shapes,
            segments: Vec::new(),
            inside,
            of_shape,
        };
        let segments = if version == 2 && !from.is_at_end() {
            let count = from.count(1)?;
            from.many(count, segment)?
        } else {
            Vec::new()
        };
        all.segments = all.dealt_out(segments)?;
        Some(all)
    }

    /// Gives the segments to the figures that are made of them, to each as many
    /// as lead along its positions.
    fn dealt_out(&self, segments: Vec<Segment>) -> Option<Vec<Vec<Segment>>> {
        let mut segments = segments.into_iter();
        let mut dealt = Vec::with_capacity(self.figures.len());
        for (at, figure) in self.figures.iter().enumerate() {
            let mut own = Vec::new();
            if figure.join == Join::Both {
                let mut left = self.run(at)?.len().saturating_sub(1);
                while left > 0 {
                    let segment = segments.next()?;
                    left = left.checked_sub(segment.steps())?;
                    own.push(segment);
                }
            }
            dealt.push(own);
        }
        segments.next().is_none().then_some(dealt)
    }

    fn write(&self, shape: usize, wkt: &mut Wkt, deeper: usize) -> Option<()> {
        let of = self.shapes.get(shape)?.of;
        let inside = self.inside.get(shape)?;
        let holds_shapes = matches!(of, 4..=7);
        (holds_shapes || inside.is_empty()).then_some(())?;
        let holds_figures = !holds_shapes && of != 11;
        (holds_figures || self.of_shape.get(shape)?.is_empty()).then_some(())?;
        if of == 11 {
            wkt.whole("FULLGLOBE");
            return Some(());
        }
        let word = match of {
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
            _ => return None,
        };
        wkt.tag(word, false);
        match of {
            4..=6 => wkt.list(inside, |wkt, part| {
                let is_part = self.shapes.get(*part)?.of == of - 3;
                (is_part && self.inside.get(*part)?.is_empty()).then_some(())?;
                self.write_simple(*part, wkt)
            }),
            7 => {
                let deeper = deeper.checked_sub(1)?;
                wkt.list(inside, |wkt, part| self.write(*part, wkt, deeper))
            }
            _ => self.write_simple(shape, wkt),
        }
    }

    /// What stands behind the word for a shape without shapes inside.
    fn write_simple(&self, shape: usize, wkt: &mut Wkt) -> Option<()> {
        let figures = self.of_shape.get(shape)?.clone();
        let of = self.shapes.get(shape)?.of;
        if of == 3 {
            return wkt.list(figures, |wkt, figure| {
                self.write_run(figure, Join::Lines, wkt)
            });
        }
        if of == 10 {
            return wkt.list(figures, |wkt, figure| self.write_ring(figure, wkt));
        }
        if figures.len() > 1 {
            return None;
        }
        let Some(figure) = figures.clone().next() else {
            wkt.positions([]);
            return Some(());
        };
        match of {
            1 if self.run(figure)?.len() != 1 => None,
            8 => self.write_run(figure, Join::Arcs, wkt),
            9 => write_parts(self.parts(figure)?, wkt),
            _ => self.write_run(figure, Join::Lines, wkt),
        }
    }

    fn write_run(&self, figure: usize, join: Join, wkt: &mut Wkt) -> Option<()> {
        (self.figures.get(figure)?.join == join).then_some(())?;
        wkt.positions(self.run(figure)?.iter().copied());
        Some(())
    }

    fn write_ring(&self, figure: usize, wkt: &mut Wkt) -> Option<()> {
        match self.figures.get(figure)?.join {
            Join::Both => {
                wkt.tag("COMPOUNDCURVE", false);
                write_parts(self.parts(figure)?, wkt)
            }
            join => write_part((join, self.run(figure)?), wkt),
        }
    }

    /// The positions of a figure: up to those of the next one.
    fn run(&self, figure: usize) -> Option<&[Position]> {
        let first = self.figures.get(figure)?.first;
        let next = self.figures.get(figure + 1);
        let end = next.map_or(self.positions.len(), |next| next.first);
        self.positions.get(first..end)
    }

    /// A figure, as pieces that each are of lines or of arcs. Each begins where
    /// the one before it ends.
    fn parts(&self, figure: usize) -> Option<Vec<(Join, &[Position])>> {
        let run = self.run(figure)?;
        let join = self.figures.get(figure)?.join;
        if join != Join::Both {
            return Some(vec![(join, run)]);
        }
        let mut parts: Vec<(Join, Range<usize>)> = Vec::new();
        let mut at = 0;
        for segment in self.segments.get(figure)? {
            let (join, starts) = match segment {
                Segment::Line => (Join::Lines, false),
                Segment::FirstLine => (Join::Lines, true),
                Segment::Arc => (Join::Arcs, false),
                Segment::FirstArc => (Join::Arcs, true),
            };
            let end = at + segment.steps();
            match parts.last_mut() {
                Some((same, part)) if *same == join && !starts => part.end = end + 1,
                _ => parts.push((join, at..end + 1)),
            }
            at = end;
        }
        let parts = parts.into_iter();
        parts
            .map(|(join, part)| Some((join, run.get(part)?)))
            .collect()
    }
}

impl Segment {
    /// How many positions it goes on by.
    const fn steps(self) -> usize {
        match self {
            Self::Line | Self::FirstLine => 1,
            Self::Arc | Self::FirstArc => 2,
        }
    }
}

fn segment(from: &mut Reader<'_>) -> Option<Segment> {
    Some(match from.byte()? {
        0 => Segment::Line,
        1 => Segment::Arc,
        2 => Segment::FirstLine,
        3 => Segment::FirstArc,
        _ => return None,
    })
}

fn write_parts(parts: Vec<(Join, &[Position])>, wkt: &mut Wkt) -> Option<()> {
    wkt.list(parts, |wkt, part| write_part(part, wkt))
}

fn write_part((join, run): (Join, &[Position]), wkt: &mut Wkt) -> Option<()> {
    if join == Join::Arcs {
        wkt.tag("CIRCULARSTRING", false);
    }
    wkt.positions(run.iter().copied());
    Some(())
}

/// For each shape, those inside it. The first holds all others, and each comes
/// after the one that holds it.
fn inside(shapes: &[Shape]) -> Option<Vec<Vec<usize>>> {
    let mut inside = vec![Vec::new(); shapes.len()];
    for (at, shape) in shapes.iter().enumerate() {
        match shape.parent {
            None if at == 0 => {}
            Some(parent) if parent < at => inside.get_mut(parent)?.push(at),
            _ => return None,
        }
    }
    Some(inside)
}

/// For each shape, its figures: up to those of the next one that has some. All
/// figures belong to a shape.
fn figures_of(shapes: &[Shape], all: usize) -> Option<Vec<Range<usize>>> {
    let mut end = all;
    let mut of_shape = vec![0..0; shapes.len()];
    for (shape, own) in shapes.iter().zip(&mut of_shape).rev() {
        if let Some(first) = shape.first {
            (first <= end).then_some(())?;
            *own = first..end;
            end = first;
        }
    }
    (end == 0).then_some(of_shape)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
