//! Who a process is to be, where that is not who we are: a user by name, with
//! its groups and the variables that a login would set. Never becomes it.

use std::collections::BTreeMap;

use jobcell_plugin_host::bindings::types::Failure;
#[cfg(unix)]
use jobcell_plugin_host::not_found;
use jobcell_plugin_host::{codes, unavailable};

/// A user of this system, by its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// Who a tool runs as.
#[derive(Debug)]
pub(crate) struct RunsAs {
    /// None where we are that user already.
    pub(crate) identity: Option<Identity>,
    /// What a login would set.
    pub(crate) variables: BTreeMap<String, String>,
}

/// A user by name, with its variables.
///
/// # Errors
/// When there is no such user, or we may not become it.
#[cfg(unix)]
pub(crate) fn of(name: &str) -> Result<RunsAs, Failure> {
    use nix::unistd::{User, geteuid, getgrouplist};
    let unknown = |why: String| {
        let message = format!("the user `{name}` under `tools` can't be looked up: {why}");
        not_found(codes::USER_NOT_FOUND, message)
    };
    let user = User::from_name(name)
        .map_err(|error| unknown(error.to_string()))?
        .ok_or_else(|| unknown("there is none of this name".to_owned()))?;
    let own = geteuid();
    if !own.is_root() && own != user.uid {
        let message = format!(
            "only a server that runs as root can run a tool as `{name}`: start it as root, or remove `runAs`"
        );
        return Err(unavailable(codes::USER_NOT_FOUND, message));
    }
    let c_name = std::ffi::CString::new(name).map_err(|error| unknown(error.to_string()))?;
    let groups = getgrouplist(&c_name, user.gid).map_err(|error| unknown(error.to_string()))?;
    let home = user.dir.to_string_lossy().into_owned();
    let variables = [
        ("HOME", home),
        ("USER", user.name.clone()),
        ("LOGNAME", user.name),
    ];
    let identity = Identity {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
    };
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Ok(RunsAs {
        identity: needed(own, identity),
        variables: variables.into(),
    })
}

/// Only root may take a user on, even its own, and nobody else needs to.
#[cfg(unix)]
fn needed(own: nix::unistd::Uid, identity: Identity) -> Option<Identity> {
    (own.is_root() || own.as_raw() != identity.uid).then_some(identity)
}

/// Here no process can be somebody else.
#[cfg(not(unix))]
pub(crate) fn of(name: &str) -> Result<RunsAs, Failure> {
    let message = format!("this system can't run a tool as `{name}`: remove `runAs`");
    Err(unavailable(codes::USER_NOT_FOUND, message))
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_a_stranger_is_not() {
        let own = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .unwrap()
            .unwrap();
        let found = of(&own.name).unwrap();
        if let Some(identity) = found.identity {
            assert_eq!(identity.uid, own.uid.as_raw());
            assert!(identity.groups.contains(&own.gid.as_raw()));
        }
        assert_eq!(found.variables["USER"], own.name);
        assert!(matches!(
            of("nobody-of-this-name"),
            Err(Failure::NotFound(_))
        ));
    }

    #[test]
    fn who_is_that_user_already_takes_nobody_on() {
        let identity = Identity {
            uid: 1000,
            gid: 1000,
            groups: vec![1000],
        };
        let by = |uid| needed(nix::unistd::Uid::from_raw(uid), identity.clone());
        assert_eq!(by(1000), None);
        assert_eq!(by(0), Some(identity.clone()));
    }
}
