//! The keys of a job's type: a script or a query, and what goes with it. Never
//! makes up a script.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::configuration::Configuration;
use crate::reason::{Reason, kind_of};
use crate::report::Note;
use crate::row::shown;

/// The job types that V1 had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PowerShell,
    Sql,
}

impl Kind {
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            "powershell" => Some(Self::PowerShell),
            "sql" => Some(Self::Sql),
            _ => None,
        }
    }

    /// V2's word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PowerShell => "PowerShell",
            Self::Sql => "SQL",
        }
    }

    /// The section of V1's nested configuration.
    pub(crate) const fn section(self) -> &'static str {
        match self {
            Self::PowerShell => "powershell",
            Self::Sql => "sql",
        }
    }
}

/// One of the type's own keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    /// Whether it is a text of lines.
    pub(crate) script: bool,
}

const POLICIES: [&str; 7] = [
    "AllSigned",
    "Bypass",
    "Default",
    "RemoteSigned",
    "Restricted",
    "Undefined",
    "Unrestricted",
];
/// What V1 ran scripts with that named no policy.
const V1_POLICY: &str = "RemoteSigned";

/// What a job's type has of its own, and what was decided or found wrong.
pub(crate) struct Body {
    pub(crate) own: Vec<Own>,
    pub(crate) notes: Vec<Note>,
    pub(crate) reasons: Vec<Reason>,
}

/// Reads the keys of a job's type.
pub(crate) fn read(
    kind: Kind,
    configuration: &Configuration,
    connections: Option<&BTreeMap<String, String>>,
) -> Body {
    let mut body = Body {
        own: Vec::new(),
        notes: Vec::new(),
        reasons: Vec::new(),
    };
    match kind {
        Kind::PowerShell => body.powershell(configuration),
        Kind::Sql => body.sql(configuration, connections),
    }
    body
}

impl Body {
    fn own(&mut self, key: &'static str, value: impl Into<String>, script: bool) {
        self.own.push(Own {
            key,
            value: value.into(),
            script,
        });
    }

    fn note(&mut self, key: &'static str, text: impl Into<String>) {
        self.notes.push(Note::new(key, text));
    }

    fn powershell(&mut self, configuration: &Configuration) {
        let script = self.text_of(configuration, &["script_content", "script"], "inlineScript");
        let path = configuration.get(&["script_path"]);
        match (script, path) {
            (Some(script), path) => {
                self.own("executionMode", "inline", false);
                self.own("inlineScript", script, true);
                if let Some((_, path)) = path {
                    let path = shown(path.as_str().unwrap_or_default(), 200);
                    let note = format!(
                        "V1 named the file `{path}` too; the script inside of the job counted"
                    );
                    self.note("inlineScript", note);
                }
            }
            (None, Some((_, Value::String(path)))) => self.script_file(path.trim()),
            (None, Some((key, other))) => self.reasons.push(Reason::NotText {
                key,
                found: kind_of(other),
            }),
            (None, None) if self.reasons.is_empty() => self.reasons.push(Reason::NoScript),
            (None, None) => {}
        }
        self.policy(configuration);
        self.folder(configuration);
    }

    fn script_file(&mut self, path: &str) {
        if is_absolute(path) {
            self.own("executionMode", "script", false);
            self.own("scriptPath", path, false);
        } else {
            let path = shown(path, 200);
            self.reasons.push(Reason::RelativePath { path });
        }
    }

    fn policy(&mut self, configuration: &Configuration) {
        let given = configuration.get(&["execution_policy"]);
        let Some((_, given)) = given else {
            self.own("executionPolicy", V1_POLICY, false);
            let note = "V1's default; V2's would be `Bypass`";
            return self.note("executionPolicy", note);
        };
        let text = given.as_str().unwrap_or_default().trim();
        let mut policies = POLICIES.iter();
        match policies.find(|policy| policy.eq_ignore_ascii_case(text)) {
            Some(policy) => self.own("executionPolicy", *policy, false),
            None => {
                let policy = shown(&crate::row::text_of(given).unwrap_or_default(), 60);
                self.reasons.push(Reason::UnknownPolicy { policy });
            }
        }
    }

    fn folder(&mut self, configuration: &Configuration) {
        let Some((_, folder)) = configuration.get(&["working_directory"]) else {
            return;
        };
        match folder.as_str().map(str::trim) {
            Some(folder) if is_absolute(folder) => self.own("workingDirectory", folder, false),
            _ => {
                let path = shown(&crate::row::text_of(folder).unwrap_or_default(), 200);
                self.reasons.push(Reason::RelativeFolder { path });
            }
        }
    }

    fn sql(
        &mut self,
        configuration: &Configuration,
        connections: Option<&BTreeMap<String, String>>,
    ) {
        match self.text_of(configuration, &["sql_query", "query"], "query") {
            Some(query) => self.own("query", query, true),
            None if self.reasons.is_empty() => self.reasons.push(Reason::NoQuery),
            None => {}
        }
        let connection = configuration.get(&["connection_name", "connection"]);
        match connection.map(|(key, value)| (key, value, value.as_str())) {
            Some((_, _, Some(name))) => self.connection(name.trim(), connections),
            Some((key, other, None)) => self.reasons.push(Reason::NotText {
                key,
                found: kind_of(other),
            }),
            None if configuration.get(&["connection_string"]).is_some() => {
                self.reasons.push(Reason::OwnConnection);
            }
            None => {
                self.note("connection", "V1 named none; this is its default");
                self.connection("default", connections);
            }
        }
    }

    /// The connection that V1 named, as it is called in V2.
    fn connection(&mut self, name: &str, known: Option<&BTreeMap<String, String>>) {
        let Some(known) = known else {
            self.own("connection", name, false);
            return;
        };
        match known.get(&name.to_lowercase()) {
            Some(new) => {
                if new != name {
                    self.note("connection", format!("V1 called it `{name}`"));
                }
                self.own("connection", new.as_str(), false);
            }
            None => {
                let text = if name.eq_ignore_ascii_case("default") {
                    "V1 has no connection of this name; here it is the server's own database file"
                } else {
                    "V1 has no connection of this name; add it before the job runs"
                };
                self.note("connection", text);
                self.own("connection", name, false);
            }
        }
    }

    /// The script, of those that V1 had a place for the one that counted.
    fn text_of(
        &mut self,
        configuration: &Configuration,
        keys: &[&'static str],
        key: &'static str,
    ) -> Option<String> {
        let all = configuration.all(keys);
        let (first, value) = *all.first()?;
        if all.iter().any(|(_, other)| *other != value) {
            let note =
                format!("V1 had two that differ; `{first}` is the one that it looked at first");
            self.note(key, note);
        }
        match value {
            Value::String(text) => Some(text.clone()),
            other => {
                let found = kind_of(other);
                self.reasons.push(Reason::NotText { key: first, found });
                None
            }
        }
    }
}

/// As V2's PowerShell plugin sees it: from `/`, a drive, or a share.
fn is_absolute(path: &str) -> bool {
    let drive = path.as_bytes().get(1..3);
    let drive = drive.is_some_and(|rest| rest[0] == b':' && b"\\/".contains(&rest[1]));
    path.starts_with('/') || path.starts_with("\\\\") || drive
}
