//! Cron expressions, zones and starts by a seeded generator: the same on every
//! machine. Never anything else than what both Jobcell and cronsim can read.

use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Zones with every kind of change; the rest are drawn from all there are.
const ODD: [&str; 16] = [
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "America/Havana",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "America/St_Johns",
    "Asia/Tehran",
    "Asia/Gaza",
    "America/Caracas",
    "Asia/Pyongyang",
    "Europe/Berlin",
    "America/New_York",
];

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        let range = u64::try_from(most - least + 1).unwrap();
        least + i64::try_from(self.next() % range).unwrap()
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.between(1, 100) <= percent
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[usize::try_from(self.between(0, all.len() as i64 - 1)).unwrap()]
    }

    /// A number, a range, steps, or a list of these.
    fn field(&mut self, least: i64, most: i64) -> String {
        let one = |random: &mut Self| {
            let from = random.between(least, most);
            let to = random.between(from, most);
            match random.between(0, 9) {
                0..=5 => from.to_string(),
                6..=7 => format!("{from}-{to}"),
                8 => format!("{from}-{to}/{}", random.between(1, 5)),
                _ => format!("*/{}", random.between(1, (most - least) / 2 + 1)),
            }
        };
        let parts = if self.chance(25) {
            self.between(2, 4)
        } else {
            1
        };
        let parts: Vec<String> = (0..parts).map(|_| one(self)).collect();
        parts.join(",")
    }

    /// An expression of five fields, mostly with an hour at which clocks change.
    pub(crate) fn expression(&mut self) -> String {
        let minute = if self.chance(20) {
            "*".to_owned()
        } else {
            self.field(0, 59)
        };
        let hour = match self.between(0, 9) {
            0..=2 => "*".to_owned(),
            3..=7 => self.field(0, 3),
            _ => self.field(0, 23),
        };
        let day = match self.between(0, 19) {
            0..=13 => "*".to_owned(),
            14 => "L".to_owned(),
            15 => "LW".to_owned(),
            16 => "L,1,15".to_owned(),
            _ => self.field(1, 28),
        };
        let month = match self.between(0, 19) {
            0..=15 => "*".to_owned(),
            16 => self.pick(&MONTHS).to_owned(),
            17 => "MAR-MAY,OCT".to_owned(),
            _ => self.field(1, 12),
        };
        let weekday = match self.between(0, 19) {
            0..=11 => "*".to_owned(),
            12 => self.pick(&WEEKDAYS).to_owned(),
            13 => "MON-FRI".to_owned(),
            14 => format!("{}#{}", self.between(0, 7), self.between(1, 5)),
            15 => format!("{}L", self.between(0, 7)),
            16 => format!(
                "{},{}#2",
                self.pick(&WEEKDAYS).to_lowercase(),
                self.between(0, 6)
            ),
            17 => format!("*/{}", self.between(1, 4)),
            _ => self.field(0, 7),
        };
        [minute, hour, day, month, weekday].join(" ")
    }

    /// A zone, the odd ones more often.
    pub(crate) fn zone(&mut self) -> Tz {
        if self.chance(60) {
            return self.pick(&ODD).parse().unwrap();
        }
        let all = chrono_tz::TZ_VARIANTS;
        all[usize::try_from(self.between(0, all.len() as i64 - 1)).unwrap()]
    }

    /// A start, mostly within days before a change of the zone's clocks, always
    /// between these years.
    pub(crate) fn start(&mut self, zone: Tz, years: (i32, i32)) -> DateTime<Utc> {
        let edge = |year| {
            Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0)
                .unwrap()
                .timestamp()
        };
        let (first, last) = (edge(years.0), edge(years.1));
        let mut start = self.between(first, last) / 60 * 60;
        if self.chance(85) {
            start = next_change(zone, start, last).unwrap_or(start);
            start -= self.between(-120, 3 * 1440) * 60;
        }
        DateTime::from_timestamp(start.clamp(first, last), 0).unwrap()
    }
}

/// The first minute after `from` with another offset.
fn next_change(zone: Tz, from: i64, until: i64) -> Option<i64> {
    let offset = |at: i64| {
        let at = DateTime::from_timestamp(at, 0).unwrap().naive_utc();
        zone.offset_from_utc_datetime(&at).fix()
    };
    let before = offset(from);
    // Half a day at a time, at most ten years ahead: the rest has no changes.
    let mut steps = (from..until.min(from + 3650 * 86_400)).step_by(43_200);
    let after = steps.find(|at| offset(*at) != before)?;
    (after - 43_200..=after)
        .step_by(60)
        .find(|at| offset(*at) != before)
}
