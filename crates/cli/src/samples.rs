//! The sample jobs, built into the binary. Never runs them.

/// A sample job.
pub(crate) struct Sample {
    /// Its name in `GET /jobs/samples`.
    pub(crate) slug: &'static str,
    /// Its file's name.
    pub(crate) file: &'static str,
    /// Its YAML.
    pub(crate) yaml: &'static str,
    /// What a fresh machine lacks to run it, if anything.
    pub(crate) needs: Option<&'static str>,
}

macro_rules! sample {
    ($slug:literal, $file:literal, $needs:expr) => {
        Sample {
            slug: $slug,
            file: $file,
            yaml: include_str!(concat!("../../../samples/", $file)),
            needs: $needs,
        }
    };
}

const NEEDS_SQL_SERVER: &str = "it is written for SQL Server, and the embedded database is SQLite";
const NEEDS_A_FILE: &str = "it runs a script file that this machine does not have";

/// All samples. The first two are the ones that the original system served,
/// under the names that it gave them.
pub(crate) const ALL: &[Sample] = &[
    sample!("powershell", "powershell-health-check.yaml", None),
    sample!("sql", "sql-maintenance.yaml", Some(NEEDS_SQL_SERVER)),
    sample!("powershell-hello", "powershell-hello.yaml", None),
    sample!(
        "powershell-script-file",
        "powershell-script-file.yaml",
        Some(NEEDS_A_FILE)
    ),
    sample!("sql-inventory-report", "sql-inventory-report.yaml", None),
    sample!("sql-check", "sql-check.yaml", None),
    sample!("command-disk-report", "command-disk-report.yaml", None),
    sample!("command-program", "command-program.yaml", None),
];
