//! A row of each kind that V1 had, and the YAML that comes out, as reviewed.

use std::fs;

use jobcell_migrate::{Options, Weekdays};
use serde_json::{Value, json};

use crate::support::{
    configured, convert, migrated, options, read, repository, row, scheduled, types,
};

/// Compares the job of a row with a golden file.
#[track_caller]
fn golden(name: &str, row: &Value) -> String {
    let types = types();
    compared(name, migrated(row, &options(&types)).yaml)
}

/// Compares with a golden file, or writes it where that is asked for.
#[track_caller]
fn compared(name: &str, found: String) -> String {
    let types = types();
    read(&found, &types);
    let file = repository()
        .join("crates/migrate/tests/golden")
        .join(format!("{name}.yaml"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        wanted == found,
        "{name} differs; run the tests once with UPDATE_GOLDEN=1 and read the difference:\n{found}"
    );
    found
}

fn script_of(yaml: &str) -> Value {
    let document = read(yaml, &types());
    let configuration = document.configuration;
    configuration
        .get("inlineScript")
        .or_else(|| configuration.get("query"))
        .cloned()
        .unwrap()
}

#[test]
fn shape_a_nested_powershell() {
    let configuration = json!({
        "basic": { "timeout": 600, "max_retries": 3, "retry_delay": 60, "run_as": "DOMAIN\\user" },
        "powershell": {
            "script_content": "param($Message, $Count)\n1..$Count | ForEach-Object { $Message }\n",
            "script_path": "", "execution_policy": "RemoteSigned",
            "working_directory": "C:\\Work", "parameters": ["-Message", "Scheduled Test", "-Count", "2"],
        },
        "schedule": { "type": "cron", "cron": "0 0 12 * * ?", "timezone": "Europe/London" },
    });
    golden(
        "a-nested-powershell",
        &configured("powershell", &configuration),
    );
}

#[test]
fn shape_a_nested_sql() {
    let configuration = json!({
        "basic": { "timeout": 300, "max_retries": 3, "retry_delay": 60, "run_as": "" },
        "sql": { "connection_name": "sales", "query": "SELECT 1;", "query_timeout": 300, "max_rows": 1000 },
        "schedule": { "type": "cron", "cron": "0 0 8 * * 1-5", "timezone": "America/New_York" },
    });
    let row = row(
        json!({ "name": "Daily Sales Report", "job_type": "SQL", "configuration": configuration.to_string(), "description": "Every working day." }),
    );
    golden("a-nested-sql", &row);
}

#[test]
fn shape_c_flat() {
    let configuration = json!({
        "type": "powershell", "timeout": 900, "max_retries": 0, "retry_delay": 45,
        "script_content": null, "script_path": "C:\\Scripts\\MyScript.ps1",
        "execution_policy": "bypass", "working_directory": null, "parameters": [],
    });
    let mut row = scheduled("interval", "1d 2h 0m 0s", "Europe/London");
    row["configuration"] = configuration.to_string().into();
    row["name"] = "Script file".into();
    golden("c-flat-script-path", &row);
}

#[test]
fn shape_c_flat_sql() {
    let configuration = json!({
        "type": "sql", "timeout": 900, "max_retries": 3, "retry_delay": 45,
        "sql_query": "UPDATE a\n  SET b = 1\nWHERE c = 'x';\n", "connection_name": "default",
    });
    let mut row = scheduled("cron", "0 0 9 * * 1-5", "Europe/London");
    row["configuration"] = configuration.to_string().into();
    row["job_type"] = "sql".into();
    golden("c-flat-sql", &row);
}

#[test]
fn shape_d_full_dump() {
    let configuration = json!({
        "job_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "name": "London Timezone Test Job",
        "description": "", "job_type": "sql", "enabled": true, "timeout": 30, "max_retries": 3,
        "retry_delay": 30, "run_as": null, "sql_query": "SELECT GETDATE()", "connection_name": "system",
        "connection_string": null, "database_name": null, "query_timeout": 300, "fetch_size": 1000,
        "max_rows": 10000, "current_status": "pending", "is_running": false, "retry_count": 0,
        "metadata": { "tags": ["test", "london"], "ratio": 0.300_000_000_000_000_04, "owner": null },
        "schedule": { "type": "interval", "interval": { "days": 0, "hours": 24, "minutes": 0, "seconds": 0 }, "timezone": "Europe/London" },
    });
    golden("d-full-dump", &configured("sql", &configuration));
}

#[test]
fn shape_d_without_a_configuration_column() {
    let row = json!({
        "job_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "name": "System Test SQL Job",
        "job_type": "sql", "sql_query": "SELECT 1 AS one", "connection_name": "default",
        "timeout": 300, "max_retries": 3, "retry_delay": 30, "created_date": "2025-08-26T17:03:11.482113",
    });
    golden("d-of-yaml-storage", &row);
}

#[test]
fn shape_e_mended_by_hand() {
    let configuration =
        json!({ "script": "Write-Host 'P1'", "execution_policy": "RemoteSigned", "timeout": 300 });
    golden(
        "e-mended",
        &row(json!({ "name": "P1", "configuration": configuration.to_string() })),
    );
}

#[test]
fn a_row_with_odd_casing_and_nulls() {
    let row = json!({
        "JOB_ID": "3F2504E0-4F89-41D3-9A0C-0305E82C3301", "Name": "Complex: #1 job. Größe \u{1f600}",
        "JOB_TYPE": "PowerShell", "Configuration": { "Script": "Get-Date" }, "ENABLED": 0,
        "created_date": null, "modified_date": null, "created_by": null,
    });
    golden("odd-casing-and-nulls", &row);
}

#[test]
fn scripts_with_crlf_survive() {
    let script = "param()\r\n  Write-Host \"a\\b\"  \r\n\r\n\tGet-Date\r\n";
    let yaml = golden(
        "crlf",
        &configured(
            "powershell",
            &json!({ "script_content": script, "execution_policy": "Bypass", "max_retries": 0 }),
        ),
    );
    assert_eq!(script_of(&yaml), script);
}

#[test]
fn scripts_that_begin_or_end_oddly_survive() {
    for script in [
        "  indented\nx\n\n",
        "\n\nlate",
        "one line",
        "x\n   \n",
        " ",
        "\ttab\n",
        "a\n\tb\n",
        "a\n  \nb",
        "# only a comment",
        "---\n...\n",
        "\u{feff}Get-Date",
        "a\u{2028}b\u{85}c\nd",
        "a\rb\nc",
        "\u{1b}[31m\nred",
        "'\"\n\\",
        "a\n \n\n",
        "é\u{7f}\n",
        "%YAML 1.2\n",
        "x  \ny  ",
        "\u{e0001}\n\u{fffe}\u{1f600}\n",
        "|\n>\n",
        "a: b\n- c",
        " a\n  b\n",
        "a\n\n\n\n",
    ] {
        if script.trim().is_empty() {
            continue;
        }
        let row = configured("powershell", &json!({ "script_content": script }));
        let yaml = migrated(&row, &options(&types())).yaml;
        assert_eq!(script_of(&yaml), script, "{yaml}");
    }
}

#[test]
fn parameters_of_any_form_have_names() {
    let configuration = json!({
        "script_content": "param($Message, [switch]$Force, $Servers)\n", "max_retries": 0,
        "execution_policy": "Bypass",
        "parameters": ["-Message", "'Hello", "World'", "-Force", "-Path", "C:\\Temp"],
    });
    golden("parameters-argv", &configured("powershell", &configuration));
    let configuration = json!({
        "script_content": "param($Message, $Servers, $Options)\n", "max_retries": 0,
        "execution_policy": "Bypass",
        "parameters": [
            { "name": "Message", "value": "two\nlines" }, { "name": "Servers", "value": ["a", { "b": [1, [true]] }] },
            { "name": "Options", "value": { "yes": "no", "x y": null, "empty": {}, "none": [], "ratio": 1e300 } },
            { "name": "Number", "value": "007" },
        ],
    });
    golden(
        "parameters-objects",
        &configured("powershell", &configuration),
    );
}

#[test]
fn a_time_that_has_gone_by_is_disabled() {
    let yaml = golden(
        "once-past",
        &scheduled("date", "2025-09-01T09:00:00", "Europe/Berlin"),
    );
    assert!(yaml.contains("enabled: false"));
    let yaml = golden(
        "once-future",
        &scheduled("once", "2025-09-10T08:30:00Z", "Europe/Berlin"),
    );
    assert!(yaml.contains("enabled: true"));
}

#[test]
fn cron_with_question_mark_weekday_and_five_fields() {
    golden(
        "cron-question-mark",
        &scheduled("cron", "0 0 0 1 * ?", "UTC"),
    );
    golden(
        "cron-five-fields",
        &scheduled("cron", "0 */4 * * *", "America/New_York"),
    );
    golden(
        "cron-weekday",
        &scheduled("cron", "0 0 9 * * 1-5", "Europe/Berlin"),
    );
}

#[test]
fn a_broken_job_that_is_kept_shows_what_is_missing() {
    let types = types();
    let options = Options {
        keep_broken: true,
        ..options(&types)
    };
    let configuration = json!({
        "script_content": "param($Message)\n$Message\n", "max_retries": 0, "execution_policy": "Bypass",
        "timeout": "soon", "parameters": ["-Message", "Hello", "World"],
    });
    let mut row = scheduled("cron", "0 0 9 * * 1-5", "Mars/Olympus");
    row["configuration"] = configuration.to_string().into();
    compared("kept-disabled", migrated(&row, &options).yaml);
}

#[test]
fn a_clash_and_a_weekday_from_monday_are_told() {
    let types = types();
    let options = Options {
        weekdays: Weekdays::Monday,
        ..options(&types)
    };
    let twin = |last: u8| {
        let mut row = scheduled("cron", "0 0 9 1-7 * 0-4", "Europe/Vienna");
        row["job_id"] = format!("3f2504e0-4f89-41d3-9a0c-0305e82c330{last}").into();
        row["name"] = "V2-Get-Long execution details.".into();
        row
    };
    let report = convert(&[twin(1), twin(2)], &options);
    compared(
        "clash-and-monday",
        report.migrated().nth(1).unwrap().yaml.clone(),
    );
}

#[test]
fn every_golden_file_belongs_to_a_test() {
    let source =
        fs::read_to_string(repository().join("crates/migrate/tests/main/golden.rs")).unwrap();
    for entry in fs::read_dir(repository().join("crates/migrate/tests/golden")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".yaml").unwrap();
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
    }
}
