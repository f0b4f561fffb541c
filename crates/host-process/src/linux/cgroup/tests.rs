//! Folders that look like cgroups, for what this machine's kernel can't show.

use super::*;

#[test]
fn the_own_cgroup_is_found_where_it_is_mounted() {
    let hybrid = "29 28 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let own = "9:name=systemd:/\n0::/\n";
    let found = own_folder(hybrid, own);
    assert_eq!(found, Some("/sys/fs/cgroup/unified/".into()));
    let unified = "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
    let found = own_folder(unified, "0::/system.slice/jobcell.service\n");
    assert_eq!(
        found,
        Some("/sys/fs/cgroup/system.slice/jobcell.service".into())
    );
    // A container may see only its part of the tree.
    let part = "30 1 0:26 /pod/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let found = own_folder(part, "0::/pod/a/b\n");
    assert_eq!(found, Some("/sys/fs/cgroup/b".into()));
    assert_eq!(own_folder(hybrid, "4:memory:/\n"), None);
    assert_eq!(own_folder("", own), None);
}

/// A folder that looks like the cgroup of a process that has ended.
pub(crate) fn ended(files: &[(&str, &str)], caps: &Caps) -> (tempfile::TempDir, Cgroup) {
    let folder = tempfile::tempdir().unwrap();
    let always = [("cgroup.kill", ""), ("cgroup.events", "populated 0\n")];
    for (name, text) in always.iter().chain(files) {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut cgroup = Cgroup::open(folder.path().to_owned()).unwrap();
    cgroup.bound(caps);
    (folder, cgroup)
}

#[test]
fn what_the_kernel_refused_is_told_where_the_run_was_bounded_and_only_there() {
    let killed = ("memory.events", "low 0\nmax 9\noom 1\noom_kill 1\n");
    let by_machine = ("memory.events", "low 0\nmax 0\noom 0\noom_kill 1\n");
    let full = ("pids.events", "max 3\n");
    let (memory, processes) = (
        Caps {
            memory: Some(1 << 20),
            ..Caps::default()
        },
        Caps {
            processes: Some(5),
            ..Caps::default()
        },
    );
    let refused = |files: &[(&str, &str)], caps: Caps| ended(files, &caps).1.total().refused;
    assert_eq!(refused(&[killed], memory), Some(Cap::Memory));
    assert_eq!(refused(&[by_machine], memory), None);
    assert_eq!(refused(&[killed, full], processes), Some(Cap::Processes));
    assert_eq!(refused(&[killed, full], Caps::default()), None);
    // Whoever bounds all of the machine refused this one.
    let few = ("pids.peak", "4\n");
    assert_eq!(refused(&[full, few], processes), None);
    let all = ("pids.peak", "5\n");
    assert_eq!(refused(&[full, all], processes), Some(Cap::Processes));
}

#[test]
fn numbers_are_found_behind_their_keys() {
    assert_eq!(value("populated 0\nfrozen 1\n", "frozen"), Some(1));
    assert_eq!(value("populated 0\n", "frozen"), None);
}

#[test]
fn an_owner_lives_only_as_who_it_was() {
    let own = std::process::id();
    let stat = Stat::look(own.cast_signed()).unwrap();
    let start = stat.map_or(0, |stat| stat.start);
    assert!(lives(&format!("{own}-{start}")));
    assert!(!lives(&format!("{own}-{}", start + 1)));
    assert!(!lives("nobody"));
}
