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

static JOB_TYPES: [BundledPlugin; 2] = [
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
    use super::*;

    /// What a component begins with; a core module has 1 as its version.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn every_plugin_is_a_component() {
        for plugin in job_types().iter().copied().chain([hostile()]) {
            assert!(plugin.component.starts_with(COMPONENT), "{}", plugin.name);
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
