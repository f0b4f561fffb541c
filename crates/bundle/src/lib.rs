//! The plugins that come with Jobcell, as bytes, built by this crate's build
//! script. Never runs them.

/// A plugin that was built with Jobcell.
#[derive(Debug, Clone, Copy)]
pub struct BundledPlugin {
    /// Its short name, for files and messages.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
}

macro_rules! component {
    ($file:literal) => {
        include_bytes!(concat!(env!("JOBCELL_PLUGINS"), "/", $file))
    };
}

static JOB_TYPES: [BundledPlugin; 3] = [
    BundledPlugin {
        name: "command",
        component: component!("jobcell_plugin_command.wasm"),
    },
    BundledPlugin {
        name: "powershell",
        component: component!("jobcell_plugin_powershell.wasm"),
    },
    BundledPlugin {
        name: "sql",
        component: component!("jobcell_plugin_sql.wasm"),
    },
];

/// The job types that every Jobcell has.
#[must_use]
pub fn job_types() -> &'static [BundledPlugin] {
    &JOB_TYPES
}

/// A plugin that misbehaves in every way it can, for tests. Not linked into a
/// binary that does not call this.
#[must_use]
pub fn hostile() -> BundledPlugin {
    BundledPlugin {
        name: "hostile",
        component: component!("jobcell_plugin_hostile.wasm"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// What a component begins with; a core module has 1 as its version.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn every_plugin_is_a_component() {
        for plugin in job_types().iter().copied().chain([hostile()]) {
            assert!(plugin.component.starts_with(COMPONENT), "{}", plugin.name);
        }
    }

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
            let path = entry.path();
            if !path.is_dir() {
                found.push(path);
            } else if path.file_name().is_some_and(|name| name != "target") {
                files(&path, found);
            }
        }
    }

    /// Cargo runs the build script again when one of the files changes that the
    /// script has named, and these names are all that it goes by.
    #[test]
    fn a_change_of_any_file_of_plugins_or_contract_rebuilds_the_plugins() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut watched = Vec::new();
        for folder in [
            "plugins",
            "wit",
            "crates/plugin-sdk/src",
            "crates/sql-text/src",
        ] {
            files(&top.join(folder), &mut watched);
        }
        let output = Path::new(env!("OUT_DIR")).with_file_name("output");
        let said = fs::read_to_string(output).expect("the build script ran");
        let named: Vec<PathBuf> = said
            .lines()
            .filter_map(|line| line.strip_prefix("cargo::rerun-if-changed="))
            .filter_map(|path| fs::canonicalize(path).ok())
            .collect();
        assert!(watched.len() > 20, "{watched:?}");
        for file in watched {
            let file = fs::canonicalize(file).expect("it is there");
            assert!(named.contains(&file), "{} is not watched", file.display());
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = job_types().iter().map(|plugin| plugin.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), job_types().len());
    }
}
