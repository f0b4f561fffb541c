//! Writes a job's YAML: keys in the schema's order, scripts as blocks, notes as
//! comments above what they are about. Never decides anything.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::{Number, Value};

use jobcell_model::schedule::{Schedule, Trigger};

use crate::body::Own;
use crate::conduct;
use crate::draft::Draft;
use crate::interval;
use crate::{comment, scalar};

/// Digits up to which V2's reader keeps a fraction as a number.
const DIGITS: usize = 17;

/// A key of the job with its lines, or none.
type Section = (&'static str, String);

/// Writes a job.
pub(crate) fn write(draft: &Draft) -> String {
    let sections = sections(draft);
    let mut text = String::new();
    comment::write("Migrated from V1.", &mut text);
    for note in &draft.notes {
        if sections.iter().all(|(key, _)| *key != note.key) {
            comment::write(&note.text, &mut text);
        }
    }
    for (key, section) in &sections {
        for note in draft.notes.iter().filter(|note| note.key == *key) {
            // A comment without its key below it has to name it.
            let name = if section.is_empty() {
                format!("{key}: ")
            } else {
                String::new()
            };
            comment::write(&format!("{name}{}", note.text), &mut text);
        }
        text.push_str(section);
    }
    text
}

fn sections(draft: &Draft) -> Vec<Section> {
    let some = |text: Option<String>| text.unwrap_or_default();
    let mut sections = vec![
        ("id", line("id", &draft.key)),
        ("name", line("name", &draft.name)),
        (
            "description",
            some(draft.description.as_deref().map(description)),
        ),
        ("type", line("type", draft.kind.name())),
        ("enabled", format!("enabled: {}\n", draft.enabled)),
        (
            "timeout",
            format!("timeout: {}\n", conduct::written(draft.timeout)),
        ),
        ("schedule", some(draft.schedule.as_ref().map(schedule))),
        ("retryPolicy", some(draft.retry.map(retry))),
        ("parameters", parameters(draft)),
    ];
    sections.extend(draft.own.iter().map(own));
    sections.push(("metadata", metadata(draft)));
    sections
}

/// A script is a block even when it has one line: people add more.
fn own(own: &Own) -> Section {
    let Own { key, value, script } = own;
    let text = if *script {
        format!("{key}: {}\n", scalar::lines(value, 0))
    } else {
        line(key, value)
    };
    (*key, text)
}

fn line(key: &str, value: &str) -> String {
    format!("{key}: {}\n", scalar::inline(value))
}

fn description(text: &str) -> String {
    if text.contains('\n') {
        format!("description: {}\n", scalar::lines(text, 0))
    } else {
        line("description", text)
    }
}

fn schedule(schedule: &Schedule) -> String {
    let zone = schedule.timezone;
    let (kind, key, value) = match &schedule.trigger {
        Trigger::Cron(expression) => ("cron", "expression", expression.clone()),
        Trigger::Interval(every) => ("interval", "every", interval::written(*every)),
        Trigger::Once(at) => ("once", "at", instant(*at, zone)),
    };
    let value = match key {
        // A count with its unit is no number, so it needs no quotes.
        "every" => value,
        _ => scalar::inline(&value),
    };
    let mut text = format!("schedule:\n  type: {kind}\n  {key}: {value}\n");
    text.push_str(&format!("  {}", line("timezone", zone.name())));
    for (key, date) in [
        ("startDate", schedule.start_date),
        ("endDate", schedule.end_date),
    ] {
        if let Some(date) = date {
            text.push_str(&format!("  {}", line(key, &instant(date, zone))));
        }
    }
    text
}

fn instant(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone)
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn retry((retries, delay): (u32, Duration)) -> String {
    let delay = conduct::written(delay);
    format!("retryPolicy:\n  maxRetries: {retries}\n  retryDelay: {delay}\n")
}

fn parameters(draft: &Draft) -> String {
    if draft.parameters.is_empty() {
        return String::new();
    }
    let mut text = "parameters:\n".to_owned();
    for parameter in &draft.parameters {
        text.push_str(&format!("  - name: {}\n", scalar::inline(&parameter.name)));
        entry("value", &parameter.value, 4, &mut text);
    }
    text
}

fn metadata(draft: &Draft) -> String {
    let mut text = "metadata:\n".to_owned();
    for (key, value) in &draft.metadata {
        entry(key, value, 2, &mut text);
    }
    text
}

/// A key with its value, and what lies in it, in block style.
fn entry(key: &str, value: &Value, indent: usize, to: &mut String) {
    let margin = " ".repeat(indent);
    to.push_str(&format!("{margin}{}:", scalar::inline(key)));
    behind(value, indent, to);
}

/// A value behind its key or its dash, which stands at `indent`.
fn behind(value: &Value, indent: usize, to: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            to.push('\n');
            for (key, value) in members {
                entry(key, value, indent + 2, to);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            to.push('\n');
            items.iter().for_each(|item| listed(item, indent + 2, to));
        }
        Value::String(text) if text.contains('\n') => {
            to.push_str(&format!(" {}\n", scalar::lines(text, indent)));
        }
        Value::String(text) => to.push_str(&format!(" {}\n", scalar::inline(text))),
        Value::Number(value) => to.push_str(&format!(" {}\n", number(value))),
        Value::Null => to.push_str(" null\n"),
        other => to.push_str(&format!(" {other}\n")),
    }
}

/// A value of a list, whose dash stands at `indent`. What lies in it begins
/// behind the dash.
fn listed(value: &Value, indent: usize, to: &mut String) {
    let mut inner = String::new();
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(key, value)| entry(key, value, indent + 2, &mut inner)),
        Value::Array(items) => items
            .iter()
            .for_each(|item| listed(item, indent + 2, &mut inner)),
        _ => {}
    }
    let margin = " ".repeat(indent);
    if inner.is_empty() {
        to.push_str(&format!("{margin}-"));
        behind(value, indent, to);
    } else {
        to.push_str(&format!("{margin}- {}", inner.trim_start_matches(' ')));
    }
}

/// A number so that V2's reader keeps it as one.
fn number(number: &Number) -> String {
    let text = number.to_string();
    let digits = text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E'));
    if digits.filter(u8::is_ascii_digit).count() <= DIGITS || !number.is_f64() {
        return text;
    }
    number.as_f64().map_or(text, |number| format!("{number:e}"))
}
