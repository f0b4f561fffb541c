//! Texts that were made to hurt: none takes long, none makes it panic.

use std::time::{Duration, Instant};

use jobcell_model::{cron, parse_job};
use proptest::prelude::*;

use crate::support::{problems, read, samples, sql, types};

/// Far more than any of these needs, far less than what they try to cost.
const PATIENCE: Duration = Duration::from_secs(10);

#[track_caller]
fn refused_soon(text: &str, codes: &[&str]) {
    let before = Instant::now();
    let found = problems(text);
    assert!(codes.contains(&found[0].code), "{:?}", &found[0]);
    assert!(
        before.elapsed() < PATIENCE,
        "{codes:?} took {:?}",
        before.elapsed()
    );
    let told: usize = found
        .iter()
        .map(|one| one.message.len() + one.pointer.len())
        .sum();
    assert!(told < 1 << 20, "{told} bytes of messages");
}

#[test]
fn alias_bombs_are_refused_at_once() {
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    let mut chain = "a0: &a0 x\n".to_owned();
    for level in 1..1000 {
        let below = level - 1;
        bomb += &format!("a{level}: &a{level} [*a{below}, *a{below}]\n");
        chain += &format!("a{level}: &a{level} [*a{below}]\n");
    }
    refused_soon(&bomb, &["too_large", "too_deep"]);
    refused_soon(&chain, &["too_large", "too_deep"]);
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(500_000),
        vec!["*a"; 100].join(", ")
    );
    refused_soon(&long, &["too_large"]);
    let nested = format!(
        "{}{}{}",
        "&a [".repeat(60),
        "x".repeat(500_000),
        "]".repeat(60)
    );
    refused_soon(&nested, &["syntax", "too_large", "wrong_type"]);
    refused_soon("a: &a [*a]\n", &["bad_alias"]);
    refused_soon(&sql("metadata: &m {again: *m}\n"), &["bad_alias"]);
}

#[test]
fn depth_and_size_are_bounded() {
    refused_soon(
        &format!("a: {}{}", "[".repeat(100), "]".repeat(100)),
        &["too_deep"],
    );
    refused_soon(
        &format!("a: {}{}", "{a: ".repeat(100), "}".repeat(100)),
        &["too_deep"],
    );
    refused_soon(&format!("a: {}", "[".repeat(500_000)), &["too_deep"]);
    refused_soon(&"- ".repeat(500_000), &["too_deep"]);
    refused_soon(&"? ".repeat(500_000), &["too_deep", "syntax"]);
    refused_soon(&"x".repeat(2 << 20), &["too_large"]);
    let deepest = sql(&format!(
        "metadata: {{a: {}1{}}}\n",
        "[".repeat(60),
        "]".repeat(60)
    ));
    assert!(read(&deepest).to_json()["metadata"]["a"].is_array());
}

#[test]
fn many_of_anything_is_no_trouble() {
    let lines = |line: &dyn Fn(usize) -> String| (0..9000).map(line).collect::<String>();
    refused_soon(
        &lines(&|n| format!("key{n}: 1\n")),
        &["missing_key", "unknown_key"],
    );
    refused_soon(
        &lines(&|_| "same: 1\n".to_owned()),
        &["missing_key", "duplicate_key", "unknown_key"],
    );
    refused_soon(
        &sql(&format!(
            "parameters:\n{}",
            lines(&|_| "  - same=1\n".to_owned())
        )),
        &["duplicate_key"],
    );
    refused_soon(
        &sql(&format!(
            "metadata:\n{}",
            lines(&|_| "  - |\n    x\n".to_owned())
        )),
        &["wrong_type"],
    );
    refused_soon(
        &lines(&|n| format!("k{n}: |\n\n")),
        &["missing_key", "unknown_key"],
    );
    refused_soon(&lines(&|n| format!("k{n}: &a{n} [x]\n")), &["too_large"]);
    refused_soon(
        &format!("{}: {{b: [{}]}}\n", "k".repeat(900_000), "1,".repeat(9000)),
        &["bad_key", "missing_key", "syntax"],
    );
    refused_soon(
        &sql(&format!(
            "{}: {{b: [{}]}}\n",
            "k".repeat(1000),
            "1,".repeat(9000)
        )),
        &["unknown_key"],
    );
    let count = problems(&lines(&|n| format!("key{n}: 1\n"))).len();
    assert_eq!(count, 101, "a hundred, and that there are more");
}

#[test]
fn nul_characters_are_refused_with_their_place() {
    crate::support::refused("id: a\nname: x\0", "nul_character", (2, 8), "", &["NUL"]);
    crate::support::refused(
        &sql("metadata: {a: \"x\\0\"}\n"),
        "nul_character",
        (5, 15),
        "/metadata/a",
        &[],
    );
    crate::support::refused(
        "id: a\nname: A\ntype: SQL\nquery: \"\\x00\"\n",
        "nul_character",
        (4, 8),
        "/query",
        &[],
    );
}

#[test]
fn odd_texts_are_refused_and_nothing_else() {
    let odd = [
        "\u{feff}",
        "\u{feff}\u{feff}id: a",
        "%YAML 1.2\n",
        "%YAML 9.9\n---\nid: a\n",
        "---\n---\n",
        "--- |\n x\n",
        "? ",
        ": ",
        "- - -",
        "!",
        "&",
        "*",
        "&a",
        "!!",
        "!<",
        "|",
        ">",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        "`",
        "@",
        "%",
        "a: |9\n x\n",
        "a: |-+\n",
        "a: \"\\ud800\"",
        "a: \"\\U00110000\"",
        "\u{2028}: \u{85}",
        "a:\rb:\r",
        "\u{7f}",
        "id: a\n  b: c\n d: e\n",
        "{a: 1, a}",
        "[a: b]",
        "a: !!int x",
        "a: !!map [b]",
        "a: !!seq {}",
        "a: !<> b",
        "%TAG ! tag:x,2000:\n---\na: !b c\n",
        "a: &a\nb: *a\n",
        "&a a: *a\n",
        "*a : b",
        "<<: *a",
        "a: 1e99999",
        "a: -",
        "a: .",
        "a: 0x",
        "a: 0o",
        "a: +",
        "a: -.inf",
        "1: 2\n1.0: 3\n",
    ];
    for text in odd {
        problems(text);
        problems(&sql(&format!("{text}\n")));
        problems(&format!(
            "id: a\nname: A\ntype: SQL\nquery: x\nschedule: {text}\nx: 1\n"
        ));
    }
}

#[test]
fn cron_expressions_made_to_hurt_are_refused_soon() {
    let long = vec!["1"; 200_000].join(",");
    let many = "1,".repeat(100) + "1 * * * *";
    let before = Instant::now();
    for expression in [
        long.as_str(),
        many.as_str(),
        "*/0 * * * *",
        "1-99999999999999999999 * * * *",
        "* * 0W * *",
        "* * 32W * *",
        "* * LW * 9#9",
        "5/-1 * * * *",
        "0-59/0 * * * *",
        "* * * * 1#0",
        "* * * * #",
        "* * L-99 * *",
        "@",
        "@@daily",
        "٣ * * * *",
        "* * * * MON-",
        "+ + + + +",
        "? ? ? ? ?",
        "59 59 23 31 2 *",
        "* * 31 2,4,6,9,11 *",
    ] {
        drop(cron::parse(expression));
    }
    assert!(before.elapsed() < PATIENCE, "{:?}", before.elapsed());
}

/// A sample with a few bytes of it replaced.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        "[\\x00-\\x7fäöü\u{2028}]{0,8}",
        prop::sample::select(vec![
            "&a ", "*a", "<<: ", "!!str ", "|", ">-", "? ", "- ", "{", "[", "'", "\"", "\\", "\t",
            "\r", "\n---\n", ": ", "~", "0x", "-1", "1e9", "#", "null", "\u{feff}",
        ])
        .prop_map(str::to_owned),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), pieces, 0_usize..20), 1..4);
    (prop::sample::select(samples()), changes).prop_map(|((_, mut job), changes)| {
        for (at, text, cut) in changes {
            let near = |at: usize| {
                (0..=at.min(job.len()))
                    .rev()
                    .find(|&at| job.is_char_boundary(at))
            };
            let start = near(at.index(job.len() + 1)).unwrap_or(0);
            let end = near(start + cut).unwrap_or(start);
            job.replace_range(start..end, &text);
        }
        job
    })
}

/// Whatever is read or refused: what must hold of it.
fn holds(text: &str) {
    match parse_job(text, &types()) {
        Ok(job) => {
            let again = parse_job(&job.to_json().to_string(), &types()).unwrap();
            assert_eq!(
                (&again.spec, &again.configuration),
                (&job.spec, &job.configuration),
                "{text}"
            );
        }
        Err(found) => {
            let lines = u32::try_from(text.split(['\n', '\r']).count() + 1).unwrap();
            assert!(!found.is_empty());
            assert!(
                found
                    .iter()
                    .all(|one| one.line.is_some_and(|line| (1..=lines).contains(&line))),
                "{found:?}"
            );
            assert!(
                found
                    .iter()
                    .all(|one| one.column.is_some_and(|column| column > 0))
            );
            assert!(found.is_sorted_by_key(|one| (one.line, one.column)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|[\\x00-\\x20]){0,200}") {
        holds(&text);
    }

    #[test]
    fn no_yaml_like_text_makes_it_panic(text in "([a-c]|[-?:,\\[\\]{}#&*!|>'\"%@`<~ \n\t.0-9eE+x]|id: |type: SQL\n|name: |query: |\n  ){0,60}") {
        holds(&text);
    }

    #[test]
    fn no_change_of_a_sample_makes_it_panic(job in mutated()) {
        holds(&job);
    }

    #[test]
    fn no_cron_expression_makes_it_panic(expression in "([0-9LW#?*,/+@A-Z -]|[0-9*]+ ){0,30}|[0-9,*/#LW?+-]{1,5}( [0-9,*/#LW?+-]{1,5}){4,5}") {
        let before = Instant::now();
        drop(cron::parse(&expression));
        prop_assert!(before.elapsed() < PATIENCE);
    }

    #[test]
    fn no_place_asked_for_makes_it_panic(pointer in "(/([a-zA-Z~0-9]{0,9}|query|schedule|parameters)){0,4}|\\PC{0,9}", line: u32, column: u32) {
        let job = read(&sql("parameters: [a=1]\n"));
        let found = job.locate(&pointer);
        prop_assert_eq!(found.is_some(), pointer.is_empty() || pointer.starts_with('/'));
        prop_assert_eq!(job.locate_within(&pointer, line, column).is_some(), found.is_some());
    }

    #[test]
    fn a_script_in_a_block_comes_out_as_it_went_in(script in "[ -~äöü]{0,60}(\n[ -~äöü]{1,60}){0,5}") {
        prop_assume!(!script.trim().is_empty());
        let indented: Vec<String> = script.lines().map(|line| format!("  {line}")).collect();
        let yaml = format!("id: a\nname: A\ntype: SQL\nquery: |2\n{}\n", indented.join("\n"));
        let found = read(&yaml).configuration["query"].as_str().unwrap().to_owned();
        prop_assert_eq!(found.trim_end_matches('\n'), script.trim_end_matches('\n'));
    }
}
