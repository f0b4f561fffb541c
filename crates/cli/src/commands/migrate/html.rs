//! The report as one web page that needs nothing else: no script, no picture,
//! no other file. What V1 says is text there, never markup.

use super::report::{BrokenRow, Job, Report, State};
use super::text;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:.3rem .6rem;text-align:left;vertical-align:top}\
pre{background:#f3f3f3;padding:.6rem;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}\
.broken{color:#a00}ul{margin:.2rem 0;padding-left:1.2rem}";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let mut page = Page::default();
    let title = if report.dry_run {
        "Migration from V1 (dry run)"
    } else {
        "Migration from V1"
    };
    page.markup(&format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
    ));
    page.element("p", &report.time.to_rfc3339());
    page.element("h2", "Summary");
    page.markup("<pre>");
    page.text(&summary(report));
    page.markup("</pre>");
    page.broken(report);
    page.weekdays(report);
    page.jobs(report);
    page.markup("</body></html>\n");
    page.0
}

/// The report without its jobs, which have a table.
fn summary(report: &Report) -> String {
    let text = text::render(report);
    let (mut kept, mut within) = (Vec::new(), false);
    for line in text.lines() {
        match line {
            "Jobs:" | "Broken, not migrated:" => within = true,
            "" => within = false,
            _ => {}
        }
        if !within {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// A page as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Adds what is our own.
    fn markup(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Adds what may be anybody's.
    fn text(&mut self, text: &str) {
        for one in text.chars() {
            match one {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // No page may hold these, however they are written.
                one if one.is_control() && !matches!(one, '\n' | '\t') => {
                    self.0.extend(one.escape_default());
                }
                one => self.0.push(one),
            }
        }
    }

    fn element(&mut self, name: &str, text: &str) {
        self.markup(&format!("<{name}>"));
        self.text(text);
        self.markup(&format!("</{name}>"));
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = &'a str>) {
        self.markup("<ul>");
        for item in items {
            self.element("li", item);
        }
        self.markup("</ul>");
    }

    fn broken(&mut self, report: &Report) {
        if report.broken.is_empty() {
            return;
        }
        self.element("h2", "Broken, not migrated");
        for row in &report.broken {
            self.broken_row(row);
        }
    }

    fn broken_row(&mut self, row: &BrokenRow) {
        self.markup("<h3 class=\"broken\">");
        self.text(row.name.as_deref().unwrap_or("(no name)"));
        self.markup("</h3>");
        let id = row.job_id.as_deref().unwrap_or("none");
        self.element("p", &format!("job_id: {id}"));
        self.list(row.reasons.iter().map(String::as_str));
        if row.keepable {
            self.element("p", "--keep-broken migrates it disabled, without this.");
        }
        self.markup("<details><summary>The row in V1, without passwords</summary>");
        self.element("pre", &format!("{:#}", row.raw));
        self.markup("</details>");
    }

    fn weekdays(&mut self, report: &Report) {
        let differ: Vec<&Job> = report
            .jobs
            .iter()
            .filter(|job| job.weekdays.is_some())
            .collect();
        if differ.is_empty() {
            return;
        }
        self.element("h2", "Weekdays that have two readings");
        self.markup("<table><tr><th>Job</th><th>If 0 is Sunday</th><th>If 0 is Monday</th></tr>");
        for job in differ {
            let Some(weekdays) = &job.weekdays else {
                continue;
            };
            self.markup("<tr>");
            self.element("td", &format!("{} ({})", job.name, weekdays.timezone));
            for reading in [&weekdays.sunday, &weekdays.monday] {
                self.markup("<td>");
                self.element("code", &reading.expression);
                self.list(reading.next.iter().map(String::as_str));
                self.markup("</td>");
            }
            self.markup("</tr>");
        }
        self.markup("</table>");
    }

    fn jobs(&mut self, report: &Report) {
        if report.jobs.is_empty() {
            return;
        }
        self.element("h2", "Jobs");
        self.markup("<table><tr><th>Job</th><th>Id</th><th>Type</th><th>State</th><th>What was decided</th></tr>");
        for job in &report.jobs {
            self.markup("<tr>");
            self.element("td", &job.name);
            self.element("td", &job.id);
            self.element("td", job.job_type);
            let state = match (job.state, report.dry_run) {
                (State::Added, false) => "migrated",
                (State::Added, true) => "would be migrated",
                (State::Present, _) => "there already",
            };
            let off = if job.enabled { "" } else { ", disabled" };
            self.element("td", &format!("{state}{off}"));
            self.markup("<td>");
            let notes = job.notes.iter().map(|note| match note.key.as_str() {
                "" => note.text.clone(),
                key => format!("{key}: {}", note.text),
            });
            let notes: Vec<String> = job.reasons.iter().cloned().chain(notes).collect();
            self.list(notes.iter().map(String::as_str));
            self.markup("</td></tr>");
        }
        self.markup("</table>");
    }
}
