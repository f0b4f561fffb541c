//! Follows a statement into a body that has semicolons of its own. Never knows
//! what the body does.

/// Which statements have bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// None.
    None,
    /// `CREATE TRIGGER … BEGIN …; END;`, as SQLite's shell reads it.
    Triggers,
    /// `CREATE FUNCTION … BEGIN ATOMIC …; END`, as PostgreSQL has it.
    Atomic,
    /// `CREATE PROCEDURE … BEGIN …; END` with blocks in blocks, as MySQL has it.
    Compound,
}

/// Where a statement stands in its body.
#[derive(Debug)]
pub(crate) struct Body {
    bodies: Bodies,
    place: Place,
    /// How many blocks are open.
    depth: u32,
    /// Whether a statement of the body would begin here.
    at_start: bool,
    last: String,
}

/// The end of SQLite's is `;`, `END`, `;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Inside,
    AfterSemicolon,
    AfterEnd,
}

/// What a body is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Word,
    Semicolon,
    Other,
}

impl Body {
    pub(crate) const fn new(bodies: Bodies) -> Self {
        Self {
            bodies,
            place: Place::Before,
            depth: 0,
            at_start: false,
            last: String::new(),
        }
    }

    /// Whether a semicolon here is the statement's own end.
    pub(crate) const fn is_over(&self) -> bool {
        match self.bodies {
            Bodies::Triggers => matches!(self.place, Place::Before | Place::AfterEnd),
            _ => self.depth == 0,
        }
    }

    /// Reads on; `first` are the statement's first words.
    pub(crate) fn read(&mut self, part: Part, text: &str, first: &[String]) {
        match self.bodies {
            Bodies::None => {}
            Bodies::Triggers => self.read_trigger(part, text, first),
            Bodies::Atomic | Bodies::Compound => {
                if part == Part::Word {
                    self.read_word(text.to_ascii_lowercase(), first);
                } else {
                    // A label ends with a colon.
                    self.at_start = part == Part::Semicolon || text == ":";
                    self.last.clear();
                }
            }
        }
    }

    fn read_trigger(&mut self, part: Part, text: &str, first: &[String]) {
        self.place = match self.place {
            Place::Before if is_trigger(first) => Place::Inside,
            Place::Before => Place::Before,
            _ if part == Part::Semicolon => Place::AfterSemicolon,
            Place::AfterSemicolon if text.eq_ignore_ascii_case("end") => Place::AfterEnd,
            _ => Place::Inside,
        };
    }

    fn read_word(&mut self, word: String, first: &[String]) {
        let started = self.depth > 0;
        if started {
            self.read_inside(&word);
        } else if self.opens(&word, first) {
            self.depth = 1;
        }
        self.at_start = matches!(
            word.as_str(),
            "begin" | "then" | "else" | "do" | "loop" | "repeat"
        );
        self.last = word;
    }

    fn opens(&self, word: &str, first: &[String]) -> bool {
        let first: Vec<&str> = first.iter().map(String::as_str).collect();
        match self.bodies {
            Bodies::Atomic => {
                let routine = matches!(first[..], ["create", "function" | "procedure"]);
                routine && self.last == "begin" && word == "atomic"
            }
            _ => match first[..] {
                ["create", "procedure" | "function" | "trigger" | "event"] => word == "begin",
                // MariaDB's block without a routine.
                ["begin"] => self.last == "begin" && word == "not",
                _ => false,
            },
        }
    }

    fn read_inside(&mut self, word: &str) {
        // `END IF` closes what `IF` opened.
        let after_end = self.last == "end";
        match word {
            "end" => self.depth -= 1,
            "case" if !after_end => self.depth += 1,
            "begin" | "for" | "if" | "loop" | "repeat" | "while"
                if self.bodies == Bodies::Compound && self.at_start && !after_end =>
            {
                self.depth += 1;
            }
            _ => {}
        }
    }
}

fn is_trigger(first: &[String]) -> bool {
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    matches!(
        first[..],
        ["create", "trigger"] | ["explain", "create", "trigger"]
    )
}
