//! `jobcell schedule explain`: when a schedule fires, by the planner's own code
//! and without a server. Never waits for any of it.

use chrono::{DateTime, SecondsFormat, Utc};
use jobcell_model::CatchUp;
use jobcell_model::plan::{Calendars, Firing, Plan, Span, zone_database_version};
use jobcell_model::schedule::{Schedule, Trigger};
use serde_json::json;

use super::validate::{read, storeless_engine};
use crate::args::{Explain, Format};
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::problems;

pub(super) fn explain(options: &Explain, config: &Config) -> Result<Exit, Failure> {
    let from = options.from.unwrap_or_else(Utc::now);
    let (plan, catch_up) = match (&options.file, &options.cron) {
        (Some(file), _) => of_file(file, config, from)?,
        (None, cron) => {
            let cron = cron.as_deref().unwrap_or("");
            let plan = of_expression(cron, &options.timezone, from)?;
            (plan, CatchUp::default())
        }
    };
    let span = Span {
        after: from,
        until: options.until.unwrap_or(DateTime::<Utc>::MAX_UTC),
        outage: options.down,
    };
    let firings = plan.forecast(span, &catch_up).take(options.count as usize);
    let firings: Vec<Firing> = firings.collect();
    match options.format {
        Format::Text => print_text(&firings),
        Format::Json => print_json(&firings),
    }
    Ok(Exit::Success)
}

fn of_expression(cron: &str, zone: &str, anchor: DateTime<Utc>) -> Result<Plan, Failure> {
    let timezone = zone.parse().map_err(|_| {
        let hint = "use an IANA name such as Europe/Berlin, or UTC";
        Failure::message(
            Exit::Usage,
            format!("the time zone `{zone}` is not known; {hint}"),
        )
    })?;
    let schedule = Schedule {
        trigger: Trigger::Cron(cron.to_owned()),
        timezone,
        start_date: None,
        end_date: None,
        jitter: std::time::Duration::ZERO,
        exclude: Vec::new(),
    };
    Plan::new(&[schedule], &[], anchor, &Calendars::default())
        .map_err(|error| Failure::new(Exit::InvalidJob, error))
}

fn of_file(
    file: &std::path::Path,
    config: &Config,
    anchor: DateTime<Utc>,
) -> Result<(Plan, CatchUp), Failure> {
    let name = file.display().to_string();
    let invalid = |reason: String| Failure::message(Exit::InvalidJob, format!("{name}: {reason}"));
    let text = read(file).map_err(invalid)?;
    let data = DataFolder::choose(None, config)?;
    let job_types = compose::job_types(config, &data, &databases::configured(config, &data))?;
    let checked = compose::runtime()?.block_on(async {
        let engine = storeless_engine(config, job_types).await?;
        engine.check(&text).await.map_err(|found| {
            let shown = problems::render(&name, &text, &found, false);
            invalid(format!("it is not valid\n\n{shown}"))
        })
    })?;
    let spec = &checked.document.spec;
    if spec.schedules.is_empty() {
        return Err(invalid("it has no `schedule`".to_owned()));
    }
    let (seed, calendars) = (spec.id.as_bytes(), config.calendars());
    let plan = Plan::new(&spec.schedules, seed, anchor, &calendars)
        .map_err(|error| Failure::new(Exit::InvalidJob, error))?;
    Ok((plan, spec.catch_up))
}

fn reasons(firing: &Firing) -> Vec<String> {
    firing.reasons.iter().map(ToString::to_string).collect()
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_text(firings: &[Firing]) {
    for firing in firings {
        let local = firing.local().format("%a %F %T %Z (%:z)");
        let utc = firing.nominal.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let reasons = reasons(firing);
        let why = if reasons.is_empty() {
            String::new()
        } else {
            format!("  {}", reasons.join("; "))
        };
        println!("{utc}  {local}{why}");
    }
    if firings.is_empty() {
        println!("nothing fires any more");
    }
    println!("(zone database {})", zone_database_version());
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_json(firings: &[Firing]) {
    let rows = firings.iter().map(|firing| {
        json!({
            "time": firing.nominal.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            "local_time": firing.local().to_rfc3339_opts(SecondsFormat::AutoSi, false),
            "due": firing.due.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            "timezone": firing.zone.name(),
            "takes_place": firing.takes_place(),
            "reasons": reasons(firing),
        })
    });
    println!("{:#}", serde_json::Value::from_iter(rows));
}
