//! Rows of any kind: each is migrated or reported, never both, never neither;
//! no script loses a byte; nothing panics.

use std::collections::HashSet;

use jobcell_migrate::{Converted, Options, Outcome, V1Job, Weekdays, convert_all};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::support::{options, read, types};

/// Text with what breaks writers of YAML.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9 ]{0,6}",
        2 => Just("\n".to_owned()),
        2 => Just("\r\n".to_owned()),
        1 => Just("\t".to_owned()),
        1 => Just("  ".to_owned()),
        2 => "[-#:|>'\"\\\\&*!%@`{}\\[\\],?=~<$.]{1,3}",
        1 => any::<char>().prop_map(String::from),
        1 => prop::sample::select(vec!["\u{0}", "\u{1b}", "\u{7f}", "\u{85}", "\u{2028}", "\u{feff}", "\u{fffe}", "😀", "é"])
            .prop_map(str::to_owned),
        1 => prop::sample::select(vec!["---", "...", "yes", "null", "~", "0x1F", "1e3", "007", "- a", "k: v", " #c"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn cron() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        3 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        3 => (0_u8..8).prop_map(|number| number.to_string()),
        1 => (0_u8..60, 0_u8..60).prop_map(|(first, last)| format!("{first}-{last}")),
        1 => (0_u8..8, 0_u8..9).prop_map(|(first, step)| format!("{first}/{step}")),
        1 => (0_u8..9).prop_map(|step| format!("*/{step}")),
        1 => "[0-9*?,/#LW-]{1,6}",
        1 => prop::sample::select(vec!["MON-FRI", "L", "last", "1,3,5", "5#2", "5L", "1-5", "JAN"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(field, 4..8).prop_map(|fields| fields.join(" "))
}

/// An expression that is mostly right.
fn likely_cron() -> impl Strategy<Value = String> {
    let weekday = prop_oneof![
        3 => "[0-7]",
        3 => prop::sample::select(vec!["1-5", "0-4", "*/2", "1,3,5", "0,6", "2/2", "5L", "5#2", "MON-FRI", "?", "*"])
            .prop_map(str::to_owned),
    ];
    let day = prop::sample::select(vec!["*", "?", "1", "1-7", "1/5", "L", "15W"]);
    let clock = prop::sample::select(vec!["0", "*/15", "0/10", "5/10", "30", "1,31"]);
    let hour = prop::sample::select(vec!["*", "9", "8-18", "0/2", "2"]);
    let fields = (any::<bool>(), clock, hour, day, weekday);
    fields.prop_map(|(seconds, minute, hour, day, weekday)| {
        let seconds = if seconds { "0 " } else { "" };
        format!("{seconds}{minute} {hour} {day} * {weekday}")
    })
}

fn zone() -> impl Strategy<Value = Value> {
    let good = ["UTC", "Europe/London", "america/new_york", "Asia/Kolkata"];
    prop_oneof![
        8 => prop::sample::select(good.to_vec()).prop_map(Value::from),
        1 => prop::sample::select(vec![json!("Mars/X"), json!(""), json!(null), json!(7)]),
    ]
}

/// A type and an expression that mostly fit each other.
fn columns() -> impl Strategy<Value = (Value, Value)> {
    let of = |kind: &'static str| move |text: String| (json!(kind), json!(text));
    let any_kind = prop::sample::select(vec![
        json!("cron"),
        json!("Interval"),
        json!("once"),
        json!("x"),
        json!(null),
    ]);
    prop_oneof![
        4 => likely_cron().prop_map(of("cron")),
        2 => "[0-9]{1,2}d [0-9]{1,2}h 0m 0s".prop_map(of("interval")),
        2 => "20(2[4-7])-0[1-9]-[0-2][1-9]T[0-1][0-9]:[0-5]0:00Z?".prop_map(of("date")),
        2 => (any_kind, expression()),
        2 => Just((json!("cron"), json!(null))),
    ]
}

fn expression() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => cron().prop_map(Value::from),
        3 => likely_cron().prop_map(Value::from),
        2 => "[0-9]{1,3}[wdhms] ?[0-9]{0,3}[dhms]?".prop_map(Value::from),
        2 => "20(2[0-9]|30)-(0[1-9]|1[0-3])-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?(Z|[+]02:00)?".prop_map(Value::from),
        1 => value(),
    ]
}

fn schedule() -> impl Strategy<Value = Value> {
    let kinds = vec![
        json!("cron"),
        json!("interval"),
        json!("date"),
        json!("Once"),
        json!("x"),
        json!(null),
    ];
    let interval = prop::collection::btree_map(
        prop::sample::select(vec![
            "weeks", "days", "hours", "minutes", "seconds", "months",
        ]),
        scalar(),
        0..3,
    );
    let keys = (
        prop::sample::select(kinds),
        expression(),
        interval,
        expression(),
        zone(),
        value(),
        0_u8..32,
    );
    let schedule = keys.prop_map(|(kind, cron, interval, date, zone, odd, which)| {
        let mut keys = Map::from_iter([("type".to_owned(), kind), ("timezone".to_owned(), zone)]);
        let mut add = |bit: u8, key: &str, value: Value| {
            if which & bit != 0 {
                keys.insert(key.to_owned(), value);
            }
        };
        add(1, "cron", cron);
        add(2, "interval", json!(interval));
        add(4, "run_date", date.clone());
        add(8, "start_time", date);
        add(16, "local_time", odd);
        Value::Object(keys)
    });
    prop_oneof![6 => schedule, 1 => value()]
}

fn parameters() -> impl Strategy<Value = Value> {
    let argument = prop_oneof![
        3 => "-[A-Za-z]{1,5}",
        3 => "[A-Za-z0-9]{1,5}",
        1 => "['\"]?[a-z]{0,3}['\"]?",
        1 => text(),
    ];
    prop_oneof![
        4 => prop::collection::vec(argument, 0..6).prop_map(|items| json!(items)),
        2 => prop::collection::btree_map("[A-Za-z]{1,5}", value(), 0..4).prop_map(|members| json!(members)),
        2 => prop::collection::vec(("[A-Za-z]{1,5}", value()), 0..4).prop_map(|entries| {
            entries.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        }),
        1 => value(),
    ]
}

/// A configuration in one of the five shapes, with odd values here and there.
fn configuration() -> impl Strategy<Value = Value> {
    let script = prop_oneof![6 => text().prop_map(Value::from), 1 => value()];
    let number = prop_oneof![9 => (1_u32..2000).prop_map(Value::from), 1 => scalar()];
    let usual = (
        script,
        parameters(),
        schedule(),
        value(),
        number,
        0_u8..12,
        0_u16..256,
    );
    let shaped = usual.prop_map(
        |(script, parameters, schedule, odd, number, shape, which)| {
            let mut flat = Map::new();
            let mut add = |bit: u16, key: &str, value: &Value| {
                if which & bit != 0 {
                    flat.insert(key.to_owned(), value.clone());
                }
            };
            add(1, "parameters", &parameters);
            add(2, "schedule", &schedule);
            add(4, "metadata", &odd);
            add(8, "timeout", &number);
            add(16, "max_retries", &number);
            add(32, "run_as", &odd);
            add(64, "working_directory", &json!("C:\\Work"));
            add(128, "surprise", &odd);
            let nested = json!({
                "basic": flat.clone(), "schedule": schedule,
                "powershell": { "script_content": script, "parameters": parameters },
                "sql": { "query": script, "connection_name": number.to_string() },
            });
            match shape {
                0 => return nested,
                1 => return json!({}),
                2..8 => flat.insert("script_content".to_owned(), script.clone()),
                8 => flat.insert("job_id".to_owned(), odd),
                _ => flat.insert("script".to_owned(), script.clone()),
            };
            flat.insert("sql_query".to_owned(), script);
            Value::Object(flat)
        },
    );
    let shaped = shaped.boxed();
    let text = shaped
        .clone()
        .prop_map(|shaped| Value::from(shaped.to_string()));
    prop_oneof![8 => text, 2 => shaped, 1 => text_value(), 1 => Just(Value::Null)]
}

fn text_value() -> impl Strategy<Value = Value> {
    text().prop_map(Value::from)
}

fn row() -> impl Strategy<Value = Map<String, Value>> {
    let ids = prop_oneof![
        3 => (0_u8..4).prop_map(|last| json!(format!("3f2504e0-4f89-41d3-9a0c-0305e82c330{last}"))),
        1 => scalar(),
    ];
    let names = prop_oneof![2 => prop::sample::select(vec![json!("Same"), json!("same"), json!("Same (2)")]), 3 => text_value(), 1 => scalar()];
    let types = prop_oneof![
        8 => prop::sample::select(vec![json!("powershell"), json!("SQL"), json!("PowerShell")]),
        1 => prop::sample::select(vec![json!("agent"), json!(null)]),
    ];
    let switches = prop::sample::select(vec![
        json!(true),
        json!(1),
        json!("false"),
        json!(null),
        json!("?"),
    ]);
    let all = (
        ids,
        names,
        types,
        configuration(),
        scalar(),
        (columns(), switches, zone(), any::<bool>()),
        text(),
    );
    all.prop_map(
        |(
            id,
            name,
            kind,
            configuration,
            odd,
            ((schedule, expression), enabled, zone, upper),
            text,
        )| {
            let row = json!({
                "job_id": id, "name": name, "job_type": kind, "configuration": configuration,
                "enabled": enabled, "description": text, "created_date": odd, "created_by": odd,
                "schedule_enabled": enabled, "schedule_type": schedule,
                "schedule_expression": expression, "timezone": zone,
            });
            let columns = row.as_object().cloned().unwrap_or_default().into_iter();
            columns
                .map(|(key, value)| (if upper { key.to_uppercase() } else { key }, value))
                .collect()
        },
    )
}

/// The scripts that V1's row holds, in any of its places.
fn scripts(row: &V1Job) -> HashSet<String> {
    let text = row.configuration.as_deref().unwrap_or_default();
    let mut configuration: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}').trim()).unwrap_or_default();
    if let Some(inner) = configuration
        .as_str()
        .and_then(|inner| serde_json::from_str(inner).ok())
    {
        configuration = inner;
    }
    let places = [
        "/script_content",
        "/script",
        "/sql_query",
        "/query",
        "/powershell/script_content",
        "/sql/query",
    ];
    let found = places
        .iter()
        .filter_map(|place| configuration.pointer(place)?.as_str());
    found.map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn every_row_is_migrated_or_reported(
        rows in prop::collection::vec(row(), 1..6),
        monday in any::<bool>(),
        keep_broken in any::<bool>(),
    ) {
        let types = types();
        let weekdays = if monday { Weekdays::Monday } else { Weekdays::Sunday };
        let options = Options { weekdays, keep_broken, ..options(&types) };
        let jobs: Vec<V1Job> = rows.iter().map(V1Job::from_row).collect();
        let report = convert_all(jobs.clone(), &options);
        prop_assert_eq!(report.outcomes.len(), rows.len());
        let (mut keys, mut names, mut ids) = (HashSet::new(), HashSet::new(), HashSet::new());
        for (job, outcome) in jobs.iter().zip(&report.outcomes) {
            match outcome {
                Outcome::Broken(broken) => {
                    prop_assert!(!broken.reasons.is_empty());
                    prop_assert_eq!(&broken.raw, &job.raw);
                    prop_assert!(!(broken.keepable && keep_broken));
                }
                Outcome::Migrated(converted) => {
                    let document = read(&converted.yaml, &types);
                    let own = &document.configuration;
                    let script = own.get("inlineScript").or_else(|| own.get("query"));
                    let script = script.and_then(Value::as_str).unwrap_or_default();
                    prop_assert!(scripts(job).contains(script), "{script:?} is not in {:?}", job.raw);
                    prop_assert!(!converted.enabled || converted.broken.is_empty());
                    prop_assert_eq!(document.spec.enabled, converted.enabled);
                    prop_assert!(keys.insert(converted.key.clone()));
                    prop_assert!(names.insert(converted.name.clone()));
                    prop_assert!(ids.insert(converted.job_id));
                }
            }
        }
        prop_assert_eq!(report.migrated().count() + report.broken().count(), rows.len());
    }

    #[test]
    fn a_script_is_refused_for_nul_characters_and_blanks_alone(script in text()) {
        let types = types();
        let row = json!({ "job_id": "a", "name": "b", "job_type": "sql", "configuration": { "query": script } });
        let report = convert_all(vec![V1Job::from_row(row.as_object().unwrap())], &options(&types));
        let blank = script.chars().all(|one| one.is_whitespace() || one == '\u{feff}');
        let fine = !script.contains('\0') && !blank;
        prop_assert_eq!(report.migrated().count(), usize::from(fine), "{:?}", report);
    }
}

#[test]
fn random_rows_come_to_every_end() {
    let mut runner = TestRunner::deterministic();
    let types = types();
    let options = Options {
        keep_broken: true,
        ..options(&types)
    };
    let mut seen = [0; 5];
    for _ in 0..500 {
        let row = row().new_tree(&mut runner).unwrap().current();
        let report = convert_all(vec![V1Job::from_row(&row)], &options);
        let jobs: Vec<_> = report.migrated().collect();
        let count = |fits: fn(&Converted) -> bool| jobs.iter().filter(|job| fits(job)).count();
        seen[0] += report.broken().count();
        seen[1] += count(|job| job.broken.is_empty());
        seen[2] += count(|job| !job.broken.is_empty());
        seen[3] += count(|job| job.yaml.contains("\nschedule:"));
        seen[4] += count(|job| job.weekday_difference.is_some());
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}
