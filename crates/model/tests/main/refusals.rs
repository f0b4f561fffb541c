//! Mistakes: each is told once, with its place and a way out.

use crate::support::{problems, refused, sql};

#[test]
fn every_mistake_is_found_in_one_pass_in_the_order_of_the_text() {
    let problems = problems(
        "id: a/b\nnam: A\ntype: SQL\nqueri: x\ntimeout: -5\nenabled: maybe\nschedule: {type: cron, expression: x}\n",
    );
    let found: Vec<_> = problems
        .iter()
        .map(|one| (one.line.unwrap(), one.code))
        .collect();
    assert_eq!(
        found,
        [
            (1, "bad_id"),
            (2, "unknown_key"),
            (4, "unknown_key"),
            (5, "out_of_range"),
            (6, "wrong_type"),
            (7, "bad_cron"),
        ],
        "a misspelled key is one mistake"
    );
}

#[test]
fn with_an_unknown_type_the_rest_is_checked_all_the_same() {
    let problems = problems("id: a\nname: A\ntype: SLQ\nquery: x\ntimeout: 0\nqueri: y\n");
    let found: Vec<_> = problems
        .iter()
        .map(|one| (one.line.unwrap(), one.code))
        .collect();
    assert_eq!(
        found,
        [(3, "unknown_type"), (5, "out_of_range"), (6, "unknown_key")]
    );
    assert!(
        problems[0].message.contains("PowerShell, SQL"),
        "{problems:?}"
    );
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean `SQL`?"));
}

#[test]
fn keys_that_must_be_there_are_named() {
    refused(
        "# a\n\nname: A\ntype: SQL\nquery: x\n",
        "missing_key",
        (3, 1),
        "/id",
        &["`id` is missing"],
    );
    refused(
        "id: a\ntype: SQL\nquery: x\n",
        "missing_key",
        (1, 1),
        "/name",
        &["`name`"],
    );
    refused(
        "id: a\nname: A\nquery: x\n",
        "missing_key",
        (1, 1),
        "/type",
        &["`type`"],
    );
    refused(
        "id:\nname: A\ntype: SQL\nquery: x\n",
        "empty",
        (1, 3),
        "/id",
        &["must not be empty"],
    );
    refused(
        "id: a\nname: ' '\ntype: SQL\nquery: x\n",
        "empty",
        (2, 7),
        "/name",
        &[],
    );
    refused(
        "id: 5\nname: A\ntype: SQL\nquery: x\n",
        "wrong_type",
        (1, 5),
        "/id",
        &["quotes"],
    );
    refused(
        "id: [a]\nname: A\ntype: SQL\nquery: x\n",
        "wrong_type",
        (1, 5),
        "/id",
        &["a list"],
    );
}

#[test]
fn unknown_keys_are_refused_with_a_guess() {
    refused(
        &sql("timeOut: 3\n"),
        "unknown_key",
        (5, 1),
        "/timeOut",
        &["did you mean `timeout`?"],
    );
    refused(
        &sql("execution_mode: x\n"),
        "unknown_key",
        (5, 1),
        "/execution_mode",
        &["known here"],
    );
    refused(&sql("id_: x\n"), "unknown_key", (5, 1), "/id_", &["`id`"]);
    refused(&sql("before: x\n"), "unknown_key", (5, 1), "/before", &[]);
    let nested = sql("retryPolicy:\n  maxRetries: 1\n  maxretries: 2\n");
    refused(
        &nested,
        "unknown_key",
        (7, 3),
        "/retryPolicy/maxretries",
        &["`maxRetries`"],
    );
    refused(
        &sql("a/b~c: 1\n"),
        "unknown_key",
        (5, 1),
        "/a~1b~0c",
        &["a/b~c"],
    );
}

#[test]
fn a_key_given_twice_is_refused_in_every_spelling() {
    let text = "id: a\nid: b\nname: A\ntype: SQL\nquery: x\n";
    refused(text, "duplicate_key", (2, 1), "/id", &["line 1"]);
    let both = sql("retryPolicy: {maxRetries: 1}\nretry_policy: {max_retries: 2}\n");
    refused(
        &both,
        "duplicate_key",
        (6, 1),
        "/retry_policy",
        &["retry_policy", "line 5"],
    );
    let nested = sql("metadata:\n  a: {b: 1,\n      b: 2}\n");
    refused(
        &nested,
        "duplicate_key",
        (7, 7),
        "/metadata/a/b",
        &["line 6"],
    );
    let own = "id: a\nname: A\ntype: PowerShell\nexecutionMode: inline\ninlineScript: x\ninline_script: y\n";
    refused(own, "duplicate_key", (6, 1), "/inline_script", &["line 5"]);
}

#[test]
fn values_are_checked() {
    let check = |lines: &str, code: &str, column, pointer: &str, words: &[&str]| {
        refused(
            &sql(&format!("{lines}\n")),
            code,
            (5, column),
            pointer,
            words,
        );
    };
    check("timeout: -5", "out_of_range", 10, "/timeout", &["seconds"]);
    check(
        "timeout: 0",
        "out_of_range",
        10,
        "/timeout",
        &["longer than nothing"],
    );
    check(
        "timeout: 0.0",
        "out_of_range",
        10,
        "/timeout",
        &["longer than nothing"],
    );
    check(
        "timeout: 32 days",
        "out_of_range",
        10,
        "/timeout",
        &["31 days"],
    );
    check(
        "timeout: 1e300",
        "out_of_range",
        10,
        "/timeout",
        &["31 days"],
    );
    check("timeout: soon", "bad_duration", 10, "/timeout", &["1h30m"]);
    check("timeout: [5]", "wrong_type", 10, "/timeout", &[]);
    check(
        "enabled: 'yes'",
        "wrong_type",
        10,
        "/enabled",
        &["true or false", "text"],
    );
    check(
        "enabled: yes",
        "wrong_type",
        10,
        "/enabled",
        &["true or false"],
    );
    check(
        "retryPolicy: {maxRetries: -1}",
        "out_of_range",
        27,
        "/retryPolicy/maxRetries",
        &["0 to 100"],
    );
    check(
        "retryPolicy: {maxRetries: 1.5}",
        "out_of_range",
        27,
        "/retryPolicy/maxRetries",
        &["whole"],
    );
    check(
        "retryPolicy: {maxRetries: two}",
        "wrong_type",
        27,
        "/retryPolicy/maxRetries",
        &["a whole number"],
    );
    check(
        "retry_policy: {max_retries: x}",
        "wrong_type",
        29,
        "/retry_policy/max_retries",
        &[],
    );
    check(
        "retryPolicy: {backoff: exponentail}",
        "not_allowed",
        24,
        "/retryPolicy/backoff",
        &["did you mean `exponential`?"],
    );
    check(
        "retryPolicy: {retryOn: timeout}",
        "wrong_type",
        24,
        "/retryPolicy/retryOn",
        &["a list"],
    );
    check(
        "retryPolicy: {retryOn: [a, 5]}",
        "wrong_type",
        28,
        "/retryPolicy/retryOn/1",
        &["text"],
    );
    check(
        "retryPolicy: 3",
        "wrong_type",
        14,
        "/retryPolicy",
        &["a mapping"],
    );
    check(
        "concurrency: {limit: 0}",
        "out_of_range",
        22,
        "/concurrency/limit",
        &["from 1"],
    );
    check(
        "limits: {memory: 0}",
        "out_of_range",
        18,
        "/limits/memory",
        &["512 MiB"],
    );
    check(
        "limits: {memory: much}",
        "out_of_range",
        18,
        "/limits/memory",
        &["512 MiB"],
    );
    check(
        "limits: {cpuTime: 0}",
        "out_of_range",
        19,
        "/limits/cpuTime",
        &[],
    );
    check(
        "metadata: [a]",
        "wrong_type",
        11,
        "/metadata",
        &["a mapping"],
    );
    check(
        "environment: {A: 1}",
        "wrong_type",
        18,
        "/environment/A",
        &["quotes"],
    );
    check(
        "environment: {A=B: x}",
        "bad_name",
        15,
        "/environment/A=B",
        &[],
    );
    check("environment: [A=B]", "wrong_type", 14, "/environment", &[]);
    check(
        "notifications: {onFailure: me}",
        "wrong_type",
        28,
        "/notifications/onFailure",
        &["- "],
    );
    check(
        "notifications: {onFailure: [true]}",
        "wrong_type",
        29,
        "/notifications/onFailure/0",
        &[],
    );
    check(
        "onInterrupted: again",
        "not_allowed",
        16,
        "/onInterrupted",
        &["fail, retry"],
    );
    check(
        "description: [x]",
        "wrong_type",
        14,
        "/description",
        &["text"],
    );
}

#[test]
fn parameters_are_checked() {
    let check = |lines: &str, code: &str, column, pointer: &str| {
        refused(&sql(&format!("{lines}\n")), code, (5, column), pointer, &[]);
    };
    check(
        "parameters: [{name: x}]",
        "missing_key",
        14,
        "/parameters/0/value",
    );
    check(
        "parameters: [{value: x}]",
        "missing_key",
        14,
        "/parameters/0/name",
    );
    check(
        "parameters: [{name: x, value: 1, type: y}]",
        "unknown_key",
        34,
        "/parameters/0/type",
    );
    check(
        "parameters: [a=1, {name: a, value: 2}]",
        "duplicate_key",
        19,
        "/parameters/1",
    );
    check("parameters: [plain]", "wrong_type", 14, "/parameters/0");
    check("parameters: ['=1']", "bad_name", 14, "/parameters/0");
    check("parameters: {'': 1}", "bad_name", 14, "/parameters/");
    check("parameters: x", "wrong_type", 13, "/parameters");
}

#[test]
fn ids_that_make_trouble_are_refused() {
    let uuid = "018f4e6a-7f7f-7000-8000-000000000000";
    let long = "x".repeat(201);
    let simple = uuid.replace('-', "") + " ";
    let bad = [
        "a/b",
        "a\\\\b",
        " a",
        "a ",
        ".",
        "..",
        "samples",
        "validate",
        "a\\tb",
        "a\\u202eb",
        "a\\u200b",
        uuid,
        simple.trim(),
        &long,
    ];
    for id in bad {
        let found = problems(&format!("id: \"{id}\"\nname: A\ntype: SQL\nquery: x\n"));
        assert_eq!(
            (found.len(), found[0].code),
            (1, "bad_id"),
            "{id}: {found:?}"
        );
        assert!(
            found[0].message.is_ascii() || found[0].message.contains('…'),
            "{found:?}"
        );
    }
    for id in [
        "PS-001",
        "größe 1",
        "日本",
        "a%b?c#d",
        "sample",
        "a'b",
        &"ü".repeat(200),
    ] {
        crate::support::read(&format!("id: \"{id}\"\nname: A\ntype: SQL\nquery: x\n"));
    }
}

#[test]
fn names_are_one_line() {
    refused(
        "id: a\nname: \"A\\nB\"\ntype: SQL\nquery: x\n",
        "bad_name",
        (2, 7),
        "/name",
        &["A\\nB", "description"],
    );
    let long = "x".repeat(256);
    refused(
        &format!("id: a\nname: {long}\ntype: SQL\nquery: x\n"),
        "bad_name",
        (2, 7),
        "/name",
        &["255"],
    );
}

#[test]
fn texts_that_hold_no_job_are_refused() {
    refused("", "empty_document", (1, 1), "", &["`id`"]);
    refused("# only a remark\n", "empty_document", (1, 1), "", &["`id`"]);
    refused("...", "empty_document", (1, 1), "", &[]);
    refused("- a\n", "wrong_type", (1, 1), "", &["mapping", "a list"]);
    refused("just text", "wrong_type", (1, 1), "", &["mapping"]);
    refused(
        "id: a\n---\nid: b\n",
        "several_documents",
        (2, 1),
        "",
        &["file of its own"],
    );
    refused(&sql("---\n"), "several_documents", (5, 1), "", &[]);
}

#[test]
fn what_is_no_yaml_is_refused_with_a_way_out() {
    refused("id: [\n", "syntax", (1, 5), "/id", &["YAML"]);
    refused("id: 'x\n", "syntax", (1, 5), "/id", &["close the quote"]);
    refused("id: a\nname: b: c\n", "syntax", (2, 8), "", &["quotes"]);
    let cron = sql("schedule:\n  type: cron\n  expression: */5 * * * *\n");
    refused(
        &cron,
        "syntax",
        (7, 15),
        "/schedule/expression",
        &["in quotes", "*/5 * * * *"],
    );
    refused(
        &sql("schedule: {type: cron, expression: @daily}\n"),
        "syntax",
        (5, 36),
        "/schedule/expression",
        &["in quotes"],
    );
    refused(
        &sql("schedule:\n\ttype: cron\n"),
        "syntax",
        (6, 2),
        "/schedule",
        &["blanks"],
    );
    refused(
        &sql("connection: \"C:\\dir\"\n"),
        "syntax",
        (5, 13),
        "/connection",
        &["backslash"],
    );
}

#[test]
fn what_yaml_has_beyond_the_core_is_refused() {
    refused(
        &sql("metadata:\n  <<: {a: 1}\n"),
        "merge_key",
        (6, 3),
        "/metadata",
        &["write the keys out"],
    );
    refused(
        &sql("metadata: {a: !secret x}\n"),
        "unknown_tag",
        (5, 23),
        "/metadata/a",
        &["!secret"],
    );
    refused(
        &sql("metadata: {a: !!binary aGk=}\n"),
        "unknown_tag",
        (5, 24),
        "/metadata/a",
        &["!!binary"],
    );
    refused(
        &sql("metadata: {[a]: 1}\n"),
        "bad_key",
        (5, 12),
        "/metadata",
        &["must be text"],
    );
    refused(
        &sql("metadata: {: 1}\n"),
        "bad_key",
        (5, 12),
        "/metadata",
        &["missing"],
    );
    let job = crate::support::read(&sql(
        "metadata: {a: !!str 5, b: ! 6, c: !!int '7', '<<': 8, 1: d}\n",
    ));
    let expected = serde_json::json!({ "a": "5", "b": "6", "c": 7, "<<": 8, "1": "d" });
    assert_eq!(serde_json::Value::Object(job.spec.metadata), expected);
}
