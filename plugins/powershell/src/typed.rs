//! Parameters that an argument can't carry, lists and mappings, go to the
//! script by a file in PowerShell's own format (CLIXML, MS-PSRP 2.2.5), with
//! their types. Nothing in it is ever read as code.

use serde_json::Value;

/// The script that calls the job's own, and the file that it reads. Both lie in
/// the run's private folder.
pub(crate) const CALLER: &str = "jobcell-call.ps1";
pub(crate) const VALUES: &str = "jobcell-call.clixml";

/// What calls the job's script, and ends as `-File` would have with that: with
/// the code of an `exit` in it, which ends only the script itself and leaves its
/// code behind; with 0 where it came to its end, whatever code the last program
/// had that it called; with 1 where it could not be called. What it throws goes
/// on up from here, and ends PowerShell with 1.
pub(crate) const CALL: &str = "\
# Gives a script its parameters with their types.
$JobcellCall = Import-Clixml -LiteralPath ([System.IO.Path]::Combine($PSScriptRoot, 'jobcell-call.clixml'))
$JobcellParameters = $JobcellCall['Parameters']
$global:LASTEXITCODE = 0
& $JobcellCall['Script'] @JobcellParameters
if ($?) { exit 0 }
if ($global:LASTEXITCODE -eq 0) { exit 1 }
exit $global:LASTEXITCODE
";

/// Whether a value needs this way.
pub(crate) const fn is_needed(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// The file for a script and its parameters, in their order. Without those that
/// are null, as on a command line: a script has its own defaults.
pub(crate) fn values(script: &str, parameters: &[(String, Value)]) -> String {
    let given = parameters.iter().filter(|(_, value)| !value.is_null());
    let mut writer = Writer {
        text:
            "<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">"
                .to_owned(),
        last: 0,
    };
    let call = [
        ("Script".to_owned(), Value::String(script.to_owned())),
        (
            "Parameters".to_owned(),
            Value::Object(given.cloned().collect()),
        ),
    ];
    writer.mapping("", call.iter().map(|(key, value)| (key, value)));
    writer.text.push_str("</Objs>");
    writer.text
}

struct Writer {
    text: String,
    last: u32,
}

impl Writer {
    fn value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => self.text.push_str(&format!("<Nil{name} />")),
            Value::Bool(truth) => self.element("B", name, &truth.to_string()),
            Value::Number(number) => {
                let (kind, text) = number_of(number);
                self.element(kind, name, &text);
            }
            Value::String(text) => self.element("S", name, &escaped(text)),
            Value::Array(items) => self.list(name, items),
            Value::Object(members) => self.mapping(name, members.iter()),
        }
    }

    fn element(&mut self, kind: &str, name: &str, text: &str) {
        self.text
            .push_str(&format!("<{kind}{name}>{text}</{kind}>"));
    }

    fn list(&mut self, name: &str, items: &[Value]) {
        self.begin(name, &["System.Object[]", "System.Array", "System.Object"]);
        self.text.push_str("<LST>");
        for item in items {
            self.value("", item);
        }
        self.text.push_str("</LST></Obj>");
    }

    fn mapping<'a>(&mut self, name: &str, members: impl Iterator<Item = (&'a String, &'a Value)>) {
        self.begin(name, &["System.Collections.Hashtable", "System.Object"]);
        self.text.push_str("<DCT>");
        for (key, value) in members {
            self.text.push_str("<En>");
            self.element("S", " N=\"Key\"", &escaped(key));
            self.value(" N=\"Value\"", value);
            self.text.push_str("</En>");
        }
        self.text.push_str("</DCT></Obj>");
    }

    fn begin(&mut self, name: &str, types: &[&str]) {
        let id = self.last;
        self.last += 1;
        self.text
            .push_str(&format!("<Obj{name} RefId=\"{id}\"><TN RefId=\"{id}\">"));
        for one in types {
            self.element("T", "", one);
        }
        self.text.push_str("</TN>");
    }
}

fn number_of(number: &serde_json::Number) -> (&'static str, String) {
    let text = number.to_string();
    if let Some(whole) = number.as_i64() {
        let kind = if i32::try_from(whole).is_ok() {
            "I32"
        } else {
            "I64"
        };
        return (kind, text);
    }
    if number.is_u64() {
        return ("U64", text);
    }
    ("Db", text)
}

/// Text as the format has it: what XML can't hold becomes `_xHHHH_`, and what
/// looks like that is kept from being taken for it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '_' if rest
                .peek()
                .is_some_and(|next| next.eq_ignore_ascii_case(&'x')) =>
            {
                escaped.push_str("_x005F_");
            }
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push_str(&format!("_x{:04X}_", u32::from(character)));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> String {
        let all = values("/s.ps1", &[("P".to_owned(), value)]);
        let start = all.find("<S N=\"Key\">P</S>").unwrap_or_default();
        let rest = &all[start + "<S N=\"Key\">P</S>".len()..];
        let end = rest.rfind("</En></DCT></Obj></En>").unwrap_or(rest.len());
        rest[..end].to_owned()
    }

    #[test]
    fn every_type_has_its_element() {
        assert_eq!(of(json!(5)), "<I32 N=\"Value\">5</I32>");
        assert_eq!(
            of(json!(3_000_000_000_i64)),
            "<I64 N=\"Value\">3000000000</I64>"
        );
        assert_eq!(
            of(json!(u64::MAX)),
            format!("<U64 N=\"Value\">{}</U64>", u64::MAX)
        );
        assert_eq!(of(json!(1.5)), "<Db N=\"Value\">1.5</Db>");
        assert_eq!(of(json!(true)), "<B N=\"Value\">true</B>");
        assert!(of(json!([null])).contains("<LST><Nil /></LST>"));
        assert_eq!(of(json!("2026-01-02")), "<S N=\"Value\">2026-01-02</S>");
        let list = of(json!(["a", 1, []]));
        assert!(
            list.contains("<LST><S>a</S><I32>1</I32><Obj RefId=\"3\">"),
            "{list}"
        );
        let mapping = of(json!({"k": "v"}));
        assert!(
            mapping.contains("<DCT><En><S N=\"Key\">k</S><S N=\"Value\">v</S></En></DCT>"),
            "{mapping}"
        );
    }

    #[test]
    fn what_is_null_is_left_out() {
        let parameters = [("Gone", json!(null)), ("List", json!([1]))];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
        let all = values("/s.ps1", &parameters);
        assert!(all.contains("List") && !all.contains("Gone"), "{all}");
    }

    #[test]
    fn a_script_that_came_to_its_end_is_a_success_whatever_its_programs_said() {
        let after = CALL.split("@JobcellParameters\n").nth(1);
        let lines: Vec<&str> = after.unwrap_or_default().lines().collect();
        assert_eq!(lines.first(), Some(&"if ($?) { exit 0 }"));
        assert_eq!(lines.last(), Some(&"exit $global:LASTEXITCODE"));
    }

    #[test]
    fn no_text_leaves_its_element() {
        assert_eq!(escaped("</S>&'\"$(x)`"), "&lt;/S&gt;&amp;'\"$(x)`");
        assert_eq!(escaped("a\r\n\0b"), "a_x000D__x000A__x0000_b");
        assert_eq!(
            escaped("_x0041_ _X _y ä€😀"),
            "_x005F_x0041_ _x005F_X _y ä€😀"
        );
    }

    #[test]
    fn the_caller_reads_the_file_beside_it() {
        assert!(CALL.contains(VALUES) && CALL.is_ascii());
    }
}
