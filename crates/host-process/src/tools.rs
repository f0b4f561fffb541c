//! Which executable fills a role. Looked up when a run asks, so that a tool
//! installed later is found without a restart. Never starts anything.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{codes, denied, not_found};

/// The role that PowerShell jobs ask for.
const POWERSHELL: &str = "powershell";
/// What fills it, the first that is there.
const POWERSHELL_NAMES: [&str; 3] = ["pwsh", "pwsh.exe", "powershell.exe"];

/// The tools that are granted.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    search: Vec<PathBuf>,
    configured: BTreeMap<String, PathBuf>,
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
    pub fn with_configured(mut self, configured: BTreeMap<String, PathBuf>) -> Self {
        self.configured = configured;
        self
    }

    /// The executable of a role.
    pub(crate) fn find(&self, role: &str) -> Result<PathBuf, Failure> {
        if let Some(path) = self.configured.get(role) {
            return usable(role, path);
        }
        if role != POWERSHELL {
            let message = format!(
                "no tool is granted for the role `{role}`: set `tools.{role}` in the configuration file to an executable"
            );
            return Err(denied(codes::TOOL_NOT_GRANTED, message));
        }
        let candidates = self
            .search
            .iter()
            .flat_map(|folder| POWERSHELL_NAMES.iter().map(move |name| folder.join(name)));
        let found = POWERSHELL_NAMES.iter().find_map(|name| {
            candidates
                .clone()
                .find(|file| file.ends_with(name) && is_executable(file))
        });
        found.ok_or_else(|| {
            not_found(
                codes::TOOL_NOT_FOUND,
                "PowerShell was not found on this machine: install PowerShell 7 (`pwsh`), or set \
                 `tools.powershell` in the configuration file to the path of an executable",
            )
        })
    }
}

fn usable(role: &str, path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |what: &str| {
        let message = format!(
            "`tools.{role}` in the configuration file is {}, which {what}",
            path.display()
        );
        Err(not_found(codes::TOOL_NOT_FOUND, message))
    };
    if !path.is_absolute() {
        return wrong("is no absolute path");
    }
    if !path.is_file() {
        return wrong("is not there");
    }
    if !is_executable(path) {
        return wrong("may not be executed");
    }
    Ok(path.to_owned())
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    // For root the system may say yes to everything, so the bits count too.
    let marked = path
        .metadata()
        .is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    marked && path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn message(failure: Failure) -> String {
        match failure {
            Failure::NotFound(detail) | Failure::Denied(detail) => detail.message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_role_that_nobody_bound_is_denied() {
        let failure = Tools::default().find("perl").unwrap_err();
        assert!(message(failure).contains("tools.perl"));
    }

    #[test]
    fn without_powershell_it_says_how_to_get_it() {
        let failure = Tools::search("/nowhere".as_ref())
            .find(POWERSHELL)
            .unwrap_err();
        let message = message(failure);
        assert!(message.contains("install PowerShell 7") && message.contains("tools.powershell"));
    }

    #[test]
    fn a_configured_path_must_be_an_executable() {
        let plain = tempfile::NamedTempFile::new().unwrap();
        for path in ["pwsh", "/nowhere/pwsh", plain.path().to_str().unwrap()] {
            let configured = BTreeMap::from([(POWERSHELL.to_owned(), path.into())]);
            let tools = Tools::default().with_configured(configured);
            assert!(message(tools.find(POWERSHELL).unwrap_err()).contains(path));
        }
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
        assert!(
            Tools::search(&path)
                .find(POWERSHELL)
                .unwrap()
                .ends_with("b/pwsh")
        );
    }
}
