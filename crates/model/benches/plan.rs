//! What one search of the planner costs, by the kind of schedule.
//!
//! `cargo bench -p jobcell-model`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints and may panic"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use jobcell_model::plan::{Calendar, Calendars, Plan};
use jobcell_model::schedule::{Schedule, Trigger};
use jobcell_model::{CatchUp, CatchUpPolicy};

const EXPRESSIONS: [&str; 10] = [
    "* * * * *",
    "* * * * * *",
    "*/5 * * * *",
    "30 2 * * *",
    "0 9 * * MON-FRI",
    "0 0 L * *",
    "0 0 29 2 *",
    "*/5 0 29 2 *",
    "0 0 29 2 +MON",
    "0 0 * 2 MON#5",
];

fn main() {
    let zone = chrono_tz::Europe::Berlin;
    println!("{:<28}{:>12}{:>12}{:>12}", "", "make", "next", "worst next");
    for expression in EXPRESSIONS {
        let schedule = schedule(Trigger::Cron(expression.to_owned()), zone);
        row(expression, schedule, &Calendars::new());
    }
    let every = Trigger::Interval(Duration::from_secs(90));
    row("every 90 s", schedule(every, zone), &Calendars::new());
    calendars(zone);
    catching_up(zone);
}

fn schedule(trigger: Trigger, timezone: Tz) -> Schedule {
    Schedule {
        trigger,
        timezone,
        start_date: None,
        end_date: None,
        jitter: Duration::ZERO,
        exclude: Vec::new(),
    }
}

fn start() -> DateTime<Utc> {
    "2026-10-01T12:34:56Z".parse().unwrap()
}

fn row(name: &str, schedule: Schedule, calendars: &Calendars) {
    let schedules = [schedule];
    let make = mean(200, || {
        black_box(Plan::new(&schedules, b"job", start(), calendars).unwrap());
    });
    let plan = Plan::new(&schedules, b"job", start(), calendars).unwrap();
    let (mut after, mut worst, mut sum, mut count) = (start(), Duration::ZERO, Duration::ZERO, 0);
    while count < 5000 {
        let before = Instant::now();
        let found = plan.next_after(black_box(after));
        let took = before.elapsed();
        let Some(firing) = found else { break };
        (sum, worst, count) = (sum + took, worst.max(took), count + 1);
        after = firing.due;
    }
    let next = sum / count.max(1);
    println!("{name:<28}{make:>12.2?}{next:>12.2?}{worst:>12.2?}");
}

fn mean(times: u32, mut what: impl FnMut()) -> Duration {
    let before = Instant::now();
    (0..times).for_each(|_| what());
    before.elapsed() / times
}

fn calendars(zone: Tz) {
    let calendar = |windows: &[&str]| {
        let windows = windows.iter().map(|window| window.parse().unwrap());
        let calendar = Calendar {
            windows: windows.collect(),
            ..Calendar::default()
        };
        Calendars::from([("quiet".to_owned(), Arc::new(calendar))])
    };
    let quiet = |expression: &str| Schedule {
        exclude: vec!["quiet".to_owned()],
        ..schedule(Trigger::Cron(expression.to_owned()), zone)
    };
    row(
        "* * * * * outside nights",
        quiet("* * * * *"),
        &calendar(&["* 22:00-06:00"]),
    );
    let nothing = calendar(&["* 00:00-24:00"]);
    let plan = Plan::new(&[quiet("* * * * *")], b"job", start(), &nothing).unwrap();
    let took = mean(3, || {
        black_box(plan.next_after(start()));
    });
    println!(
        "{:<28}{:>12}{took:>12.2?}",
        "* * * * * never, to the bound", ""
    );
}

fn catching_up(zone: Tz) {
    let now = start() + chrono::TimeDelta::days(360);
    for (expression, policy, max) in [
        ("* * * * *", CatchUpPolicy::Latest, 1),
        ("* * * * * *", CatchUpPolicy::Latest, 1),
        ("* * * * * *", CatchUpPolicy::All, 100),
        ("* * * 1 * *", CatchUpPolicy::All, 10_000),
    ] {
        let schedule = schedule(Trigger::Cron(expression.to_owned()), zone);
        let plan = Plan::new(&[schedule], b"job", start(), &Calendars::new()).unwrap();
        let window = Duration::from_secs(366 * 86_400);
        let catch_up = CatchUp {
            policy,
            window,
            max,
        };
        let took = mean(3, || {
            black_box(plan.missed(start(), now, &catch_up));
        });
        println!(
            "{:<28}{:>12}{took:>12.2?}",
            format!("{expression}, {max} of a year"),
            ""
        );
    }
}
