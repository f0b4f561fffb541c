//! A YAML text as a tree in which every node knows its place. Bounded in size,
//! depth and aliases. Never gives a meaning to a key.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Number, Value};

use crate::problem::{Location, Problems};

/// The longest job, in bytes.
pub(crate) const LONGEST: usize = 1 << 20;
/// Nodes of a job, aliases expanded.
const MOST_NODES: usize = 20_000;
/// Bytes of text in a job, aliases expanded.
const MOST_TEXT: usize = 4 << 20;
/// How deep nodes may lie in each other.
const DEEPEST: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) place: Location,
    /// For a block scalar: the place of its text's first character.
    pub(crate) text_place: Option<Location>,
}

/// What a value is, by YAML's core schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Location,
    pub(crate) value: Node,
}

impl Node {
    /// The word for its kind in messages.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(value) => Value::Number(value.clone()),
            Kind::Text(value) => Value::String(value.clone()),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => {
                let entries = entries.iter();
                let object: Map<String, Value> = entries
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect();
                Value::Object(object)
            }
        }
    }

    fn cost(&self) -> (usize, usize) {
        let sum = |costs: &mut dyn Iterator<Item = (usize, usize)>| {
            costs.fold((1, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1))
        };
        match &self.kind {
            Kind::Text(text) => (1, text.len()),
            Kind::List(items) => sum(&mut items.iter().map(Self::cost)),
            Kind::Map(entries) => sum(&mut entries.iter().map(|entry| entry.value.cost())),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => (1, 0),
        }
    }
}

/// Reads a text. None when it has no tree; the problems say why.
pub(crate) fn read(text: &str, problems: &Problems) -> Option<Node> {
    if text.len() > LONGEST {
        let message = format!(
            "the job has {} bytes; at most {LONGEST} are read",
            text.len()
        );
        problems.error("too_large", "", Location::START, message, None);
        return None;
    }
    if let Some(offset) = text.find('\0') {
        let line = text[..offset].matches('\n').count() + 1;
        let place = Location {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: 1,
        };
        problems.error(
            "syntax",
            "",
            place,
            "the text contains a NUL character",
            None,
        );
        return None;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        problems,
        anchors: HashMap::new(),
        nodes: 0,
        text: 0,
    };
    builder.document().ok()
}

/// Reading ended early; the problem was reported.
struct Stop;

struct Builder<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    problems: &'a Problems,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text: usize,
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
        self.problems
            .error("empty", "", Location::START, "the text holds no job", hint);
        Err(Stop)
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        let mut event = self.parser.next_event();
        while matches!(event, Some(Ok((Event::Comment(..), _)))) {
            event = self.parser.next_event();
        }
        match event {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let place = location(error.marker());
                let message = format!("this is not YAML: {}", error.info());
                let hint = "check indentation, quotes and brackets here and just above".to_owned();
                self.problems
                    .error("syntax", "", place, message, Some(hint));
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Stop> {
        if depth > DEEPEST {
            let message = format!("values lie more than {DEEPEST} deep in each other");
            return self.fail("too_deep", span, message, None);
        }
        self.spend(1, 0, span)?;
        let place = location(&span.start);
        let (kind, anchor, text_place) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(0, text.len(), span)?;
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let text_place = block.then_some(place);
                (scalar(&text, style, tag.as_deref()), anchor, text_place)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor, None),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor, None),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => {
                return self.fail(
                    "syntax",
                    span,
                    "something else than a value stands here".to_owned(),
                    None,
                );
            }
        };
        let node = Node {
            kind,
            place,
            text_place,
        };
        if anchor > 0 {
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
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Kind::Map(entries));
            }
            let key = self.node(event, &span, depth + 1)?;
            let key_place = key.place;
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            let key = match key.kind {
                Kind::Text(text) => text,
                Kind::Number(number) => number.to_string(),
                Kind::Bool(value) => value.to_string(),
                _ => {
                    let message = "a key must be text";
                    self.problems.error("bad_key", "", key_place, message, None);
                    continue;
                }
            };
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => duplicate(self.problems, &key, key_place, first.key_place),
                None => entries.push(Entry {
                    key,
                    key_place,
                    value,
                }),
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Node, Stop> {
        let Some(mut node) = self.anchors.get(&anchor).cloned() else {
            let message = "this alias stands inside of what it names".to_owned();
            return self.fail("bad_alias", span, message, None);
        };
        let (nodes, text) = node.cost();
        self.spend(nodes, text, span)?;
        node.place = location(&span.start);
        Ok(node)
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
        let hint = Some("use fewer aliases".to_owned());
        self.fail("too_large", span, message, hint)
    }

    fn fail<T>(
        &self,
        code: &'static str,
        span: &Span,
        message: String,
        hint: Option<String>,
    ) -> Result<T, Stop> {
        self.problems
            .error(code, "", location(&span.start), message, hint);
        Err(Stop)
    }
}

/// Reports a key that is given twice.
pub(crate) fn duplicate(problems: &Problems, key: &str, place: Location, first: Location) {
    let message = format!(
        "`{key}` is given twice; the first stands in line {}",
        first.line
    );
    let hint = Some("keep one of them".to_owned());
    problems.error("duplicate_key", &format!("/{key}"), place, message, hint);
}

fn location(marker: &granit_parser::Marker) -> Location {
    let from_one = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Location {
        line: from_one(marker.line().max(1)),
        column: from_one(marker.col() + 1),
    }
}

/// A scalar by YAML's core schema. Numbers that JSON can't hold without loss,
/// and such with leading zeros, stay text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
    if style != ScalarStyle::Plain || is_text {
        return Kind::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => number(text).map_or_else(|| Kind::Text(text.to_owned()), Kind::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok().map(Number::from);
    }
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hexadecimal, 16).ok().map(Number::from);
    }
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let plain = text.strip_prefix('+').unwrap_or(text);
    if leading_zero {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return plain
            .parse::<i64>()
            .map(Number::from)
            .or_else(|_| plain.parse::<u64>().map(Number::from))
            .ok();
    }
    let is_float = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if !is_float || digits.len() > 17 {
        return None;
    }
    plain.parse::<f64>().ok().and_then(Number::from_f64)
}
