//! Figures and the table that shows them.

use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

/// Durations of one thing done many times.
pub(crate) struct Timings(Vec<Duration>);

impl Timings {
    pub(crate) fn new(mut all: Vec<Duration>) -> Self {
        assert!(!all.is_empty(), "nothing was measured");
        all.sort_unstable();
        Self(all)
    }

    /// What lies below this share of them.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an index into a few thousand"
        )]
        let index = (self.0.len() as f64 * share) as usize;
        self.0[index.min(self.0.len() - 1)]
    }

    /// A floor made of two parts.
    pub(crate) fn sum_of_medians(one: &Self, other: &Self) -> Self {
        Self::new(vec![one.quantile(0.5) + other.quantile(0.5)])
    }
}

/// How writes shared commits.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub(crate) struct Commits {
    pub(crate) commits: u64,
    pub(crate) writes: u64,
}

/// A line of the table.
pub(crate) struct Row([String; 5]);

impl Row {
    /// A duration against its floor.
    pub(crate) fn ratio(what: &str, got: &Timings, floor: &Timings, name: &str, goal: f64) -> Self {
        let (half, floor_half) = (got.quantile(0.5), floor.quantile(0.5));
        let ratio = half.as_secs_f64() / floor_half.as_secs_f64();
        Self([
            what.to_owned(),
            format!("p50 {half:.1?}, p99 {:.1?}", got.quantile(0.99)),
            format!("{name}: p50 {floor_half:.1?}"),
            format!("{ratio:.3} ×"),
            format!("≤ {goal} ×"),
        ])
    }

    /// A rate against its floor.
    pub(crate) fn rate(what: &str, got: f64, floor: f64, goal: f64) -> Self {
        Self([
            what.to_owned(),
            format!("{got:.0}/s"),
            format!("axum echo: {floor:.0}/s"),
            format!("{:.3}", got / floor),
            format!("≥ {goal}"),
        ])
    }

    /// Runs for each fsync; a run is two writes.
    pub(crate) fn sharing(clients: usize, before: Commits, after: Commits) -> Self {
        let commits = (after.commits - before.commits).max(1);
        let writes = after.writes - before.writes;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let shared = writes as f64 / commits as f64;
        let goal = if clients == 64 { "≥ 16" } else { "–" };
        Self([
            format!("runs that share one fsync, {clients} clients"),
            format!("{shared:.1}"),
            format!("{writes} writes in {commits} commits"),
            "–".to_owned(),
            goal.to_owned(),
        ])
    }

    /// A figure without a floor.
    pub(crate) fn plain(what: &str, got: String, goal: &str) -> Self {
        Self([
            what.to_owned(),
            got,
            "–".to_owned(),
            "–".to_owned(),
            goal.to_owned(),
        ])
    }
}

/// Prints the table as Markdown.
#[expect(clippy::print_stdout, reason = "the bench's result")]
pub(crate) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["what", "measured", "floor in the same run", "ratio", "goal"]);
    for row in rows {
        table.add_row(row.0.iter());
    }
    println!("{table}");
}
