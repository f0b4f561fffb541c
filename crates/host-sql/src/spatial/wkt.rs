//! Writes well-known text. Never decides what a geometry is.

use std::fmt::Write;

/// A position; of its height and measure, what it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: Option<f64>,
    pub(super) m: Option<f64>,
}

pub(super) struct Wkt(String);

impl Wkt {
    pub(super) fn new(srid: i64) -> Self {
        Self(match srid {
            0 => String::new(),
            srid => format!("SRID={srid};"),
        })
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    /// The word for what follows, and whether that has measures and no heights.
    pub(super) fn tag(&mut self, word: &str, measured: bool) {
        self.0.push_str(word);
        self.0.push_str(if measured { "M " } else { " " });
    }

    /// A word with nothing behind it.
    pub(super) fn whole(&mut self, word: &str) {
        self.0.push_str(word);
    }

    /// Things in parentheses, or the word for none of them.
    pub(super) fn list<T>(
        &mut self,
        things: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T) -> Option<()>,
    ) -> Option<()> {
        let mut any = false;
        for thing in things {
            self.0.push_str(if any { ", " } else { "(" });
            any = true;
            each(self, thing)?;
        }
        self.0.push_str(if any { ")" } else { "EMPTY" });
        Some(())
    }

    pub(super) fn positions(&mut self, positions: impl IntoIterator<Item = Position>) {
        // Nothing can be wrong with a position.
        let _ = self.list(positions, |wkt, position| {
            wkt.position(position);
            Some(())
        });
    }

    fn position(&mut self, position: Position) {
        self.number(position.x);
        self.0.push(' ');
        self.number(position.y);
        match (position.z, position.m) {
            (None, None) => {}
            (Some(z), None) => self.further(z),
            (None, Some(m)) => {
                self.0.push_str(" NULL");
                self.further(m);
            }
            (Some(z), Some(m)) => {
                self.further(z);
                self.further(m);
            }
        }
    }

    fn further(&mut self, number: f64) {
        self.0.push(' ');
        self.number(number);
    }

    /// By its shortest decimal form; with an exponent where that would be long.
    fn number(&mut self, number: f64) {
        let plain = number == 0.0 || (1e-5..1e16).contains(&number.abs());
        // Writing to a string can't fail.
        let _ = if plain {
            write!(self.0, "{number}")
        } else {
            write!(self.0, "{number:e}")
        };
    }
}
