//! What the configuration says of a tool: a path, or a mapping with all that is
//! to hold. Never looks at the executable.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jobcell_host_process::{Hash, ToolGrant};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A tool as the configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct ToolSetting(pub(crate) ToolGrant);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mapping {
    path: PathBuf,
    #[serde(default, deserialize_with = "hash")]
    sha256: Option<Hash>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    working_folders: Vec<PathBuf>,
    #[serde(default)]
    run_as: Option<String>,
}

impl<'de> Deserialize<'de> for ToolSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = ToolSetting;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the path of an executable, or a mapping with `path`")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<ToolSetting, E> {
        Ok(ToolSetting(ToolGrant {
            path: path.into(),
            ..ToolGrant::default()
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ToolSetting, A::Error> {
        let mapping = Mapping::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ToolSetting(ToolGrant {
            path: mapping.path,
            sha256: mapping.sha256,
            arguments: mapping.arguments,
            environment: mapping.environment,
            working_folders: mapping.working_folders,
            run_as: mapping.run_as,
        }))
    }
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hash>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ToolGrant, String> {
        serde_yaml::from_str::<ToolSetting>(text)
            .map(|setting| setting.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_tool_is_a_path_or_all_that_is_to_hold() {
        assert_eq!(read("/bin/sh").unwrap().path, PathBuf::from("/bin/sh"));
        let hash = "ab".repeat(32);
        let grant = read(&format!(
            "path: /bin/nice\nsha256: {hash}\narguments: ['-n', '10', '{{arguments}}']\n\
             environment: {{LANG: C}}\nworkingFolders: [/srv]\nrunAs: backup\n"
        ))
        .unwrap();
        assert_eq!(grant.sha256.unwrap().to_string(), hash);
        assert_eq!(grant.arguments, ["-n", "10", "{arguments}"]);
        assert_eq!(grant.environment["LANG"], "C");
        assert_eq!(grant.working_folders, [PathBuf::from("/srv")]);
        assert_eq!(grant.run_as.as_deref(), Some("backup"));
    }

    #[test]
    fn what_is_wrong_with_a_tool_is_said() {
        assert!(
            read("sha256: ab\npath: /x\n")
                .unwrap_err()
                .contains("64 hexadecimal")
        );
        assert!(read("pat: /x\n").unwrap_err().contains("pat"));
        assert!(
            read("[a]")
                .unwrap_err()
                .contains("the path of an executable")
        );
    }
}
