//! Cron expressions: reading them, and whether they can fire at all.
//! Numeric weekdays count from Sunday: 0 and 7 are both Sunday.

use chrono::{DateTime, TimeZone, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// An expression that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It is no cron expression.
    #[error("`{expression}` is no cron expression: {reason}")]
    Syntax {
        /// What was given.
        expression: String,
        /// What the parser says.
        reason: String,
    },
    /// No instant ever matches it.
    #[error("`{expression}` never fires: there is no such date")]
    Never {
        /// What was given.
        expression: String,
    },
}

/// Reads an expression of 5 fields, of 6 with leading seconds, or a name such
/// as `@daily`.
///
/// # Errors
/// When it can't be read, or never fires.
pub fn parse(expression: &str) -> Result<Cron, CronError> {
    let expression = expression.trim();
    let syntax = |reason: String| CronError::Syntax {
        expression: expression.to_owned(),
        reason,
    };
    let fields = expression.split_whitespace().count();
    if !expression.starts_with('@') && !(5..=6).contains(&fields) {
        return Err(syntax(format!(
            "it has {fields} fields; write minute, hour, day, month and weekday, with seconds before them if need be"
        )));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build();
    let cron = parser
        .parse(expression)
        .map_err(|error| syntax(error.to_string()))?;
    if can_fire(&cron) {
        Ok(cron)
    } else {
        Err(CronError::Never {
            expression: expression.to_owned(),
        })
    }
}

/// Looks for one instant. The search ends by itself at the year 5000, and
/// starts late enough that this is soon: 400 years hold every calendar.
fn can_fire(cron: &Cron) -> bool {
    let start: Option<DateTime<Utc>> = Utc.with_ymd_and_hms(4590, 1, 1, 0, 0, 0).single();
    start.is_some_and(|start| cron.find_next_occurrence(&start, true).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cron_reads() {
        for expression in [
            "0 */6 * * *",
            "0 2 * * 0",
            "0 2 * * 7",
            "*/15 * * * * *",
            "0 0 12 * * ?",
            "@daily",
            "@hourly",
            "0 9 * * MON-FRI",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 5#2",
            "0,30 2 * * *",
            "0 0 29 2 *",
        ] {
            assert!(
                parse(expression).is_ok(),
                "{expression}: {:?}",
                parse(expression).err()
            );
        }
    }

    #[test]
    fn refuses_what_it_can_not_read() {
        for expression in [
            "",
            "* * * *",
            "61 * * * *",
            "* * * * * * *",
            "every day",
            "@sometimes",
            "0 25 * * *",
        ] {
            assert!(
                matches!(parse(expression), Err(CronError::Syntax { .. })),
                "{expression}"
            );
        }
    }

    #[test]
    fn refuses_what_never_fires_at_once() {
        let before = std::time::Instant::now();
        for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * * 31 2 *"] {
            assert!(
                matches!(parse(expression), Err(CronError::Never { .. })),
                "{expression}"
            );
        }
        assert!(before.elapsed().as_secs() < 5, "{:?}", before.elapsed());
    }
}
