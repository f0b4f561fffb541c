//! The report for a person at a terminal. Never prints, and passes nothing on
//! that a terminal would obey.

use super::report::{Report, State, Weekdays};
use super::runs::Runs;

/// The report.
pub(crate) fn render(report: &Report) -> String {
    let mut lines = heading(report);
    for remark in &report.remarks {
        lines.push(format!("note: {}", plain(remark)));
    }
    jobs(report, &mut lines);
    broken(report, &mut lines);
    if let Some(runs) = &report.runs {
        history(runs, report.dry_run, &mut lines);
    }
    samples(report, &mut lines);
    connections(report, &mut lines);
    lines.join("\n")
}

fn heading(report: &Report) -> Vec<String> {
    let counts = &report.counts;
    let mut lines = Vec::new();
    if report.dry_run {
        lines.push("Dry run: nothing was written.".to_owned());
    }
    if let Some(from) = &report.from {
        lines.push(format!("V1: {}", plain(from)));
    }
    if let Some(data) = &report.data {
        lines.push(format!("data folder: {}", plain(data)));
    }
    if let Some(server) = &report.server {
        lines.push(format!("server: {}", plain(server)));
    }
    if report.from.is_some() {
        let verb = if report.dry_run {
            "to migrate"
        } else {
            "migrated"
        };
        let mut line = format!(
            "{} jobs in V1: {} {verb}, {} there already, {} broken",
            counts.rows, counts.added, counts.present, counts.broken
        );
        if counts.left_out > 0 {
            push(&mut line, format_args!(", {} left out", counts.left_out));
        }
        if counts.kept_disabled > 0 {
            let kept = counts.kept_disabled;
            push(
                &mut line,
                format_args!("; {kept} broken ones kept disabled"),
            );
        }
        lines.push(line);
    }
    if counts.weekdays_differ > 0 {
        let (count, chosen) = (counts.weekdays_differ, report.weekdays);
        lines.push(format!(
            "{count} jobs fire on other days when a 0 is Monday; it was taken for {chosen} (--weekdays)"
        ));
    }
    if report.changes_nothing() {
        lines.push("Nothing changes: everything that can be migrated is there already.".to_owned());
    }
    lines
}

fn jobs(report: &Report, lines: &mut Vec<String>) {
    if report.jobs.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push("Jobs:".to_owned());
    for job in &report.jobs {
        let state = match (job.state, report.dry_run) {
            (State::Added, false) => "migrated",
            (State::Added, true) => "would be migrated",
            (State::Present, _) => "there already, left as it is",
        };
        let off = if job.enabled { "" } else { ", disabled" };
        let (name, id) = (plain(&job.name), plain(&job.id));
        lines.push(format!("  {name} ({id}, {}): {state}{off}", job.job_type));
        for reason in &job.reasons {
            lines.push(format!("    broken, kept disabled: {}", plain(reason)));
        }
        for note in &job.notes {
            let key = match note.key.as_str() {
                "" => String::new(),
                key => format!("{}: ", plain(key)),
            };
            lines.push(format!("    {key}{}", plain(&note.text)));
        }
        if let Some(weekdays) = &job.weekdays {
            lines.extend(readings(weekdays).map(|line| format!("    {line}")));
        }
    }
}

fn push(line: &mut String, more: std::fmt::Arguments<'_>) {
    line.push_str(&more.to_string());
}

/// The two readings of a job's weekdays.
pub(crate) fn readings(weekdays: &Weekdays) -> impl Iterator<Item = String> {
    let both = [("Sunday", &weekdays.sunday), ("Monday", &weekdays.monday)];
    let lines = both.map(|(day, reading)| {
        let (expression, next) = (plain(&reading.expression), reading.next.join(", "));
        let zone = &weekdays.timezone;
        format!("if 0 is {day}: {expression} ({zone}), next {next}")
    });
    lines.into_iter()
}

fn broken(report: &Report, lines: &mut Vec<String>) {
    if report.broken.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push("Broken, not migrated:".to_owned());
    for row in &report.broken {
        let name = plain(row.name.as_deref().unwrap_or("(no name)"));
        let id = plain(row.job_id.as_deref().unwrap_or("no job_id"));
        lines.push(format!("  {name} ({id})"));
        for reason in &row.reasons {
            lines.push(format!("    {}", plain(reason)));
        }
        if row.keepable {
            lines.push("    --keep-broken migrates it disabled, without this".to_owned());
        }
    }
}

fn history(runs: &Runs, dry_run: bool, lines: &mut Vec<String>) {
    lines.push(String::new());
    let verb = if dry_run { "to migrate" } else { "migrated" };
    lines.push(format!(
        "{} runs in V1: {} {verb}, {} there already",
        runs.rows, runs.added, runs.present
    ));
    for (count, what) in [
        (runs.without_job, "belong to jobs that V1 has no more"),
        (runs.of_broken_jobs, "belong to broken jobs"),
        (runs.left_out, "belong to jobs that were left out"),
        (runs.unreadable, "can't be migrated"),
    ] {
        if count > 0 {
            lines.push(format!("  {count} {what}"));
        }
    }
    for run in &runs.unreadable_rows {
        let id = plain(run.execution_id.as_deref().unwrap_or("(no execution_id)"));
        lines.push(format!("    run {id}: {}", plain(&run.reason)));
    }
    for (note, count) in &runs.notes {
        lines.push(format!("  {count}: {}", plain(note)));
    }
}

fn samples(report: &Report, lines: &mut Vec<String>) {
    if report.samples.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push("Sample jobs:".to_owned());
    for sample in &report.samples {
        let state = match (sample.state, report.dry_run) {
            (State::Added, false) => "added",
            (State::Added, true) => "would be added",
            (State::Present, _) => "there already",
        };
        lines.push(format!("  {} ({}): {state}", sample.name, sample.id));
    }
}

fn connections(report: &Report, lines: &mut Vec<String>) {
    if report.connections.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push("Connections of V1 (passwords are not shown):".to_owned());
    for connection in &report.connections {
        let some = |text: &Option<String>| plain(text.as_deref().unwrap_or("?"));
        let port = connection
            .port
            .map_or(String::new(), |port| format!(":{port}"));
        let user = match (&connection.username, connection.trusted) {
            (Some(user), false) => format!("user {}", plain(user)),
            (_, true) => "the service's Windows account".to_owned(),
            (None, false) => "no user".to_owned(),
        };
        let became = match (&connection.migrated_as, connection.state, &connection.left) {
            (Some(name), Some(State::Present), _) => format!("`{}`, there already", plain(name)),
            (Some(name), _, _) if report.dry_run => format!("would be `{}`", plain(name)),
            (Some(name), _, _) => format!("added as `{}`", plain(name)),
            (None, _, Some(reason)) => format!("NOT ADDED: {}", plain(reason)),
            (None, _, None) => "not added".to_owned(),
        };
        lines.push(format!(
            "  {} ({}): {}{port}/{}, {user}: {became}",
            some(&connection.name),
            some(&connection.connection_id),
            some(&connection.server),
            some(&connection.database),
        ));
    }
}

/// Somebody's text on one line, with nothing that a terminal obeys.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for one in text.chars() {
        let moves = matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if one.is_control() || moves {
            shown.extend(one.escape_default());
        } else {
            shown.push(one);
        }
    }
    shown
}
