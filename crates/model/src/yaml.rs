//! Reads a YAML text into a tree, bounded in size, depth and aliases. Merge
//! keys (`<<`) and tags beyond the core schema are refused, not guessed at.
//! Never gives a meaning to a key.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::notes::{Notes, below};
use crate::problem::Location;
use crate::scalar;
use crate::syntax;
use crate::tree::{Entry, Kind, Node};
use crate::wording::shown;

/// The longest job, in bytes.
pub(crate) const LONGEST: usize = 1 << 20;
/// Values of a job, aliases written out.
const MOST_NODES: usize = 20_000;
/// Bytes of text in a job, aliases written out.
const MOST_TEXT: usize = 4 << 20;
/// How deep values may lie in each other.
const DEEPEST: usize = 64;
/// The longest key, in bytes.
const LONGEST_KEY: usize = 1024;

/// Reads a text. None when it has no tree; the notes say why.
pub(crate) fn read(text: &str, notes: &Notes) -> Option<Node> {
    if text.len() > LONGEST {
        let message = format!(
            "the job has {} bytes; at most {LONGEST} are read",
            text.len()
        );
        notes.error("too_large", "", Location::START, message, None);
        return None;
    }
    if let Some(offset) = text.find('\0') {
        nul(notes, "", syntax::place_of(text, offset));
        return None;
    }
    let mut builder = Builder {
        source: text,
        parser: Parser::new_from_str(text),
        notes,
        path: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        text: 0,
        passed: Marker::default(),
    };
    builder.document().ok()
}

fn nul(notes: &Notes, pointer: &str, place: Location) {
    let hint = "no script, query or name can hold one; remove it";
    notes.error(
        "nul_character",
        pointer,
        place,
        "here is a NUL character",
        Some(hint.to_owned()),
    );
}

/// Reports a key that is given twice.
fn duplicate(notes: &Notes, pointer: &str, key: &str, place: Location, first: Location) {
    let message = format!(
        "`{}` is given twice; the first stands in line {}",
        shown(key),
        first.line
    );
    notes.error(
        "duplicate_key",
        pointer,
        place,
        message,
        Some("keep one of them".to_owned()),
    );
}

/// Reading ended early; the problem was reported.
struct Stop;

struct Builder<'a> {
    source: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    notes: &'a Notes,
    /// Keys and indexes of the values that are being read, outermost first.
    path: Vec<String>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text: usize,
    /// Where the last value ended.
    passed: Marker,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    let hint = Some("put each job into a file of its own".to_owned());
                    let message = "there is a second document in the text";
                    return self.fail("several_documents", &span, message.to_owned(), hint);
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, &span, 0)?),
            }
        }
        if let Some(root) = root {
            return Ok(root);
        }
        let hint = Some("a job needs at least `id`, `name` and `type`".to_owned());
        self.notes.error(
            "empty_document",
            "",
            Location::START,
            "the text holds no job",
            hint,
        );
        Err(Stop)
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, span)),
                Some(Err(error)) => {
                    syntax::report(self.notes, self.source, &self.pointer(), &error);
                    return Err(Stop);
                }
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn pointer(&self) -> String {
        self.path
            .iter()
            .fold(String::new(), |pointer, part| below(&pointer, part))
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Stop> {
        self.check_depth(depth, span)?;
        self.spend(1, 0, span)?;
        let passed = self.passed;
        self.passed = span.end;
        let mut place = location(&span.start);
        let mut text_place = None;
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(0, text.len(), span)?;
                let places = Places {
                    source: self.source,
                    span,
                    passed,
                    style,
                };
                place = places.value();
                text_place = places.text(&text);
                (
                    self.scalar(&text, style, tag.as_deref(), place, span)?,
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", span)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", span)?;
                (self.map(depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            _ => {
                let message = "something else than a value stands here".to_owned();
                return self.fail("syntax", span, message, None);
            }
        };
        let node = Node {
            kind,
            place,
            text_place,
        };
        if anchor > 0 {
            // The copy counts too: anchors within anchors would add up else.
            let weight = node.weight();
            self.spend(weight.nodes, weight.text, span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Kind::List(items));
            }
            self.path.push(items.len().to_string());
            items.push(self.node(event, &span, depth + 1)?);
            self.path.pop();
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Location> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Kind::Map(entries));
            }
            let written = match &event {
                Event::Scalar(text, ..) => Some(text.clone().into_owned()),
                _ => None,
            };
            let merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, &span, depth + 1)?;
            let key_place = key.place;
            let key = self.key(key, written, merge);
            self.path.push(key.clone().unwrap_or_default());
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            self.path.pop();
            let Some(key) = key else { continue };
            match seen.get(&key) {
                Some(first) => {
                    let pointer = below(&self.pointer(), &key);
                    duplicate(self.notes, &pointer, &key, key_place, *first);
                }
                None => {
                    seen.insert(key.clone(), key_place);
                    entries.push(Entry {
                        key,
                        key_place,
                        value,
                    });
                }
            }
        }
    }

    /// A key as it is written; none when it is no text.
    fn key(&self, node: Node, written: Option<String>, merge: bool) -> Option<String> {
        let (code, message, hint) = match node.kind {
            _ if merge => (
                "merge_key",
                "merge keys (`<<`) are not supported",
                "write the keys out; an alias (`*name`) works as a value",
            ),
            Kind::Text(text) if text.len() > LONGEST_KEY => (
                "bad_key",
                "a key is longer than 1024 bytes",
                "put long text into a value",
            ),
            Kind::Text(text) => return Some(text),
            Kind::Number(number) => return Some(written.unwrap_or_else(|| number.to_string())),
            Kind::Bool(value) => return Some(written.unwrap_or_else(|| value.to_string())),
            Kind::Null => (
                "bad_key",
                "a key is missing before the `:`",
                "write `key: value`",
            ),
            Kind::List(_) | Kind::Map(_) => (
                "bad_key",
                "a key must be text",
                "put text that holds brackets or braces in quotes",
            ),
        };
        self.notes.error(
            code,
            &self.pointer(),
            node.place,
            message,
            Some(hint.to_owned()),
        );
        None
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: Location,
        span: &Span,
    ) -> Result<Kind, Stop> {
        if text.contains('\0') {
            nul(self.notes, &self.pointer(), place);
            return Err(Stop);
        }
        let as_text = || Kind::Text(text.to_owned());
        let Some(tag) = tag else {
            return Ok(if style == ScalarStyle::Plain {
                scalar::plain(text)
            } else {
                as_text()
            });
        };
        let resolved = scalar::plain(text);
        match (tag.core_suffix(), &resolved) {
            (Some("str"), _) => Ok(as_text()),
            (Some("null"), Kind::Null)
            | (Some("bool"), Kind::Bool(_))
            | (Some("int" | "float"), Kind::Number(_)) => Ok(resolved),
            // `!` alone says that it is text.
            (None, _) if tag.handle().is_empty() && tag.suffix() == "!" => Ok(as_text()),
            _ => self.unknown_tag(tag, span),
        }
    }

    fn collection_tag(&self, tag: Option<&Tag>, fit: &str, span: &Span) -> Result<(), Stop> {
        match tag {
            Some(tag) if tag.core_suffix() != Some(fit) => self.unknown_tag(tag, span),
            _ => Ok(()),
        }
    }

    fn unknown_tag<T>(&self, tag: &Tag, span: &Span) -> Result<T, Stop> {
        let message = format!(
            "the tag `{}` does not fit what stands here",
            shown(&tag.original())
        );
        let hint = "leave the tag out; put text that begins with `!` in quotes".to_owned();
        self.fail("unknown_tag", span, message, Some(hint))
    }

    fn alias(&mut self, anchor: usize, span: &Span, depth: usize) -> Result<Node, Stop> {
        let Some(named) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside of what it names".to_owned();
            return self.fail("bad_alias", span, message, None);
        };
        let weight = named.weight();
        self.spend(weight.nodes, weight.text, span)?;
        self.check_depth(depth + weight.height, span)?;
        let mut node = self.anchors[&anchor].clone();
        node.place = location(&span.start);
        Ok(node)
    }

    fn check_depth(&self, depth: usize, span: &Span) -> Result<(), Stop> {
        if depth <= DEEPEST {
            return Ok(());
        }
        let message = format!("values lie more than {DEEPEST} deep in each other");
        self.fail("too_deep", span, message, None)
    }

    fn spend(&mut self, nodes: usize, text: usize, span: &Span) -> Result<(), Stop> {
        self.nodes += nodes;
        self.text += text;
        if self.nodes <= MOST_NODES && self.text <= MOST_TEXT {
            return Ok(());
        }
        let message = format!(
            "the job is too large with its aliases written out: at most {MOST_NODES} values and {MOST_TEXT} bytes"
        );
        self.fail(
            "too_large",
            span,
            message,
            Some("use fewer values, anchors and aliases".to_owned()),
        )
    }

    fn fail<T>(
        &self,
        code: &'static str,
        span: &Span,
        message: String,
        hint: Option<String>,
    ) -> Result<T, Stop> {
        self.notes
            .error(code, &self.pointer(), location(&span.start), message, hint);
        Err(Stop)
    }
}

/// Where a scalar begins, and where its text does.
struct Places<'a> {
    source: &'a str,
    span: &'a Span,
    /// The end of what stands before the scalar and its properties.
    passed: Marker,
    style: ScalarStyle,
}

impl Places<'_> {
    fn is_block(&self) -> bool {
        matches!(self.style, ScalarStyle::Literal | ScalarStyle::Folded)
    }

    /// The parser places a block at its first line of text; people look for
    /// its `|`, which is there even when the text is not.
    fn value(&self) -> Location {
        let header = self
            .is_block()
            .then(|| syntax::block_header(self.source, &self.passed));
        header
            .flatten()
            .unwrap_or_else(|| location(&self.span.start))
    }

    fn text(&self, text: &str) -> Option<Location> {
        let start = location(&self.span.start);
        if self.style == ScalarStyle::Literal {
            // Blank lines at its beginning are text, but not in the span.
            let blank = text.bytes().take_while(|byte| *byte == b'\n').count();
            let line = start.line.saturating_sub(u32::try_from(blank).ok()?);
            return (!text.trim().is_empty()).then_some(Location { line, ..start });
        }
        let raw = self.span.slice(self.source)?;
        let quote = match self.style {
            ScalarStyle::SingleQuoted => "'",
            ScalarStyle::DoubleQuoted => "\"",
            _ => "",
        };
        let inner = raw.strip_prefix(quote)?.strip_suffix(quote)?;
        let column = start.column + u32::try_from(quote.len()).ok()?;
        (inner == text && !text.contains('\n')).then_some(Location { column, ..start })
    }
}

/// The place of a marker.
pub(crate) fn location(marker: &Marker) -> Location {
    let from_one = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Location {
        line: from_one(marker.line().max(1)),
        column: from_one(marker.col() + 1),
    }
}
