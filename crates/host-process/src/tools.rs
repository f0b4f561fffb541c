//! Which executable fills a role, and what holds whenever it runs. Looked up
//! when a run asks, so that a tool installed later is found without a restart.
//! Never starts anything.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{codes, denied, not_found, unavailable};

use crate::program::{Hash, Program, ProgramError};

/// Roles that are granted where nobody says otherwise, and what fills each: the
/// first of these that is there.
const GRANTED: [(&str, &[&str]); 5] = [
    ("powershell", &["pwsh", "pwsh.exe", "powershell.exe"]),
    ("sh", &["sh"]),
    ("bash", &["bash"]),
    ("python3", &["python3", "python.exe"]),
    ("cmd", &["cmd.exe"]),
];
/// Where a job's own arguments go in a tool's.
const OWN_ARGUMENTS: &str = "{arguments}";

/// What an admin binds a role to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolGrant {
    /// The executable, absolute.
    pub path: PathBuf,
    /// What it has to contain.
    pub sha256: Option<Hash>,
    /// Arguments that it always gets. A job's own follow, or stand where
    /// `{arguments}` does.
    pub arguments: Vec<String>,
    /// Variables that it always has, whatever a job says.
    pub environment: BTreeMap<String, String>,
    /// Folders that it may work in; any without one.
    pub working_folders: Vec<PathBuf>,
    /// The user that it runs as; ourselves without one.
    pub run_as: Option<String>,
}

/// The tools that are granted.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    search: Vec<PathBuf>,
    configured: BTreeMap<String, ToolGrant>,
}

/// What a role comes to on this machine, for `doctor`.
#[derive(Debug)]
pub struct Found {
    /// The role.
    pub role: String,
    /// Whether the admin named it, or it is granted from the start.
    pub configured: bool,
    /// The executable, or what is wrong.
    pub program: Result<PathBuf, String>,
}

/// A tool that was found and opened for one run.
#[derive(Debug, Clone)]
pub(crate) struct OpenTool {
    pub(crate) role: String,
    pub(crate) program: Program,
    pub(crate) grant: ToolGrant,
}

impl OpenTool {
    /// All arguments, with a job's own in their place.
    pub(crate) fn arguments(&self, own: &[String]) -> Vec<String> {
        let mut all = Vec::new();
        let mut placed = false;
        for argument in &self.grant.arguments {
            if argument == OWN_ARGUMENTS {
                all.extend_from_slice(own);
                placed = true;
            } else {
                all.push(argument.clone());
            }
        }
        if !placed {
            all.extend_from_slice(own);
        }
        all
    }
}

impl Tools {
    /// Tools that are looked for in these folders (in the form of `PATH`).
    #[must_use]
    pub fn search(path: &OsStr) -> Self {
        let search = std::env::split_paths(path)
            .filter(|folder| folder.is_absolute())
            .collect();
        Self {
            search,
            configured: BTreeMap::new(),
        }
    }

    /// Roles that the admin bound to executables.
    #[must_use]
    pub fn with_configured(mut self, configured: BTreeMap<String, ToolGrant>) -> Self {
        self.configured = configured;
        self
    }

    /// What every role comes to now.
    #[must_use]
    pub fn survey(&self) -> Vec<Found> {
        let usual = GRANTED.iter().map(|(role, _)| *role);
        let mut roles: Vec<&str> = self.configured.keys().map(String::as_str).collect();
        roles.extend(usual.filter(|role| !self.configured.contains_key(*role)));
        let found = |role: &str| Found {
            role: role.to_owned(),
            configured: self.configured.contains_key(role),
            program: self
                .find(role)
                .map(|tool| tool.program.path().to_owned())
                .map_err(|failure| sentence(&failure)),
        };
        roles.into_iter().map(found).collect()
    }

    /// Whether the content of a role's executable is looked at, which takes time.
    pub(crate) fn is_pinned(&self, role: &str) -> bool {
        let grant = self.configured.get(role);
        grant.is_some_and(|grant| grant.sha256.is_some())
    }

    /// The executable of a role, opened.
    pub(crate) fn find(&self, role: &str) -> Result<OpenTool, Failure> {
        let grant = match self.configured.get(role) {
            Some(grant) => grant.clone(),
            None => ToolGrant {
                path: self.search_for(role)?,
                ..ToolGrant::default()
            },
        };
        let program = open(role, &grant)?;
        Ok(OpenTool {
            role: role.to_owned(),
            program,
            grant,
        })
    }

    fn search_for(&self, role: &str) -> Result<PathBuf, Failure> {
        let granted = GRANTED.iter().find(|(granted, _)| *granted == role);
        let Some((_, names)) = granted else {
            let roles: Vec<&str> = GRANTED.iter().map(|(role, _)| *role).collect();
            let message = format!(
                "no tool is granted for the role `{role}`: set `tools.{role}` in the configuration file to an executable (granted from the start: {})",
                roles.join(", ")
            );
            return Err(denied(codes::TOOL_NOT_GRANTED, message));
        };
        let in_folders = |name: &&str| {
            let files = self.search.iter().map(|folder| folder.join(name));
            files
                .into_iter()
                .find(|file| Program::open(file, None).is_ok())
        };
        names
            .iter()
            .find_map(in_folders)
            .ok_or_else(|| missing(role))
    }
}

fn missing(role: &str) -> Failure {
    let message = if role == "powershell" {
        "PowerShell was not found on this machine: install PowerShell 7 (`pwsh`), or set \
         `tools.powershell` in the configuration file to the path of an executable"
            .to_owned()
    } else {
        format!(
            "`{role}` was not found on this machine: install it, or set `tools.{role}` in the configuration file to the path of an executable"
        )
    };
    not_found(codes::TOOL_NOT_FOUND, message)
}

fn open(role: &str, grant: &ToolGrant) -> Result<Program, Failure> {
    let path: &Path = &grant.path;
    let wrong = |what: &dyn std::fmt::Display| {
        format!(
            "`tools.{role}` in the configuration file is {}, which {what}",
            path.display()
        )
    };
    if !path.is_absolute() {
        let message = wrong(&"is no absolute path");
        return Err(not_found(codes::TOOL_NOT_FOUND, message));
    }
    Program::open(path, grant.sha256).map_err(|error| match &error {
        ProgramError::Changed { .. } => {
            let hint = "if it was updated on purpose, set `sha256` to this value";
            denied(codes::TOOL_CHANGED, format!("{}: {hint}", wrong(&error)))
        }
        ProgramError::Open(reason) => {
            let message = format!("{}: {reason}", wrong(&error));
            unavailable(codes::TOOL_NOT_FOUND, message)
        }
        ProgramError::Missing | ProgramError::NotExecutable => {
            not_found(codes::TOOL_NOT_FOUND, wrong(&error))
        }
    })
}

fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Invalid(detail)
        | Failure::Denied(detail)
        | Failure::NotFound(detail)
        | Failure::Unavailable(detail)
        | Failure::Other(detail) => detail.message.clone(),
        Failure::Limit(reached) => reached.limit.clone(),
        Failure::Cancelled | Failure::TimedOut => String::new(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const POWERSHELL: &str = "powershell";

    fn grant(path: impl Into<PathBuf>) -> ToolGrant {
        ToolGrant {
            path: path.into(),
            ..ToolGrant::default()
        }
    }

    #[test]
    fn a_role_that_nobody_bound_is_denied() {
        let failure = Tools::default().find("perl").unwrap_err();
        assert!(matches!(failure, Failure::Denied(_)));
        assert!(sentence(&failure).contains("tools.perl"));
    }

    #[test]
    fn without_powershell_it_says_how_to_get_it() {
        let failure = Tools::search("/nowhere".as_ref())
            .find(POWERSHELL)
            .unwrap_err();
        let message = sentence(&failure);
        assert!(message.contains("install PowerShell 7") && message.contains("tools.powershell"));
    }

    #[test]
    fn a_configured_path_must_be_an_executable() {
        let plain = tempfile::NamedTempFile::new().unwrap();
        for path in ["pwsh", "/nowhere/pwsh", plain.path().to_str().unwrap()] {
            let configured = BTreeMap::from([(POWERSHELL.to_owned(), grant(path))]);
            let tools = Tools::default().with_configured(configured);
            let failure = tools.find(POWERSHELL).unwrap_err();
            assert!(matches!(failure, Failure::NotFound(_)));
            assert!(sentence(&failure).contains(path));
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_tool_that_is_not_what_was_granted_does_not_run() {
        let other = ToolGrant {
            sha256: Some("00".repeat(32).parse().unwrap()),
            ..grant("/bin/sh")
        };
        let tools = Tools::default().with_configured(BTreeMap::from([("sh".to_owned(), other)]));
        let failure = tools.find("sh").unwrap_err();
        assert!(matches!(&failure, Failure::Denied(detail) if detail.code == "tool_changed"));
        assert!(sentence(&failure).contains("set `sha256`"));
    }

    #[test]
    #[cfg(unix)]
    fn pwsh_comes_before_powershell_exe_wherever_they_lie() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/powershell.exe", "b/pwsh"] {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = std::env::join_paths(["a", "b"].map(|name| folder.path().join(name))).unwrap();
        let found = Tools::search(&path).find(POWERSHELL).unwrap();
        assert!(found.program.path().ends_with("b/pwsh"));
    }

    #[test]
    #[cfg(unix)]
    fn the_jobs_arguments_stand_where_the_grant_puts_them() {
        let tool = |arguments: &[&str]| {
            let arguments = arguments.iter().map(ToString::to_string).collect();
            let grant = ToolGrant {
                arguments,
                ..grant("/bin/sh")
            };
            let configured = BTreeMap::from([("sh".to_owned(), grant)]);
            let tools = Tools::default().with_configured(configured);
            tools
                .find("sh")
                .unwrap()
                .arguments(&["a".to_owned(), "b".to_owned()])
        };
        assert_eq!(tool(&[]), ["a", "b"]);
        assert_eq!(tool(&["-n", "5"]), ["-n", "5", "a", "b"]);
        assert_eq!(tool(&["-n", "{arguments}", "--"]), ["-n", "a", "b", "--"]);
    }
}
