//! The keys that a job type adds: checked by its schema, told in sentences.

use jobcell_model::{JobTypeSchema, parse_job};
use serde_json::json;

use crate::support::{problems, read, refused, types};

fn powershell(lines: &str) -> String {
    format!("id: a\nname: A\ntype: PowerShell\n{lines}\n")
}

fn steps(lines: &str) -> String {
    format!("id: a\nname: A\ntype: Steps\nsteps:\n{lines}\n")
}

#[test]
fn what_a_mode_needs_must_be_there() {
    let inline = powershell("executionMode: inline");
    refused(
        &inline,
        "missing_key",
        (1, 1),
        "/inlineScript",
        &["`inlineScript` is missing", "The script itself."],
    );
    refused(
        &powershell("executionMode: script"),
        "missing_key",
        (1, 1),
        "/scriptPath",
        &[],
    );
    refused(
        &powershell("inlineScript: x"),
        "missing_key",
        (1, 1),
        "/executionMode",
        &[],
    );
    let nothing = powershell("executionMode: inline\ninlineScript:");
    refused(
        &nothing,
        "empty",
        (5, 13),
        "/inlineScript",
        &["must not be empty"],
    );
}

#[test]
fn blank_scripts_and_queries_are_refused() {
    for script in ["''", "' '", "\"\\n\"", "|\n\n", "|\n   \n"] {
        let job = powershell(&format!(
            "executionMode: inline\ninlineScript: {script}\ntimeout: 5"
        ));
        refused(&job, "empty", (5, 15), "/inlineScript", &["`inlineScript`"]);
    }
    for query in ["''", "'  '", "|\n"] {
        let job = format!("id: a\nname: A\ntype: SQL\nquery: {query}\nenabled: true\n");
        refused(&job, "empty", (4, 8), "/query", &["`query`"]);
    }
}

#[test]
fn values_are_checked_by_the_schema() {
    let mode = powershell("executionMode: inlin\ninlineScript: x");
    refused(
        &mode,
        "not_allowed",
        (4, 16),
        "/executionMode",
        &["inline, script", "did you mean `inline`?"],
    );
    let policy = powershell("executionMode: inline\ninlineScript: x\nexecution_policy: Never");
    refused(
        &policy,
        "not_allowed",
        (6, 19),
        "/execution_policy",
        &["Bypass, RemoteSigned"],
    );
    let query = "id: a\nname: A\ntype: SQL\nquery: 5\n";
    refused(
        query,
        "wrong_type",
        (4, 8),
        "/query",
        &["must be text, not a number", "quotes"],
    );
    let unknown = powershell("executionMode: inline\ninlineScript: x\ninlinescript: y");
    refused(
        &unknown,
        "unknown_key",
        (6, 1),
        "/inlinescript",
        &["`inlineScript`"],
    );
}

#[test]
fn nested_values_have_their_own_place() {
    read(&steps("  - action: x\n    tries: 3\n    with: [y]"));
    refused(
        &steps("  - tries: 3"),
        "missing_key",
        (5, 5),
        "/steps/0/action",
        &["What to do."],
    );
    let tries = steps("  - action: x\n  - action: y\n    tries: 10");
    refused(
        &tries,
        "out_of_range",
        (7, 12),
        "/steps/1/tries",
        &["`tries` must be at most 9"],
    );
    refused(
        &steps("  - action: x\n    trys: 1"),
        "unknown_key",
        (6, 5),
        "/steps/0/trys",
        &["`tries`"],
    );
    refused(
        &steps("  - x"),
        "wrong_type",
        (5, 5),
        "/steps/0",
        &["entry 1 of `steps`", "a mapping, not text"],
    );
    let with = steps("  - action: x\n    with: 5");
    refused(
        &with,
        "wrong_type",
        (6, 11),
        "/steps/0/with",
        &["text or a list, not a number"],
    );
    refused(
        "id: a\nname: A\ntype: Steps\nsteps: []\n",
        "out_of_range",
        (4, 8),
        "/steps",
        &["at least 1 entries"],
    );
}

#[test]
fn types_are_matched_without_case_and_unknown_ones_listed() {
    for name in ["sql", "Sql", "SQL"] {
        let job = read(&format!("id: a\nname: A\ntype: {name}\nquery: x\n"));
        assert_eq!(job.spec.job_type, "SQL");
    }
    let perl = "id: a\nname: A\ntype: Perl\nquery: x\n";
    refused(
        perl,
        "unknown_type",
        (3, 7),
        "/type",
        &["`Perl`", "PowerShell, SQL, Command, Steps"],
    );
    let found = parse_job(perl, &[]).unwrap_err();
    assert!(found[0].message.contains("no job type is"), "{found:?}");
}

#[test]
fn a_schema_that_can_not_be_used_is_told_and_lets_nothing_through() {
    for schema in [
        json!({ "type": "nonsense" }),
        json!({ "$ref": "https://example.org/x" }),
        json!({ "properties": { "a": { "pattern": "(" } } }),
    ] {
        let types = [JobTypeSchema::new("X", schema)];
        let found = parse_job("id: a\nname: A\ntype: X\n", &types).unwrap_err();
        assert_eq!(
            (found[0].code, found[0].line),
            ("bad_type_schema", Some(3)),
            "{found:?}"
        );
    }
}

#[test]
fn keys_that_only_a_branch_names_are_known() {
    let schema =
        json!({ "allOf": [{ "then": { "properties": { "deep": { "type": "string" } } } }] });
    let types = [JobTypeSchema::new("X", schema)];
    assert_eq!(
        parse_job("id: a\nname: A\ntype: X\ndeep: b\n", &types)
            .unwrap()
            .configuration["deep"],
        "b"
    );
}

#[test]
fn no_message_repeats_a_script() {
    let script = "secret ".repeat(10_000);
    let mut types = types();
    let query = json!({ "type": "string", "not": { "type": "string" } });
    types[1] = JobTypeSchema::new("SQL", json!({ "properties": { "query": query } }));
    let found = parse_job(
        &format!("id: a\nname: A\ntype: SQL\nquery: {script}\n"),
        &types,
    )
    .unwrap_err();
    assert!(found.iter().all(|one| one.message.len() < 400), "{found:?}");
    let found = problems(&format!(
        "id: a\nname: A\ntype: SQL\nquery: x\n{}: 1\n",
        "k".repeat(900)
    ));
    assert!(found.iter().all(|one| one.message.len() < 400), "{found:?}");
}
